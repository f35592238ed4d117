"""Names with `*`, `?` and `**`: which objects an input stands for. Pure; the stores ask what to list and what to take.

`*` and `?` stay inside a part between slashes, `**` alone in a part stands for any number of parts, and `/` at the end
for everything below. A part that begins with `_` or `.` is matched only where the pattern itself begins so: working
objects, markers and hidden files lie beside data. `[*]`, `[?]` and `[[]` are the characters themselves.
"""

import re
from dataclasses import dataclass

from llmbatch_contract.errors import InputError

_TOKEN = re.compile(r"\[([*?\[])\]|([*?])|(.)", re.DOTALL)
_NOT_HIDDEN = "(?![._])"
_ANY_PARTS = f"(?:{_NOT_HIDDEN}[^/]+/)*"
_MANY = "**"
_HIDDEN = (".", "_")


@dataclass(frozen=True)
class Pattern:
    """What a name with wildcards means."""

    folder: str
    """All matches are below it: empty, or with `/` at its end."""
    start: str
    """All matches begin so."""
    depth: int | None
    """Parts of a match below `folder`; None: any number."""
    has_hidden: bool
    """A part below `folder` begins with `_` or `.`."""
    regex: re.Pattern[str]

    def matches(self, name: str) -> bool:
        """Whether it stands for this object."""
        return self.regex.fullmatch(name) is not None

    def may_match_below(self, folder: str) -> bool:
        """Whether there may be matches in a folder, named without `/` at its end."""
        parts = folder.removeprefix(self.folder).split("/")
        if self.depth is not None and len(parts) >= self.depth:
            return False
        return self.has_hidden or not any(part.startswith(_HIDDEN) for part in parts)


def pattern_of(name: str) -> Pattern | str:
    """The pattern that a name is, or the one name that it means. Raises InputError."""
    parts = (f"{name}{_MANY}" if name.endswith("/") or not name else name).split("/")
    literal = [_literal(part) for part in parts]
    first = next((number for number, (_, is_whole) in enumerate(literal) if not is_whole), None)
    if first is None:
        return "/".join(text for text, _ in literal)
    folder = "".join(f"{text}/" for text, _ in literal[:first])
    return Pattern(
        folder=folder,
        start=folder + literal[first][0],
        depth=None if _MANY in parts else len(parts) - first,
        has_hidden=any(part.startswith(_HIDDEN) for part in parts[first:]),
        regex=re.compile(re.escape(folder) + _regex(parts[first:], name), re.DOTALL),
    )


def _literal(part: str) -> tuple[str, bool]:
    """The characters before the first wildcard, and whether these are all."""
    text = ""
    for escaped, wildcard, plain in _TOKEN.findall(part):
        if wildcard:
            return text, False
        text += escaped or plain
    return text, True


def _regex(parts: list[str], name: str) -> str:
    *folders, last = parts
    text = "".join(_ANY_PARTS if part == _MANY else f"{_part_regex(part, name)}/" for part in folders)
    return text + (f"{_ANY_PARTS}{_NOT_HIDDEN}[^/]+" if last == _MANY else _part_regex(last, name))


def _part_regex(part: str, name: str) -> str:
    if _MANY in part:
        raise InputError(f"{name}: ** stands for folders, alone between slashes, as in {_correct(part)}")
    text = "" if not part.startswith(("*", "?")) else _NOT_HIDDEN
    for escaped, wildcard, plain in _TOKEN.findall(part):
        text += {"*": "[^/]*", "?": "[^/]"}.get(wildcard, re.escape(escaped or plain))
    return text


def _correct(part: str) -> str:
    return f"{_MANY}/{part.replace(_MANY, '*')}"

"""What goes into an image: the Dockerfile and the files it copies, as a digest.

Called before an image is built, to see whether it is built already. Only what the Dockerfile copies counts, so that a
change of a test or of a page does not build the image anew.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

_COPY = re.compile(r"^\s*(?:COPY|ADD)\s+(.+)$", re.IGNORECASE)
_NEVER = {".git", ".venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}


def digest_of_build(context: Path, *words: str) -> str:
    """A digest of the Dockerfile, of the files it copies (path, mode, content), and of words."""
    digest = hashlib.sha256("\0".join(words).encode())
    for path in sorted(_inputs(context)):
        mode = path.stat().st_mode & 0o777
        digest.update(f"\0{path.relative_to(context)} {mode:o}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


def copied(dockerfile: str) -> list[str]:
    """The sources of each COPY and ADD that are in the context: paths and patterns."""
    found: list[str] = []
    for line in re.sub(r"\\\n", " ", dockerfile).splitlines():
        if match := _COPY.match(line):
            words = match[1].split()
            if not any(word.startswith("--from") for word in words):
                found += [word for word in words if not word.startswith("--")][:-1]
    return found


def _inputs(context: Path) -> set[Path]:
    dockerfile = context / "Dockerfile"
    paths = {dockerfile, context / ".dockerignore"}
    for pattern in copied(dockerfile.read_text()):
        paths.update(file for path in _matches(context, pattern) for file in _files(path))
    return {path for path in paths if path.is_file()}


def _matches(context: Path, pattern: str) -> Iterator[Path]:
    relative = pattern.lstrip("/").removeprefix("./").rstrip("/")
    return iter([context]) if relative in ("", ".") else context.glob(relative)


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir() and not path.is_symlink():
        for child in path.iterdir():
            if child.name not in _NEVER:
                yield from _files(child)
    else:
        yield path

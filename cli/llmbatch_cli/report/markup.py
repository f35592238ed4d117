"""HTML from values. What is not HTML already is escaped, so that nothing a user or a model wrote is ever markup."""

import html
import re

_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff\ud800-\udfff]")
"""Control characters, and those that turn the direction of all that follows."""
_WITHOUT_END = frozenset({"meta"})


class Html(str):
    """Text that is HTML."""

    __slots__ = ()


NOTHING = Html("")


def text(value: object) -> Html:
    """A value as HTML; only what is Html already stays as it is."""
    if isinstance(value, Html):
        return value
    return Html(html.escape(_UNWANTED.sub("\ufffd", str(value)), quote=True))


def join(*children: object) -> Html:
    """One after the other."""
    return Html("".join(map(text, children)))


def el(tag: str, /, *children: object, **attributes: object) -> Html:
    """An element. `class_` is `class`, `data_tips` is `data-tips`; attributes that are None are left out."""
    words = [tag, *(f'{_attribute(key)}="{text(value)}"' for key, value in attributes.items() if value is not None)]
    start = f"<{' '.join(words)}>"
    return Html(start if tag in _WITHOUT_END and not children else f"{start}{join(*children)}</{tag}>")


def _attribute(key: str) -> str:
    return key.removesuffix("_").replace("_", "-")

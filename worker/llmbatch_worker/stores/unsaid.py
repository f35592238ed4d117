"""Takes out of a text whatever is, or looks like, a credential. Pure. For all that providers say."""

import re
from collections.abc import Iterable

_GONE = "…"
_SHORTEST = 6
"""Shorter values are words of the sentence, rather than secrets."""
_PATTERNS = (
    re.compile(r"(?<=\?)[^\s\"'<>)\]]+"),  # a query may be a signature
    re.compile(r"(?i)(?<=(?:sig|key|pwd)=)[^\s&;,\"'<>]+"),
    re.compile(
        r"(?i)\b(?:AWSAccessKeyId|Signature|X-Amz-[\w-]+|\w*token|\w*secret\w*|password)\"?\s*[=:]\s*\"?[^\s&;,\"'<>]+"
    ),
    re.compile(r"(?i)\b(?:Bearer|SharedKey)\s+[\w.~+/=:-]+"),
    re.compile(r"\bya29\.[\w-]+"),
    re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}\b"),
    re.compile(r"\beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?"),
    re.compile(r"-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|$)", re.DOTALL),
    re.compile(
        r"(?<![\w/.-])(?=[A-Za-z0-9+/=_-]*\d)(?=[A-Za-z0-9+/=_-]*[a-z])(?=[A-Za-z0-9+/=_-]*[A-Z])[A-Za-z0-9+/=_-]{40,}"
    ),
)


def cleaned(text: str) -> str:
    """A provider's words without what looks like a credential."""
    for pattern in _PATTERNS:
        text = pattern.sub(_GONE, text)
    return text


def without(text: str, secrets: Iterable[str]) -> str:
    """The text without these very values."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, _GONE)
    return text

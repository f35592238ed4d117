"""An error of obstore, taken apart: the answer's status, code and message, and where it came from. Pure.

obstore tells of an answer by its status and body, and of a connection by its debug text. Used by cloud.py and
cloud_words.py.
"""

import re
from dataclasses import dataclass

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>\s*([\w.]{1,60})\s*</Code>")
_MESSAGE = re.compile(r"<Message>\s*([^<]{1,400})")
_REQUEST_ID = re.compile(r"\s*RequestId:.*", re.DOTALL)
"""At the end of Azure's messages."""
_OF_MANY = re.compile(r"(?:DeleteObjects|Bulk delete) request failed for key .*: ([^:]{1,400}) \(code: ([\w.]{1,60})\)")
"""One of several objects was not removed; the request itself had a good status. Azure's code is a status."""
_JSON_MESSAGE = re.compile(r'"message"\s*:\s*"([^"\\]{1,400})')
_REGION = re.compile(r"<Region>\s*([\w-]{1,40})\s*</Region>|expecting '([\w-]{1,40})'")
_TARGET = re.compile(r"performing [A-Z]+ https?://([^/\s?]+)")
_OS_WORDS = re.compile(r'message: "([^"]{1,100})"')


@dataclass(frozen=True)
class Failure:
    """An error of a provider, taken apart."""

    status: int | None
    code: str
    message: str
    debug: str
    """obstore's whole text: to look for marks, never to show."""

    def mentions(self, *marks: str) -> bool:
        """Whether one of these words is in it."""
        return any(mark in self.debug for mark in marks)

    @property
    def host(self) -> str | None:
        """That was asked; None where obstore hides the address, as it holds a signature."""
        found = _TARGET.search(self.debug)
        return found[1] if found else None

    @property
    def region(self) -> str | None:
        """In which the bucket is, if the store says so."""
        found = _REGION.search(self.debug)
        return found[1] or found[2] if found else None

    @property
    def system_words(self) -> str | None:
        """What the operating system says of a connection."""
        found = _OS_WORDS.search(self.debug)
        return found[1] if found else None


def read_failure(text: str) -> Failure:
    """Take obstore's text apart."""
    said = text.partition("Debug source:")[0]
    status, code = _STATUS.search(said), _CODE.search(said)
    message = _MESSAGE.search(said) or _JSON_MESSAGE.search(said)
    if status is None and (of_many := _OF_MANY.search(said)):
        return _of_many(of_many[2], of_many[1].strip(), text)
    return Failure(
        status=int(status[1]) if status else None,
        code=code[1] if code else "",
        message=_REQUEST_ID.sub("", message[1]).strip() if message else "",
        debug=text,
    )


def _of_many(code: str, message: str, text: str) -> Failure:
    if code.isdecimal():
        return Failure(status=int(code), code="", message=message, debug=text)
    return Failure(status=None, code=code, message=message, debug=text)

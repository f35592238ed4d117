"""JSON documents that come one after another in pieces, as `kubectl get --watch -o json` prints them. Pure."""

import codecs
import json
from typing import Any


class JsonStream:
    """Takes bytes, gives the objects that are complete."""

    def __init__(self) -> None:
        self._text = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._json = json.JSONDecoder()
        self._rest = ""

    def feed(self, data: bytes) -> list[Any]:
        """The objects that end in this piece. A last one that is cut off stays and waits."""
        text, start, documents = self._rest + self._text.decode(data), 0, []
        while (start := _after_space(text, start)) < len(text):
            try:
                document, start = self._json.raw_decode(text, start)
            except json.JSONDecodeError:
                break
            documents.append(document)
        self._rest = text[start:]
        return documents


def _after_space(text: str, start: int) -> int:
    while start < len(text) and text[start].isspace():
        start += 1
    return start

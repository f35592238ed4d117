"""Digests of what is read, object by object, as it passes. They say which input a batch was about."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence


class Digests:
    """SHA-256 of each object."""

    def __init__(self) -> None:
        self._found: dict[int, str] = {}
        self.size = 0
        """Bytes that have passed."""

    def passing(self, number: int, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """The blocks of the object with this number."""
        sha256 = hashlib.sha256()
        for block in blocks:
            sha256.update(block)
            self.size += len(block)
            yield block
        self._found[number] = sha256.hexdigest()

    def of_all(self, uris: Sequence[str]) -> str | None:
        """Of the objects with these names together, as `sha256sum` prints them; of one, its own.

        None if not all of them were read to the end.
        """
        if len(self._found) < max(1, len(uris)):
            return None
        if len(uris) <= 1:
            return self._found[0]
        lines = "".join(f"{self._found[number]}  {uri}\n" for number, uri in enumerate(uris))
        return hashlib.sha256(lines.encode()).hexdigest()

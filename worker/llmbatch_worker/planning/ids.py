"""Exact search for ids that stand twice, in eight bytes an item.

Ids are kept as 64-bit hashes. Equal hashes are only a suspicion: the ids behind them are read again and compared.
"""

from array import array
from collections.abc import Iterable

from llmbatch_contract.errors import DuplicateIdError

_BUCKETS = 256


class SeenIds:
    """Hashes of all ids so far, in buckets small enough to be searched one by one."""

    def __init__(self) -> None:
        self._buckets = [array("q") for _ in range(_BUCKETS)]

    def add(self, item_id: str) -> None:
        """Note an id."""
        code = hash(item_id)
        self._buckets[code & (_BUCKETS - 1)].append(code)

    def suspects(self) -> frozenset[int]:
        """Hashes that stand more than once."""
        found: set[int] = set()
        for bucket in self._buckets:
            if len(set(bucket)) < len(bucket):
                found |= _repeated(bucket)
        return frozenset(found)


def _repeated(codes: Iterable[int]) -> set[int]:
    seen: set[int] = set()
    return {code for code in codes if code in seen or seen.add(code)}  # type: ignore[func-returns-value]


def check_suspects(ids: Iterable[tuple[int, str]], suspects: frozenset[int], name: str, id_field: str) -> None:
    """Read (line, id) of all items again. Raises DuplicateIdError with both lines of the first id that repeats."""
    lines: dict[str, int] = {}
    for line, item_id in ids:
        if hash(item_id) not in suspects:
            continue
        if item_id in lines:
            raise DuplicateIdError(
                f"{name}:{line}: {id_field} {item_id!r} stands already on line {lines[item_id]}; ids must be unique"
            )
        lines[item_id] = line

"""Which items are taken: those for which an expression over their fields holds, or some at random. Pure."""

import difflib
import hashlib
import heapq

from llmbatch_contract.errors import InputError, InvalidError
from llmbatch_contract.records import Item
from llmbatch_worker.inputs.comparing import FILTER, USUAL, Comparisons, KindError
from llmbatch_worker.templates import Expression, RenderError

_WHERE = "spec.input.where"
_KINDS = {'"': "text", "[": "a list", "{": "an object", "n": "null"}
_SPELT = {"null": "none", "NULL": "none", "nil": "none", "TRUE": "true", "FALSE": "false"}


class SelectError(InputError):
    """An item for which nobody can say whether it is meant."""


class Where:
    """An expression over the fields of an item, as in `lang == 'de' and stars < 3`. Raises InvalidError if it is none.

    It says true or false; anything else is an error, so that no item is taken or left by mistake.
    """

    def __init__(self, expression: str) -> None:
        comparisons = Comparisons(_WHERE, expression)
        try:
            asked = Expression(_WHERE, expression)
        except InvalidError as error:
            raise InvalidError(f"{error}; {USUAL}") from error
        self.fields: frozenset[str] = asked.fields
        """Names of the fields that it takes from an item."""
        self._paths = sorted(path for path in asked.paths if path.partition(".")[0] in asked.fields)
        self._expression = Expression(_WHERE, comparisons.source, {FILTER: comparisons.same_kind})

    def holds(self, item: Item) -> bool:
        """Whether the item is taken. Raises SelectError, which says why it cannot be told."""
        try:
            found = self._expression.value({name: item[name] for name in self.fields if name in item})
        except KindError as error:
            raise SelectError(f"{_WHERE}: {self._spelling(error.field) or error}{_meant(error.field, item)}") from error
        except RenderError as error:
            raise SelectError(self._missing(item) or str(error)) from error
        if found in ("true", "false"):
            return found == "true"
        kind = _KINDS.get(found[0], "a number")
        raise SelectError(
            self._missing(item) or f"{_WHERE}: gives {kind}, not true or false; compare it, as in `lang == 'de'`"
        )

    def _missing(self, item: Item) -> str | None:
        missing = [path for path in self._paths if not _has(item, path)]
        if not missing:
            return None
        named = f"field {missing[0]} is" if len(missing) == 1 else f"fields {', '.join(missing)} are"
        return f"{_WHERE}: " + (
            self._spelling(missing[0])
            or f"{named} missing; say `{missing[0]} is defined and …`{_meant(missing[0], item)}"
        )

    def _spelling(self, field: str) -> str | None:
        return f"{field} is written `{_SPELT[field]}`" if field in _SPELT else None


def _meant(field: str, item: Item) -> str:
    """A field of the item that is spelt like one that it does not have."""
    close = [] if "." in field or field in item else difflib.get_close_matches(field, item, n=1)
    return f"; or did you mean {close[0]}?" if close else ""


def _has(item: Item, path: str) -> bool:
    """Whether there is such a field, in a field. What is no object has methods, which are none of ours."""
    found: object = item
    for part in path.split("."):
        if not isinstance(found, dict):
            return True
        if part not in found:
            return False
        found = found[part]
    return True


_MASK = 2**64 - 1
_STEP = 0x9E3779B97F4A7C15
_MIX_1, _MIX_2 = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_UNMIX_1, _UNMIX_2, _UNSTEP = (pow(factor, -1, 2**64) for factor in (_MIX_1, _MIX_2, _STEP))


class Sampler:
    """Takes some of the items that it is told of, each with the same chance; the order does not matter.

    An item's number becomes a random one: the output of SplitMix64 (Steele, Lea, Flood 2014) at that place, from a
    state that is the BLAKE2b hash of the seed. The items with the smallest ones are taken. The same seed takes the same
    items in any version of Python, and nearly the same ones when `where` leaves a few more or fewer. These numbers do
    not repeat, and lead back to the item's, so that one int is kept for each item that is taken.
    """

    def __init__(self, items: int, seed: int) -> None:
        self._items = items
        digest = hashlib.blake2b(str(seed).encode(), digest_size=8, person=b"llmbatch").digest()
        self._state = int.from_bytes(digest, "big")
        self._largest_first: list[int] = []

    def note(self, number: int) -> None:
        """Tell of an item that may be taken. Each only once."""
        z = (self._state + (number + 1) * _STEP) & _MASK
        z = ((z ^ (z >> 30)) * _MIX_1) & _MASK
        z = ((z ^ (z >> 27)) * _MIX_2) & _MASK
        z ^= z >> 31
        heap = self._largest_first  # negative: its first is the largest of those that are taken
        if len(heap) < self._items:
            heapq.heappush(heap, -z)
        elif -z > heap[0]:
            heapq.heapreplace(heap, -z)

    def taken(self) -> list[int]:
        """The numbers of the items that are taken, sorted; all if there are fewer than asked for."""
        return sorted(self._number(-z) for z in self._largest_first)

    def _number(self, z: int) -> int:
        """What `note` made `z` of, step by step back."""
        z = _unshifted(z, 31) * _UNMIX_2 & _MASK
        z = _unshifted(z, 27) * _UNMIX_1 & _MASK
        z = _unshifted(z, 30)
        return (z - self._state) * _UNSTEP - 1 & _MASK


def _unshifted(z: int, bits: int) -> int:
    """The number x for which z = x ^ (x >> bits), of 64 bits."""
    return z ^ (z >> bits) ^ (z >> 2 * bits)

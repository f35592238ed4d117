"""What the planner learns of the items besides their places: fields, whether templates fit, tokens. Bounded memory."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field

from llmbatch_contract.errors import InputError
from llmbatch_contract.records import Item
from llmbatch_worker.asking import Asker, Question
from llmbatch_worker.planning.batches import Batch
from llmbatch_worker.templates import RenderError

_MOST_FIELDS = 1000
_MOST_SHAPES = 1000
_ASKED_FIRST = 100
_ASKED_EVERY = 997
_MOST_NAMED = 20

Shape = tuple[str, ...]


@dataclass(frozen=True)
class Lack:
    """A field that templates use, and that some items do not have."""

    items: int
    """How many."""
    first: str
    """Where the first of them is: file and line."""


@dataclass
class Survey:
    """Notes on the items, as they come."""

    asker: Asker
    fields: dict[str, None] = field(default_factory=dict)
    """Names of fields, in order of first appearance."""
    first_question: Question | None = None
    misfits: int = 0
    """Items that will be dead letters because a template does not fit them."""
    first_misfit: str | None = None
    lacks: dict[str, Lack] = field(default_factory=dict)
    """Exactly, whether or not the templates do without the field."""
    _needed: frozenset[str] = frozenset()
    _plain_shapes: set[Shape] = field(default_factory=set)
    """Names of fields that items were seen to have, where they lack nothing."""
    _items: int = 0
    _bytes: int = 0
    _sampled_bytes: int = 0
    _sampled_tokens: int = 0

    def __post_init__(self) -> None:
        self._needed = self.asker.templates.fields

    def add(self, batch: Batch) -> None:
        """Note some items."""
        rows = batch.rows
        items = rows.items
        lacking = [] if self._plain_shapes.issuperset(map(tuple, items)) else self._look(batch)
        asked = sorted({*lacking, *_positions_to_ask(self._items, len(items))})
        for position in asked:
            size = rows.ends[position] - rows.starts[position]
            self._ask(items[position], size, batch.name, rows.lines[position])
        self._items += len(items)
        self._bytes += rows.ends[-1] - rows.starts[0]

    def _look(self, batch: Batch) -> list[int]:
        """Note the fields of each item; positions of those that lack one."""
        lacking = []
        for position, item in enumerate(batch.rows.items):
            shape = tuple(item)
            if shape in self._plain_shapes:
                continue
            if len(self.fields) < _MOST_FIELDS:
                self.fields |= dict.fromkeys(item)
            missing = self._needed.difference(shape)
            if missing:
                lacking.append(position)
                for name in missing:
                    self._note_lack(name, f"{batch.name}:{batch.rows.lines[position]}")
            elif len(self._plain_shapes) < _MOST_SHAPES:
                self._plain_shapes.add(shape)
        return lacking

    def _note_lack(self, name: str, where: str) -> None:
        lack = self.lacks.get(name)
        self.lacks[name] = Lack(1, where) if lack is None else Lack(lack.items + 1, lack.first)

    def _ask(self, item: Item, size: int, where: str, line: int) -> None:
        try:
            question = self.asker.ask(item)
        except RenderError as error:
            self.misfits += 1
            self.first_misfit = self.first_misfit or f"{where}:{line}: {error}"
            return
        self.first_question = self.first_question or question
        self._sampled_bytes += size
        self._sampled_tokens += question.input_tokens

    def input_tokens(self) -> int:
        """Estimate of the prompt tokens of all items."""
        return round(self._bytes * self._sampled_tokens / self._sampled_bytes) if self._sampled_bytes else 0

    def check_fields(self, name: str, columns: Sequence[str] = ()) -> None:
        """Raises InputError when a template uses a field that no item has, or fits no item.

        `columns` are fields that there are, read or not.
        """
        if self._items == 0:
            return
        unknown = sorted(self._needed - self.fields.keys())
        if unknown and self.misfits:
            there = columns or list(self.fields)
            close = difflib.get_close_matches(unknown[0], there, n=1)
            hint = f"did you mean {close[0]}?" if close else f"fields are: {some_of(there)}"
            raise InputError(f"{name}: no item has the field {unknown[0]} that the templates use; {hint}")
        if self.misfits == self._items:
            raise InputError(f"the templates fit no item; the first: {self.first_misfit}")


def _positions_to_ask(before: int, count: int) -> range | list[int]:
    """Of the next items, those that are asked about for a sample: the first hundred, then now and then one."""
    first = range(min(count, max(0, _ASKED_FIRST - before)))
    then = range(max(len(first), (-before - 1) % _ASKED_EVERY), count, _ASKED_EVERY)
    return [*first, *then]


def some_of(names: Sequence[str]) -> str:
    """Names in a message: not all, if there are many."""
    return ", ".join(names[:_MOST_NAMED]) + ", …" * (len(names) > _MOST_NAMED)

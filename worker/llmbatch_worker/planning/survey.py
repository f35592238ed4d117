"""What the planner learns of the items besides their places: fields, whether templates fit, tokens. Bounded memory."""

import difflib
from dataclasses import dataclass, field

from llmbatch_contract.errors import InputError
from llmbatch_contract.records import Item
from llmbatch_worker.asking import Asker, Question
from llmbatch_worker.templates import RenderError

_MOST_FIELDS = 1000
_ASKED_FIRST = 100
_ASKED_EVERY = 997


@dataclass
class Survey:
    """Notes on the items, one by one."""

    asker: Asker
    fields: dict[str, None] = field(default_factory=dict)
    """Names of fields, in order of first appearance."""
    first_question: Question | None = None
    misfits: int = 0
    """Items that will be dead letters because a template does not fit them."""
    first_misfit: str | None = None
    _needed: frozenset[str] = frozenset()
    _items: int = 0
    _sampled_bytes: int = 0
    _sampled_tokens: int = 0

    def __post_init__(self) -> None:
        self._needed = self.asker.templates.fields

    def add(self, item: Item, size: int, where: str, line: int) -> None:
        """Note an item that takes `size` bytes."""
        if item.keys() - self.fields.keys() and len(self.fields) < _MOST_FIELDS:
            self.fields |= dict.fromkeys(item)
        self._items += 1
        if self._items <= _ASKED_FIRST or self._items % _ASKED_EVERY == 0 or not self._needed <= item.keys():
            self._ask(item, size, where, line)

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

    def input_tokens(self, size: int) -> int:
        """Estimate of the prompt tokens of all items, which take `size` bytes together."""
        return round(size * self._sampled_tokens / self._sampled_bytes) if self._sampled_bytes else 0

    def check_fields(self, name: str) -> None:
        """Raises InputError when a template uses a field that no item has, or fits no item."""
        if self._items == 0:
            return
        unknown = sorted(self._needed - self.fields.keys())
        if unknown and self.misfits:
            close = difflib.get_close_matches(unknown[0], self.fields, n=1)
            hint = f"did you mean {close[0]}?" if close else f"fields are: {', '.join(list(self.fields)[:20])}"
            raise InputError(f"{name}: no item has the field {unknown[0]} that the templates use; {hint}")
        if self.misfits == self._items:
            raise InputError(f"the templates fit no item; the first: {self.first_misfit}")

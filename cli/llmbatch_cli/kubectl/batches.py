"""An LLMBatch as its reader sees it. Made from the JSON of the API server, for all commands.

It is read leniently: the operator may be older or newer, so a field that is missing or not as expected counts as not
set, and words that are not known are passed on. (The operator's own model of a status is strict, and slow to import.)
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

FINAL_PHASES = frozenset({"Succeeded", "CompletedWithErrors", "Failed", "Cancelled"})
NOT_SEEN = "Pending"
"""The phase of a batch that no operator has looked at."""


class Fields:
    """An object of JSON whose fields may be missing or of any type."""

    def __init__(self, value: object) -> None:
        self._value = value if isinstance(value, dict) else {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing is set."""
        return not self._value

    def text(self, name: str, default: str = "") -> str:
        """A text."""
        value = self._value.get(name)
        return value if isinstance(value, str) else default

    def number(self, name: str) -> float | None:
        """A number."""
        value = self._value.get(name)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def count(self, name: str) -> int:
        """A count, 0 where there is none."""
        return max(0, int(self.number(name) or 0))

    def flag(self, name: str) -> bool | None:
        """Whether it is true; None where it is not set."""
        value = self._value.get(name)
        return value if isinstance(value, bool) else None

    def is_true(self, name: str) -> bool:
        """Whether it is set and true."""
        return self._value.get(name) is True

    def time(self, name: str) -> datetime | None:
        """A moment."""
        try:
            moment = datetime.fromisoformat(self.text(name))
        except ValueError:
            return None
        return moment if moment.tzinfo is not None else None

    def part(self, name: str) -> Self:
        """An object in it."""
        return type(self)(self._value.get(name))

    def parts(self, name: str) -> list[Self]:
        """The objects of a list in it."""
        value = self._value.get(name)
        return [type(self)(each) for each in value] if isinstance(value, list) else []


@dataclass(frozen=True)
class Items:
    """How many items are where; they add up to the total."""

    total: int
    pending: int
    running: int
    succeeded: int
    failed: int
    cancelled: int

    @property
    def done(self) -> int:
        """Items that were asked to the end."""
        return self.succeeded + self.failed

    @property
    def dead_letters(self) -> int:
        """Items in errors.jsonl, once the batch is finished."""
        return self.failed + self.cancelled


@dataclass(frozen=True)
class Condition:
    """A condition that holds."""

    type: str
    reason: str
    message: str


@dataclass(frozen=True)
class ErrorTally:
    """Items that failed for one reason, and one of them."""

    category: str
    count: int
    sample_item: str
    sample_message: str


@dataclass(frozen=True)
class Batch:
    """One LLMBatch."""

    name: str
    namespace: str
    uid: str
    resource_version: str
    """Which state of it this is."""
    created_at: datetime | None
    phase: str
    conditions: tuple[Condition, ...]
    """Those that hold."""
    items: Items
    errors: tuple[ErrorTally, ...]
    spec: dict[str, Any]
    """As the API server has it."""
    status: Fields

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will happen."""
        return self.phase in FINAL_PHASES

    @property
    def share(self) -> float:
        """How much is done, from 0 to 1."""
        return self.items.done / self.items.total if self.items.total else float(self.is_finished)

    def condition(self, type_: str) -> Condition | None:
        """The condition, if it holds."""
        return next((c for c in self.conditions if c.type == type_), None)


def has_own_form(batch: Batch) -> bool:
    """Whether its dead letters are as LLMBatch writes them, with item and category, not as OpenAI does."""
    return Fields(batch.spec).part("output").text("format") != "openai"


def read_batch(document: dict[str, Any]) -> Batch:
    """The batch in an object of the API server."""
    whole, spec = Fields(document), document.get("spec")
    metadata, status = whole.part("metadata"), whole.part("status")
    return Batch(
        name=metadata.text("name"),
        namespace=metadata.text("namespace"),
        uid=metadata.text("uid"),
        resource_version=metadata.text("resourceVersion"),
        created_at=metadata.time("creationTimestamp"),
        phase=status.text("phase", NOT_SEEN),
        conditions=tuple(_condition(c) for c in status.parts("conditions") if c.text("status") == "True"),
        items=_items(status.part("items")),
        errors=tuple(_tally(e) for e in status.parts("errors")),
        spec=spec if isinstance(spec, dict) else {},
        status=status,
    )


def _condition(fields: Fields) -> Condition:
    return Condition(fields.text("type"), fields.text("reason"), fields.text("message"))


def _items(fields: Fields) -> Items:
    return Items(*(fields.count(name) for name in ("total", "pending", "running", "succeeded", "failed", "cancelled")))


def _tally(fields: Fields) -> ErrorTally:
    sample = (fields.text("sampleItem"), fields.text("sampleMessage"))
    return ErrorTally(fields.text("category", "unknown"), fields.count("count"), *sample)

"""A delivery of made-up results from memory, with a real store and a real receiver."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from delivering.result_receiver import KEY, Receiver
from llmbatch_contract.spec import Deliver
from llmbatch_worker.delivering.deliverer import Delivered, Results, deliver
from llmbatch_worker.delivering.posting import Pace, WaitingFor, nobody_hears
from llmbatch_worker.delivering.requests import BatchNames, Line
from llmbatch_worker.stores.local import LocalStore

BATCH = BatchNames(namespace="team-a", name="triage", uid="the-uid")
QUICK = Pace(answer_s=2, speed=1000)
"""A second of waiting takes a millisecond."""


def lines(indexes: list[int], text: str = "x") -> list[Line]:
    """Results of these items."""
    return [Line(n, f"id-{n}", orjson.dumps({"id": f"id-{n}", "index": n, "output": text})) for n in indexes]


@dataclass
class Bench:
    """One batch; `go` may be called again, as after a restart."""

    folder: Path
    indexes: list[int]
    """Items that have a result; the others are dead letters."""
    items: int = 0
    batch_size: int = 5
    text: str = "x"
    read: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.items = self.items or max(self.indexes, default=-1) + 1
        self.working = LocalStore((self.folder / "work").as_uri())
        self.output = LocalStore((self.folder / "out").as_uri())

    def between(self, first: int, end: int) -> Iterator[Line]:
        """As finalize gives them."""
        self.read.append((first, end))
        yield from (line for line in lines(self.indexes, self.text) if first <= line.index < end)

    def go(
        self,
        receiver: Receiver | str,
        *,
        key: str | None = KEY,
        on_wait: Callable[[], None] = lambda: None,
        waiting_for: WaitingFor = nobody_hears,
        pace: Pace = QUICK,
    ) -> Delivered:
        """Deliver."""
        url = receiver if isinstance(receiver, str) else receiver.url
        return deliver(
            Deliver(url=url, batch_size=self.batch_size),
            Results(BATCH, self.items, len(self.indexes), self.between),
            self.working,
            self.output,
            "undelivered.jsonl",
            key=key,
            on_wait=on_wait,
            waiting_for=waiting_for,
            pace=pace,
        )

    def undelivered(self) -> list[dict[str, Any]]:
        """The lines of undelivered.jsonl; none if it is not there."""
        if not self.output.exists("undelivered.jsonl"):
            return []
        return [orjson.loads(line) for line in self.output.read("undelivered.jsonl").splitlines()]

    def proven(self, receiver: Receiver) -> bool:
        """Every result was received or is undelivered, as it is."""
        lost = {row["index"]: row["record"] for row in self.undelivered()}
        known = {line.index: orjson.loads(line.data) for line in lines(self.indexes, self.text)}
        return {**lost, **receiver.taken} == known

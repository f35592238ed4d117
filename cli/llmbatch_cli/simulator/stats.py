"""What has happened so far, as GET /stats tells it. The server counts, tests and users read.

Clock readings are arguments. Keys are kept for the first million Idempotency-Keys, so that a long run
cannot eat the memory; `keys_dropped` says how many came after that.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

_MAX_KEYS = 1_000_000


def _no_violations() -> dict[str, int]:
    return {"requests": 0, "tokens": 0, "concurrency": 0}


@dataclass(slots=True)
class Stats:
    requests: int = 0
    answered_ok: int = 0
    aborted: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    first_request_at: float | None = None
    last_request_at: float | None = None
    violations: dict[str, int] = field(default_factory=_no_violations)
    by_status: Counter[str] = field(default_factory=Counter)
    by_category: Counter[str] = field(default_factory=Counter)
    keys: dict[str, int] = field(default_factory=dict)
    traceparents: dict[str, str] = field(default_factory=dict)
    keys_dropped: int = 0

    def request_came(self, now: float, idempotency_key: str | None, traceparent: str | None) -> None:
        self.requests += 1
        self.last_request_at = now
        if self.first_request_at is None:
            self.first_request_at = now
        if idempotency_key is not None:
            self._count_key(idempotency_key, traceparent)

    def _count_key(self, key: str, traceparent: str | None) -> None:
        if key not in self.keys and len(self.keys) >= _MAX_KEYS:
            self.keys_dropped += 1
            return
        self.keys[key] = self.keys.get(key, 0) + 1
        if traceparent is not None:
            self.traceparents[key] = traceparent

    def admitted(self, input_tokens: int) -> None:
        self.input_tokens += input_tokens
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def finished(self) -> None:
        self.in_flight -= 1

    def fresh(self) -> "Stats":
        """As at the start, but for what is in flight: that will still finish."""
        return Stats(in_flight=self.in_flight, max_in_flight=self.in_flight)

    def as_json(self, *, with_keys: bool = False) -> dict[str, Any]:
        shown: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        if not with_keys:
            del shown["keys"], shown["traceparents"]
        return shown

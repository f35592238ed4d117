"""What a worker has used in the last seconds, corrected as estimates are. Pure: time is an argument."""

from llmbatch_contract.reports import Used

_SECONDS = 64
_SHORT_S = 2.0
_LONG_S = 10.0
_KINDS = 3


class Recent:
    """Requests, tokens and input tokens, by the second in which they were sent."""

    def __init__(self) -> None:
        self._sums = [[0.0] * _KINDS for _ in range(_SECONDS)]
        self._second: int | None = None
        self._since: float | None = None

    @property
    def has_begun(self) -> bool:
        """Something was sent."""
        return self._since is not None

    def sent(self, tokens: float, read: float, now: float) -> None:
        """A request goes that will use so much, by estimate."""
        self._move_to(now)
        if self._since is None:
            self._since = now
        self._add((1.0, tokens, read), now)

    def correct(self, tokens: float, read: float, sent_at: float, now: float) -> None:
        """The request that went at `sent_at` did not use so much of it."""
        self._move_to(now)
        if int(sent_at) > int(now) - _SECONDS:
            self._add((0.0, -tokens, -read), sent_at)

    def used(self, now: float, in_flight: int) -> Used:
        """A minute's worth, by the last ten seconds."""
        requests, tokens, read = self._per_minute(now, _LONG_S)
        return Used(
            requests_per_minute=requests, tokens_per_minute=tokens, input_tokens_per_minute=read, concurrency=in_flight
        )

    def used_just_now(self, now: float) -> tuple[float, float, float]:
        """A minute's worth of requests, tokens and input tokens, by the last two seconds."""
        return self._per_minute(now, _SHORT_S)

    def _per_minute(self, now: float, span_s: float) -> tuple[float, float, float]:
        self._move_to(now)
        if self._since is None:
            return 0.0, 0.0, 0.0
        first = int(now) - int(span_s)
        seconds = min(max(now - self._since, 1.0), now - first)
        rows = [self._sums[second % _SECONDS] for second in range(first, int(now) + 1)]
        requests, tokens, read = (max(0.0, sum(row[kind] for row in rows)) * 60 / seconds for kind in range(_KINDS))
        return requests, tokens, read

    def _add(self, amounts: tuple[float, float, float], at: float) -> None:
        row = self._sums[int(at) % _SECONDS]
        for kind, amount in enumerate(amounts):
            row[kind] += amount

    def _move_to(self, now: float) -> None:
        second = int(now)
        if second == self._second:
            return
        last = second - _SECONDS if self._second is None else max(self._second, second - _SECONDS)
        for each in range(last + 1, second + 1):
            self._sums[each % _SECONDS] = [0.0] * _KINDS
        self._second = second if self._second is None else max(self._second, second)

"""How long a grant may be used without a word from the coordinator. Pure: time is an argument.

After that it may have given the share to others. A grant without any limit needs no lease.
"""

from llmbatch_contract.reports import LEASE_S, Grant


class Lease:
    """Of one worker."""

    def __init__(self) -> None:
        self._from: float | None = None
        self._has_limit = False

    def renew(self, reported_at: float, grant: Grant) -> None:
        """The report that was sent at `reported_at` was answered with this grant."""
        self._from = reported_at if self._from is None else max(self._from, reported_at)
        self._has_limit = any(
            limit is not None
            for limit in (
                grant.requests_per_minute,
                grant.tokens_per_minute,
                grant.input_tokens_per_minute,
                grant.concurrency,
            )
        )

    @property
    def has_begun(self) -> bool:
        """There was a word."""
        return self._from is not None

    def is_over(self, now: float) -> bool:
        """Nothing may be sent until there is another reply."""
        return self._has_limit and self.silent_s(now) > LEASE_S

    def silent_s(self, now: float) -> float:
        """How old the last word of the coordinator may be; 0 before the first."""
        return 0.0 if self._from is None else now - self._from

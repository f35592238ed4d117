"""What the endpoint has refused since the coordinator was last told. Pure: time is an argument."""

from dataclasses import dataclass

from llmbatch_contract.reports import PushBack, PushBackKind

_MOST_CHARACTERS = 200
_NEWS_EVERY_S = 1.0


@dataclass
class _Some:
    count: int
    sent_at: float
    message: str


class PushBacks:
    """Of one worker."""

    def __init__(self) -> None:
        self._some: dict[PushBackKind, _Some] = {}
        self._news_at = float("-inf")

    def note(self, kind: PushBackKind, sent_at: float, message: str = "", *, now: float) -> bool:
        """A request sent at `sent_at` was pushed back. True if that should be told soon: not each of a burst."""
        is_news = kind not in self._some and now - self._news_at >= _NEWS_EVERY_S
        if is_news:
            self._news_at = now
        some = self._some.setdefault(kind, _Some(0, sent_at, ""))
        some.count += 1
        some.sent_at = max(some.sent_at, sent_at)
        some.message = message[:_MOST_CHARACTERS] or some.message
        return is_news

    def to_tell(self, now: float) -> list[PushBack]:
        """What is to be told now."""
        return [
            PushBack(kind=kind, count=some.count, sent_ago_s=max(0.0, now - some.sent_at), message=some.message)
            for kind, some in self._some.items()
        ]

    def told(self, push_backs: list[PushBack]) -> None:
        """The coordinator has heard this."""
        for each in push_backs:
            some = self._some[each.kind]
            some.count -= each.count
            if some.count <= 0:
                del self._some[each.kind]

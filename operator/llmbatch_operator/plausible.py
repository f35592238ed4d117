"""What a pod may claim. It runs whatever image its batch names, so its reports are cut to what can be true.

This keeps the operator's memory and its sums in order. It does not make a liar honest: whoever may use an endpoint is
believed about it, as by sending requests it could do worse. `allowedNamespaces` says who that is.
"""

from collections.abc import Iterable

from llmbatch_contract.model import Model
from llmbatch_contract.progress import Sample, ShardProgress
from llmbatch_contract.reports import Grant, PushBack, PushBackKind, Report, StopReason, StoreTrouble, Trouble

LONGEST_BACKOFF_S = 600.0
"""An endpoint may ask for an hour; after so long one request finds out whether it still means it."""
TEXT_CHARS = 1000
_MOST = 1e12
"""Of anything: far beyond what an endpoint bears, far below where sums lose whole numbers."""
_LONGEST_S = 3600.0


def plausible(report: Report, most_shards: int) -> Report:
    """The report, with what cannot be true cut. Asked hundreds of times a second, so most are returned as they are."""
    changes: dict[str, object] = {}
    if report.shards:
        shards = [_shard(s) for s in report.shards if 0 <= s.shard < most_shards]
        changes["shards"] = shards
    for name in ("demand", "used", "spent", "holds"):
        part: Model = getattr(report, name)
        if (cut := _amounts(part)) is not part:
            changes[name] = cut
    for name in ("in_flight", "largest_tokens"):
        if not 0 <= (amount := getattr(report, name)) <= _MOST:
            changes[name] = type(amount)(min(max(0, amount), _MOST))
    if not 0 <= report.backoff_seconds <= LONGEST_BACKOFF_S:
        changes["backoff_seconds"] = min(max(0.0, report.backoff_seconds), LONGEST_BACKOFF_S)
    if report.push_backs:
        changes["push_backs"] = _push_backs(report.push_backs)
    if report.trouble is not None:
        changes["trouble"] = _trouble(report.trouble)
    if report.store_trouble is not None:
        changes["store_trouble"] = _store_trouble(report.store_trouble)
    if report.stop is not None and len(report.stop.message) > TEXT_CHARS:
        changes["stop"] = StopReason(category=report.stop.category, message=report.stop.message[:TEXT_CHARS])
    return report.model_copy(update=changes) if changes else report


def _amounts(part: Model) -> Model:
    """No number of a flat part is below zero or beyond all measure."""
    wrong: dict[str, object] = {
        name: type(value)(min(max(0, value), _MOST))
        for name, value in part.__dict__.items()
        if isinstance(value, int | float) and not 0 <= value <= _MOST
    }
    if isinstance(part, Grant) and (budget := _amounts(part.budget)) is not part.budget:
        wrong["budget"] = budget
    return part.model_copy(update=wrong) if wrong else part


def _push_backs(told: Iterable[PushBack]) -> list[PushBack]:
    """One of each kind: the youngest."""
    kinds: dict[PushBackKind, PushBack] = {}
    for push_back in sorted(told, key=lambda p: -p.sent_ago_s):
        kinds[push_back.kind] = push_back.model_copy(
            update={
                "count": min(max(0, push_back.count), 1_000_000),
                "sent_ago_s": min(max(0.0, push_back.sent_ago_s), _LONGEST_S),
                "message": push_back.message[:TEXT_CHARS],
            }
        )
    return list(kinds.values())


def _trouble(told: Trouble) -> Trouble:
    return told.model_copy(
        update={
            "message": told.message[:TEXT_CHARS],
            "failures": min(max(0, told.failures), 1_000_000),
            "for_s": min(max(0.0, told.for_s), _MOST),
        }
    )


def _store_trouble(told: StoreTrouble) -> StoreTrouble:
    for_s = min(max(0.0, told.for_s), _MOST)
    return told.model_copy(update={"message": told.message[:TEXT_CHARS], "for_s": for_s})


def _shard(progress: ShardProgress) -> ShardProgress:
    """Messages end up in the status, so they are short."""
    samples = progress.samples.values()
    if all(len(s.message) <= TEXT_CHARS and len(s.item_id) <= TEXT_CHARS for s in samples):
        return progress
    cut = {
        category: Sample(item_id=s.item_id[:TEXT_CHARS], message=s.message[:TEXT_CHARS])
        for category, s in progress.samples.items()
    }
    return progress.model_copy(update={"samples": cut})

"""One limit, ten batches, 200 workers: shares by demand beside the two things that people do without a coordinator.

In simulated time, with the real gate, pacing, reports and coordinator, and with the simulator's strict limits; nothing
is sent over a network. CPU is real.
"""

from collections import Counter

from benchmarks.shared import figures
from benchmarks.shared.scene import Scene, scene
from benchmarks.shared.trial import Outcome, Times, Way, try_out
from benchmarks.sizes import Sizes
from benchmarks.tables import Section, Table

_NAMES = {
    Way.SHARED: "shares by demand",
    Way.SPLIT: "limit / pods",
    Way.ALONE: "each pod alone",
}
_COLUMNS = ("", "requests used", "tokens used", "refused", "most in a second", "evenness", "95 % used again after")
_TARGETS = ("target", "≥ 97 %", "", "0", "", "", "≤ 3 s")
_TIMES = Times(settled=60, halved=180, end=240)
"""The window of the limits is a minute: less would show its first moments only."""


def measure(sizes: Sizes) -> Section:
    """All three ways, on a limit of requests alone and on two limits."""
    alone, both = (scene(sizes.sharing_share, limits_tokens=limits_tokens) for limits_tokens in (False, True))
    on_one, on_both = (_in_all_ways(crowd) for crowd in (alone, both))
    tables = (_comparison(on_one, alone), _comparison(on_both, both), _coordinator(on_both[Way.SHARED], both))
    return Section("sharing", tables)


def _in_all_ways(crowd: Scene) -> dict[Way, Outcome]:
    return {way: try_out(way, crowd, _TIMES) for way in Way}


def _comparison(outcomes: dict[Way, Outcome], crowd: Scene) -> Table:
    tokens = "" if crowd.tokens_per_minute is None else f" and {crowd.tokens_per_minute:,} tokens"
    table = Table(
        f"{crowd.workers} workers of {len(crowd.batches)} batches in 3 namespaces, {crowd.requests_per_minute:,} "
        f"requests{tokens} a minute; used from second {_TIMES.settled} to {_TIMES.halved}, when half of the batches "
        "end:",
        _COLUMNS,
    )
    table.rows.extend((_NAMES[way], *_row(outcome, crowd)) for way, outcome in outcomes.items())
    table.rows.append(_TARGETS if crowd.tokens_per_minute is None else ("target", "", "", "0", "", "", "≤ 3 s"))
    return table


def _row(outcome: Outcome, crowd: Scene) -> tuple[str, ...]:
    endpoint, measured = outcome.endpoint, range(_TIMES.settled, _TIMES.halved)
    namespaces = {batch.namespace for batch in crowd.batches}
    asked = [sum(endpoint.by_namespace[name, second] for second in measured) for name in namespaces]
    after = range(_TIMES.halved, _TIMES.end)
    back_s = figures.back_after_s(endpoint.requests, after, crowd.requests_per_minute)
    return (
        _percent(endpoint.requests, measured, crowd.requests_per_minute),
        _percent(endpoint.tokens, measured, crowd.tokens_per_minute),
        f"{endpoint.refused:,}",
        f"{max(endpoint.requests.values(), default=0):,}",
        f"{figures.evenness(asked):.2f}",
        "never" if back_s is None else f"{back_s} s",
    )


def _percent(counts: Counter[int], seconds: range, per_minute: float | None) -> str:
    return "no limit" if per_minute is None else f"{100 * figures.used(counts, seconds, per_minute):.1f} %"


def _coordinator(outcome: Outcome, crowd: Scene) -> Table:
    table = Table(
        f"The coordinator, in {_TIMES.end} s of sharing both limits by demand:",
        ("workers", "reports", "CPU ms per 1,000 reports"),
    )
    each_ms = 1e6 * outcome.coordinator_cpu_s / max(1, outcome.reports)
    table.rows.append((f"{crowd.workers}", f"{outcome.reports:,}", f"{each_ms:,.0f}"))
    return table

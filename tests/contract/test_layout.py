import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmbatch_contract import layout
from llmbatch_contract.layout import ShardObjects, claim, done, part, read_listing, sent, shard_prefix, stop

_SHARDS = st.integers(0, 10**7)
_NUMBERS = st.integers(0, 10**6)
_PAIRS = st.sets(st.tuples(_NUMBERS, _NUMBERS), max_size=5)


@given(shard=_SHARDS, claims=st.sets(_NUMBERS, max_size=5), stops=st.sets(_NUMBERS, max_size=5), parts=_PAIRS,
       marks=_PAIRS, is_done=st.booleans(), order=st.randoms(use_true_random=False))  # fmt: skip
def test_a_listing_reads_back_what_the_names_were_made_of(
    shard: int,
    claims: set[int],
    stops: set[int],
    parts: set[tuple[int, int]],
    marks: set[tuple[int, int]],
    is_done: bool,
    order: random.Random,
) -> None:
    names = [
        *(claim(shard, n) for n in claims),
        *(stop(shard, n) for n in stops),
        *(part(shard, *p) for p in parts),
        *(sent(shard, *m) for m in marks),
        *([done(shard)] if is_done else []),
    ]
    order.shuffle(names)
    assert read_listing(names) == ShardObjects(
        claims=tuple(sorted(claims)),
        parts=tuple(sorted(parts)),
        sent={attempt: max(n for a, n in marks if a == attempt) for attempt, _ in marks},
        stops=tuple(sorted(stops)),
        is_done=is_done,
    )
    assert all(name.startswith(shard_prefix(shard)) for name in names)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param(claim(12, 3), "shards/00012/claim-0003", id="a claim"),
        pytest.param(sent(12, 3, 4096), "shards/00012/sent-0003-00004096", id="a mark of what was sent"),
        pytest.param(stop(12, 3), "shards/00012/stop-0003", id="a mark of a stop"),
        pytest.param(part(12, 3, 7), "shards/00012/part-0003-00007.jsonl", id="a part"),
        pytest.param(done(12), "shards/00012/done.json", id="the end of a shard"),
        pytest.param(claim(123456, 12345), "shards/123456/claim-12345", id="numbers longer than their zeros"),
    ],
)
def test_a_name_is_as_documented(name: str, expected: str) -> None:
    assert name == expected


@pytest.mark.parametrize("name", ["plan.json", "input"])
def test_a_name_of_the_whole_batch_is_described_in_the_module(name: str) -> None:
    assert name in (layout.PLAN, layout.UNPACKED_INPUT)
    described = [line.split()[0] for line in (layout.__doc__ or "").splitlines()[2:] if line]
    assert name in described


@given(a=_NUMBERS, b=_NUMBERS, first=_NUMBERS, second=_NUMBERS)
def test_two_parts_never_share_a_name(a: int, b: int, first: int, second: int) -> None:
    assert (part(1, a, first) == part(1, b, second)) == ((a, first) == (b, second))


@pytest.mark.parametrize(
    "name",
    ["", "notes.txt", "claim-", "claim-1.bak", "part-0001-00001.jsonl#1", "part-0001.jsonl", "done.json.tmp",
     "disclaim-0001", "counterpart-0001-00001.jsonl", "nonstop-0001", "undone.json"],
)  # fmt: skip
def test_an_unknown_name_is_passed_over(name: str) -> None:
    assert read_listing([f"{shard_prefix(1)}{name}"]) == read_listing([])


def test_an_empty_listing_is_a_shard_that_nobody_took() -> None:
    assert read_listing([]) == ShardObjects(claims=(), parts=(), sent={}, stops=(), is_done=False)

"""Reading ahead: in order, several at once, in bounded memory, little for who looks at the beginning only."""

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbatch_worker.stores import ahead
from llmbatch_worker.stores.ahead import ReadAhead

DATA = bytes(range(256)) * 8


class Fetcher:
    """Hands out DATA, and notes what is asked."""

    def __init__(self, slow_s: float = 0.0) -> None:
        self.asked: list[tuple[int, int]] = []
        self.at_once = self.most_at_once = 0
        self._slow_s = slow_s
        self._lock = threading.Lock()

    def __call__(self, start: int, end: int) -> bytes:
        with self._lock:
            self.asked.append((start, end))
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(self._slow_s)
        with self._lock:
            self.at_once -= 1
        return DATA[start:end]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "FIRST_BYTES", 10)
    monkeypatch.setattr(ahead, "BLOCK_BYTES", 40)


@settings(max_examples=60)
@given(ends=st.tuples(st.integers(0, len(DATA)), st.integers(0, len(DATA))), slots=st.integers(1, 8))
def test_blocks_are_the_bytes_of_the_range_in_order(ends: tuple[int, int], slots: int) -> None:
    start, end = sorted(ends)
    blocks = list(ReadAhead(slots).blocks(Fetcher(), start, end))
    assert b"".join(blocks) == DATA[start:end]
    assert all(0 < len(block) <= 40 for block in blocks)


def test_who_looks_at_the_beginning_asks_for_little() -> None:
    fetch = Fetcher()
    blocks = ReadAhead().blocks(fetch, 0, len(DATA))
    assert next(blocks) == DATA[:10]
    assert fetch.asked == [(0, 10)]


def test_several_are_fetched_at_once_and_no_more_than_there_are_slots() -> None:
    fetch = Fetcher(slow_s=0.005)
    assert b"".join(ReadAhead(4).blocks(fetch, 0, len(DATA))) == DATA
    assert 2 <= fetch.most_at_once <= 4


def test_all_readers_together_hold_no_more_blocks_than_there_are_slots_and_readers() -> None:
    fetch, reader = Fetcher(), ReadAhead(3)
    readers = [reader.blocks(fetch, 0, len(DATA)) for _ in range(5)]
    for _ in range(4):
        for blocks in readers:
            next(blocks)
    handed_out = 5 * (10 + 3 * 40)
    assert sum(end - start for start, end in fetch.asked) <= handed_out + 3 * 40


def test_a_reader_that_is_left_gives_its_slots_back() -> None:
    reader = ReadAhead(3)
    for _ in range(10):
        blocks = reader.blocks(Fetcher(), 0, len(DATA))
        for _ in range(4):
            next(blocks)
        blocks.close()  # type: ignore[attr-defined]
    fetch = Fetcher(slow_s=0.005)
    assert b"".join(reader.blocks(fetch, 0, len(DATA))) == DATA
    assert fetch.most_at_once == 3


def test_an_error_comes_where_its_block_would_and_frees_the_slots() -> None:
    reader = ReadAhead(3)

    def fetch(start: int, end: int) -> bytes:
        if start <= 100 < end:
            raise OSError("broken")
        return DATA[start:end]

    for _ in range(5):
        found = b""
        with pytest.raises(OSError, match="broken"):
            for block in reader.blocks(fetch, 0, len(DATA)):
                found += block
        assert found == DATA[:90]

"""Outputs come whole or with an error; files appear whole or not at all."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_cli.batch_documents import Document, batch, condition, outputs, status
from llmbatch_cli.kubectl.built_in import signed_url
from llmbatch_cli.kubectl.places import Kind, Place
from llmbatch_cli.kubectl.results import place_of
from llmbatch_cli.outputs.download import of_categories, to_file
from llmbatch_cli.outputs.objects import Written, checked
from llmbatch_contract.errors import BatchStateError, DownloadError, InvalidError
from llmbatch_contract.wire import is_signed

DATA = b"one\ntwo\n"
WHOLE = Written(len(DATA), hashlib.sha256(DATA).hexdigest())


def broken() -> Iterator[bytes]:
    yield b"half"
    raise DownloadError("the connection broke")


@pytest.mark.parametrize(
    ("blocks", "written", "problem"),
    [
        pytest.param([b"one\n", b"two\n"], WHOLE, None, id="whole"),
        pytest.param([], Written(0, hashlib.sha256().hexdigest()), None, id="empty"),
        pytest.param([b"one\n"], WHOLE, "4 of 8 bytes", id="cut off"),
        pytest.param([b"one\nTWO\n"], WHOLE, "SHA-256", id="changed"),
        pytest.param([b"any"], Written(), None, id="a summary that does not say is believed"),
    ],
)
def test_what_comes_must_be_what_was_written(blocks: list[bytes], written: Written, problem: str | None) -> None:
    seen = checked(iter(blocks), written, "results of tickets")
    if problem is None:
        assert list(seen) == blocks
    else:
        with pytest.raises(DownloadError, match=problem):
            list(seen)


def test_a_url_is_signed_for_its_path_and_time() -> None:
    path = "/v1/results/shop/tickets/results.jsonl"
    url = signed_url("key", path, 1_700_000_000, "ops")
    proxy, _, query = url.partition("?")
    fields = dict(part.split("=") for part in query.split("&"))
    assert proxy == f"/api/v1/namespaces/ops/services/https:llmbatch-coordinator:https/proxy{path}"
    assert is_signed("key", path, int(fields["expires"]), fields["signature"])


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        pytest.param(
            status("Running", total=10, succeeded=4),
            r"tickets is Running \(40 %\): there are results when it is finished",
            id="not finished",
        ),
        pytest.param(None, "tickets is Pending", id="not begun"),
        pytest.param(
            status("Failed", conditions=[condition("Failed", "InputInvalid", "line 3 is no JSON")]) | {"output": {}},
            "tickets is Failed and has no results: line 3 is no JSON",
            id="ended without outputs",
        ),
    ],
)
def test_why_there_is_nothing_to_read(given: Document | None, sentence: str) -> None:
    with pytest.raises(BatchStateError, match=sentence):
        place_of(batch(given), "results")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        pytest.param(
            "llmbatch://shop/tickets/results.csv",
            Place(Kind.BUILT_IN, "llmbatch://shop/tickets", "results.csv"),
            id="the built-in store",
        ),
        pytest.param(
            "s3://answers/2026/results.jsonl.gz", Place(Kind.STORE, "s3://answers/2026", "results.jsonl.gz"), id="S3"
        ),
        pytest.param("gs://answers/results/", Place(Kind.STORE, "gs://answers", "results/"), id="a folder"),
        pytest.param(
            "pvc:/answers/2026/11/errors.jsonl", Place(Kind.VOLUME, "answers/2026/11", "errors.jsonl"), id="a volume"
        ),
    ],
)
def test_a_place_is_read_from_the_status(text: str, place: Place) -> None:
    assert Place.of(text) == place
    seen = place_of(batch(status("Succeeded") | {"output": outputs() | {"results": text}}), "results")
    assert seen == place


def test_a_volume_is_named_by_its_claim_and_the_path_in_it() -> None:
    place = Place.of("pvc:/answers/2026/11/results/")
    assert (place.claim, place.path) == ("answers", "2026/11/results/")
    assert Place.of("pvc:/answers/results.csv").path == "results.csv"


def test_a_file_appears_whole(tmp_path: Path) -> None:
    to_file(iter([b"a", b"b"]), tmp_path / "out", force=False)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("out", b"ab")]


def test_a_broken_stream_leaves_no_file_and_spares_the_old_one(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_bytes(b"old")
    for file in (tmp_path / "new", old):
        with pytest.raises(DownloadError, match="broke"):
            to_file(broken(), file, force=True)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("old", b"old")]


def test_a_file_is_overwritten_only_by_force(tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_bytes(b"old")
    with pytest.raises(InvalidError, match="--force"):
        to_file(iter([b"new"]), file, force=False)
    assert file.read_bytes() == b"old"
    to_file(iter([b"new"]), file, force=True)
    assert file.read_bytes() == b"new"


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="No such file or directory"):
        to_file(iter([b"new"]), tmp_path / "nowhere" / "out", force=False)


def letter(category: str, text: str = "") -> bytes:
    row: dict[str, Any] = {"id": text, "error": {"category": category}}
    return json.dumps(row).encode() + b"\n"


@given(
    categories=st.lists(st.sampled_from(["timeout", "auth", "refusal"])),
    wanted=st.sets(st.sampled_from(["timeout", "auth"])),
    size=st.integers(1, 200),
)
def test_dead_letters_are_chosen_by_category(categories: list[str], wanted: set[str], size: int) -> None:
    letters = [letter(category, "ü\n" * 30) for category in categories]
    data = b"".join(letters)
    blocks = (data[n : n + size] for n in range(0, len(data), size))
    chosen = [each for each, category in zip(letters, categories, strict=True) if category in wanted]
    assert list(of_categories(blocks, wanted)) == chosen


def test_a_letter_that_is_cut_off_is_not_passed_on_before_the_error() -> None:
    def cut_off() -> Iterator[bytes]:
        yield letter("auth") + letter("auth")[:9]
        raise DownloadError("the connection broke")

    seen = of_categories(cut_off(), {"auth"})
    assert next(seen) == letter("auth")
    with pytest.raises(DownloadError):
        next(seen)

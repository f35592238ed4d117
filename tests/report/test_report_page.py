"""The page says what the two documents say, whatever they say, and takes nothing in them for markup."""

import copy
import functools
import json
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import Document
from llmbatch_cli.report.page import page, page_of
from llmbatch_contract.errors import InvalidError
from report.report_samples import EVIL, SAMPLES, Reported, busy

VOID = {"meta"}
SECTIONS = ["progress", "throughput", "latency", "errors", "cost", "slowest", "shards", "question"]


class Reader(HTMLParser):
    """Reads a page strictly: every element is closed, in order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.attributes: set[str] = set()
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reported]:
    return {name: make(tmp_path_factory.mktemp("sample")) for name, make in SAMPLES.items()}


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_section_is_there_whatever_came_of_the_batch(reports: dict[str, Reported], sample: str) -> None:
    found = read(page(*reports[sample]))
    assert [name for name in found.ids if name in SECTIONS] == SECTIONS
    assert len(set(found.ids)) == len(found.ids)


@pytest.mark.parametrize(
    ("sample", "sentences"),
    [
        pytest.param("busy", ["1,147 of 1,200 items succeeded, 53 failed.", "2 of them lost", "limit 120"], id="busy"),
        pytest.param("one item", ["The one item succeeded.", "No item failed."], id="one item"),
        pytest.param("all failed", ["0 of 7 items succeeded, 7 failed.", "No tokens were used."], id="all failed"),
        pytest.param("cancelled", ["3 were not answered. Stopped early: spec.cancel is set"], id="cancelled"),
        pytest.param("never started", ["No item was answered", "No shard was begun."], id="never started"),
    ],
)
def test_it_says_how_it_ended(reports: dict[str, Reported], sample: str, sentences: list[str]) -> None:
    text = read(page(*reports[sample])).text
    for sentence in sentences:
        assert sentence in text


def test_it_names_question_trace_and_samples_of_errors(reports: dict[str, Reported]) -> None:
    summary, report = reports["busy"]
    text = read(page(summary, report)).text
    for words in ("gpt-4.1-mini", "https://api.example.com/v1", "You are a support agent.", "max_tokens", "{{ text }}"):
        assert words in text
    assert summary["trace_id"] in text
    assert all(sample["id"] in text for error in report["errors"] for sample in error["samples"])
    assert all(row["id"] in text for row in report["slowest"])


def test_it_loads_nothing_and_runs_no_script_but_its_own(reports: dict[str, Reported]) -> None:
    html = page(*reports["busy"])
    found = read(html)
    assert not {"src", "href", "srcset", "onclick", "onload"} & found.attributes
    assert found.tags.count("script") == 1
    assert "default-src &#x27;none&#x27;" in html
    assert "@import" not in html
    assert "url(" not in html


def test_variables_of_pods_headers_and_signatures_stay_out(reports: dict[str, Reported]) -> None:
    summary, report = copy.deepcopy(reports["busy"])
    summary["configuration"]["worker"] = {"env": [{"name": "A", "value": "not for all"}]}
    summary["configuration"]["endpoint"]["headers"] = {"x-team": "not for all"}
    for part in (summary["configuration"]["input"], summary["input"]):
        part["uri"] = "https://example.com/in.csv?signature=not for all"
    summary["configuration"]["endpoint"]["url"] = "https://example.com/v1?key=not for all"
    html = page(summary, report)
    assert "not for all" not in html
    assert "https://example.com/in.csv?…" in html


def test_text_of_items_and_models_is_never_markup(reports: dict[str, Reported]) -> None:
    html = page(*reports["hostile"])
    found = read(html)
    assert "img" not in found.tags
    assert EVIL not in html
    assert "onerror=alert(1)" in found.text


_TEXT = st.text(min_size=1, max_size=40) | st.sampled_from(
    [EVIL, "<b>", "'\"><script>alert(1)</script>", "]]>", "<!--", "&lt;"]
)


def _texts_replaced(document: Any, word: str, path: str = "") -> Any:
    """The same with every text in it replaced that is not one of the program's own words."""
    if isinstance(document, dict):
        return {key: _texts_replaced(value, word, key) for key, value in document.items()}
    if isinstance(document, list):
        return [_texts_replaced(value, word, path) for value in document]
    is_fixed = path.endswith("_at") or path in ("phase", "ended", "category")
    return word if isinstance(document, str) and not is_fixed else document


@functools.cache
def _cancelled() -> Reported:
    with tempfile.TemporaryDirectory() as folder:
        return SAMPLES["cancelled"](Path(folder))


@settings(max_examples=40, deadline=None)
@given(word=_TEXT)
def test_any_text_anywhere_leaves_the_page_as_it_is(word: str) -> None:
    plain, found = (read(page(*(_texts_replaced(each, text) for each in _cancelled()))) for text in ("x", word))
    assert found.tags == plain.tags
    assert found.attributes == plain.attributes


@pytest.mark.parametrize("factor", [1, 1000, 10_000_000])
def test_numbers_of_any_size_have_room(reports: dict[str, Reported], factor: int) -> None:
    summary, report = (copy.deepcopy(each) for each in reports["busy"])
    for name in ("total", "succeeded", "failed"):
        summary["items"][name] *= factor
    for name in ("succeeded", "failed", "attempts", "input_tokens", "output_tokens"):
        report["timeline"][name] = [value * factor for value in report["timeline"][name]]
    text = read(page(summary, report)).text
    assert f"{1200 * factor:,} items" in text
    assert "e+" not in text


def _written(summary: Document, report: Document) -> tuple[bytes, bytes]:
    return json.dumps(summary).encode(), json.dumps(report).encode()


def test_files_that_do_not_fit_are_an_error(tmp_path: Path) -> None:
    summary, report = busy(tmp_path)
    assert page_of(*_written(summary, report)) == page(summary, report)
    with pytest.raises(InvalidError, match="newer version"):
        page_of(*_written(summary, report | {"version": 99}))
    with pytest.raises(InvalidError, match="different runs"):
        page_of(*_written(summary, report | {"uid": "other"}))

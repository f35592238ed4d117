"""The examples in the pages about stores, inputs and outputs are valid, and those of inputs can be planned."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import builders
from builders import Document
from llmbatch_worker.inputs.selecting import Where
from llmbatch_worker.planning.planner import make_plan
from llmbatch_worker.stores.patterns import Pattern, pattern_of
from s3_servers import Bucket

pytest_plugins = ["s3_fixture"]

_DOCS = Path(__file__).parents[2] / "docs"
_PAGES = ["inputs.md", "outputs.md", "stores.md", "deliver.md"]
_INPUTS = (_DOCS / "inputs.md").read_text()
_TICKETS = [
    {"ticket_id": f"T-{n}", "lang": "de" if n % 2 else "en", "stars": n % 5, "text": f"refund {n}", "body": "b"}
    for n in range(20)
]


def _documents(page: str) -> list[Document]:
    blocks = re.findall(r"```yaml\n(.*?)```", (_DOCS / page).read_text(), re.DOTALL)
    return [document for block in blocks for document in yaml.safe_load_all(block)]


def _parts(document: Document) -> Document:
    """What an example says of the spec."""
    found: Document = document.get("spec", document)
    return found


_ALL = [
    pytest.param(document, id=f"{page} {number}: {', '.join(_parts(document))}")
    for page in _PAGES
    for number, document in enumerate(_documents(page))
    if document.get("kind", "LLMBatch") == "LLMBatch" and not document.keys() & {"metadata"}
]


@pytest.mark.parametrize("document", _ALL)
def test_an_example_is_a_valid_part_of_a_manifest(document: Document) -> None:
    builders.batch(**{_snake(name): value for name, value in _parts(document).items()})


def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", lambda found: f"_{found[1].lower()}", name)


@pytest.mark.parametrize("number", range(len(_documents("inputs.md"))))
def test_an_example_of_an_input_can_be_planned(moto_s3: Bucket, number: int) -> None:
    given = _documents("inputs.md")[number]["input"]
    _put_tickets(moto_s3, given["uri"])
    here = {"uri": given["uri"].replace("s3://support/", moto_s3.uri()), "store": moto_s3.settings}
    planned = make_plan(
        builders.batch(input=given | here), None, uid="u", created_at="2026-01-01T00:00:00Z", stores=moto_s3.stores()
    )
    expected = [t for t in _TICKETS if "where" not in given or (t["lang"] == "de" and int(str(t["stars"])) < 3)]
    assert planned.plan.items == len(expected)


def _put_tickets(bucket: Bucket, uri: str) -> None:
    for number, some in enumerate((_TICKETS[:7], _TICKETS[7:])):
        if uri.endswith(".parquet"):
            file = io.BytesIO()
            pq.write_table(pa.Table.from_pylist(some), file)
            bucket.put(f"tickets/2026-11/{number}.parquet", file.getvalue())
        else:
            bucket.put(f"tickets/{number}.jsonl", b"".join(json.dumps(each).encode() + b"\n" for each in some))


@pytest.mark.parametrize("expression", re.findall(r"where: ([^`\n]+)", _INPUTS))
def test_an_expression_of_the_page_can_be_judged(expression: str) -> None:
    item: dict[str, Any] = dict(_TICKETS[1])
    where = Where(expression)
    item["stars"] = str(item["stars"]) if "|int" in expression else item["stars"]
    assert where.holds(item) in (True, False)


@pytest.mark.parametrize("uri", re.findall(r"^\| `s3://b/([^`]+)`", _INPUTS, re.MULTILINE))
def test_a_name_of_the_table_of_patterns_is_one(uri: str) -> None:
    pattern = pattern_of(uri)
    assert isinstance(pattern, Pattern)
    assert pattern.matches({"day/*.jsonl": "day/a.jsonl", "**/items.csv": "a/b/items.csv", "day/": "day/a/b"}[uri])
    assert not pattern.matches({"day/*.jsonl": "day/a/b.jsonl", "**/items.csv": "a/x.csv", "day/": "day/_SUCCESS"}[uri])


@pytest.mark.parametrize("page", _PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(((?!https?:)[^)]+)\)", (_DOCS / page).read_text()):
        path, _, anchor = target.partition("#")
        text = (_DOCS / (path or page)).read_text()
        assert not anchor or anchor in _anchors(text), target


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}

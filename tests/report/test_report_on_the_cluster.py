"""`kubectl llmbatch report` through a real API server from the real coordinator."""

import json
from pathlib import Path

import pytest

from builders import Document
from kubectl_cli.batch_documents import outputs, status
from kubectl_cli.own_coordinator import OwnCoordinator
from kubectl_cli.shop import Shop
from llmbatch_cli.report.page import page
from report.report_samples import one_item

pytest_plugins = ["cluster_fixture", "kubectl_cli.shop", "kubectl_cli.own_coordinator"]


def _finished(coordinator: OwnCoordinator, files: dict[str, Document]) -> dict[str, str]:
    """A batch with these outputs; the variables to run the command with."""
    shop = coordinator.shop
    uid = shop.create(status(total=1, succeeded=1) | {"output": outputs(shop.namespace)})
    coordinator.keep(uid, {name: json.dumps(document).encode() for name, document in files.items()})
    return {"LLMBATCH_OPERATOR_NAMESPACE": shop.namespace}


def test_the_page_comes_to_stdout_and_to_a_file(coordinator: OwnCoordinator, tmp_path: Path) -> None:
    summary, report = one_item(tmp_path)
    where = _finished(coordinator, {"summary.json": summary, "report.json": report})
    file = tmp_path / "report.html"
    printed = coordinator.shop.run("report", "tickets", "-o", "-", **where)
    written = coordinator.shop.run("report", "tickets", "-o", str(file), **where)
    again = coordinator.shop.run("report", "tickets", "-o", str(file), **where)
    assert (printed.code, printed.err, written.code, written.err) == (0, "", 0, "")
    assert printed.out == file.read_text(encoding="utf-8") == page(summary, report)
    assert (again.code, again.err) == (2, f"error: {file} exists; --force overwrites it\n")


def test_a_batch_of_an_older_operator_has_none(coordinator: OwnCoordinator, tmp_path: Path) -> None:
    where = _finished(coordinator, {"summary.json": one_item(tmp_path)[0]})
    ended = coordinator.shop.run("report", "tickets", "-o", str(tmp_path / "report.html"), **where)
    assert (ended.code, ended.out) == (1, "")
    assert "tickets was finished by an operator that wrote no report.json yet" in ended.err
    assert not (tmp_path / "report.html").exists()


def test_a_batch_that_is_not_finished_says_where_it_is_and_when_it_may_be(shop: Shop) -> None:
    shop.create(status("Running", total=4, succeeded=1, estimatedCompletionTime="2026-11-22T09:30:00Z"))
    ended = shop.run("report", "tickets")
    assert ended.code == 1
    assert ended.err == (
        "error: tickets is Running (25 %): there is a report when it is finished, which is expected for "
        "2026-11-22 09:30:00 UTC; `kubectl llmbatch watch tickets` waits for that\n"
    )


def test_a_batch_with_outputs_elsewhere_says_where_and_which_keys_it_takes(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = dict.fromkeys(("results", "errors", "summary"), "s3://bucket/out/summary.json")
    shop.create(status(total=1, succeeded=1) | {"output": place})
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    said = shop.run("report", "tickets").err
    assert "cannot read s3://bucket/out/summary.json: no credentials; give AWS_ACCESS_KEY_ID" in said

"""Results, errors and summary through a real API server from the real coordinator."""

import hashlib
import json
import shlex
import subprocess
from pathlib import Path

import pytest

from finished_shards import finished_shards
from kubectl_cli.batch_documents import outputs, status
from kubectl_cli.own_coordinator import OwnCoordinator
from kubectl_cli.shop import Shop

pytest_plugins = ["cluster_fixture", "kubectl_cli.shop", "kubectl_cli.own_coordinator"]

LINE = b'{"id": "1", "output": "\xc3\xbc"}\n'
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
LETTERS = b"".join(
    b'{"id":"%d","index":%d,"error":{"category":"%s"},"trace_id":"%s"}\n' % (*letter, TRACE_ID.encode())
    for letter in ((2, 1, b"timeout"), (3, 17, b"auth"))
)


def summary(results: bytes = LINE, errors: bytes = LETTERS) -> bytes:
    """A summary that tells of these outputs."""
    rows = {"results": results, "errors": errors}
    told = {n: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for n, data in rows.items()}
    return json.dumps({"name": "tickets", "output": told}).encode()


def finished(coordinator: OwnCoordinator, results: bytes = LINE, said: bytes | None = None) -> None:
    """A batch with outputs."""
    shop = coordinator.shop
    uid = shop.create(status(total=3, succeeded=1, failed=2) | {"output": outputs(shop.namespace)})
    files = {"results.jsonl": results, "errors.jsonl": LETTERS, "summary.json": said or summary(results)}
    coordinator.keep(uid, files)


def operator_in(shop: Shop) -> dict[str, str]:
    return {"LLMBATCH_OPERATOR_NAMESPACE": shop.namespace}


def test_outputs_come_as_they_were_written(coordinator: OwnCoordinator, tmp_path: Path) -> None:
    finished(coordinator)
    shop, where = coordinator.shop, operator_in(coordinator.shop)
    printed = {command: shop.run(command, "tickets", **where) for command in ("results", "errors", "summary")}
    assert {command: (ended.code, ended.err) for command, ended in printed.items()} == dict.fromkeys(printed, (0, ""))
    assert printed["results"].out.encode() == LINE
    assert printed["errors"].out.encode() == LETTERS
    assert json.loads(printed["summary"].out)["name"] == "tickets"
    chosen = shop.run("errors", "tickets", "--category", "auth", "--operator-namespace", shop.namespace)
    assert chosen.out.encode() == LETTERS.splitlines(keepends=True)[1]

    file = tmp_path / "results.jsonl"
    first = shop.run("results", "tickets", "-o", str(file), **where)
    again = shop.run("results", "tickets", "-o", str(file), **where)
    assert (first.code, first.err) == (0, "")
    assert file.read_bytes() == LINE
    assert (again.code, again.err) == (2, f"error: {file} exists; --force overwrites it\n")


def test_a_large_output_comes_whole_and_a_reader_may_stop_early(coordinator: OwnCoordinator, tmp_path: Path) -> None:
    large = b"".join(b'{"id": "%d", "output": "some text"}\n' % n for n in range(600_000))
    finished(coordinator, large)
    shop, where = coordinator.shop, operator_in(coordinator.shop)
    file = tmp_path / "large"
    assert shop.run("results", "tickets", "-o", str(file), **where).code == 0
    assert hashlib.sha256(file.read_bytes()).digest() == hashlib.sha256(large).digest()

    command = shlex.join(shop.command("results", "tickets", "--operator-namespace", shop.namespace))
    piped = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{command} | head -1"], capture_output=True, timeout=60, check=False
    )
    assert (piped.returncode, piped.stdout, piped.stderr) == (0, large.splitlines(keepends=True)[0], b"")


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        pytest.param(summary(LINE * 2), "28 of 56 bytes came", id="less than was written"),
        pytest.param(summary(LINE[::-1]), "SHA-256 differs", id="something else"),
        pytest.param(summary()[:-9], "summary.json of tickets came incomplete", id="half a summary"),
    ],
)
def test_what_is_not_whole_is_an_error_and_no_file(
    coordinator: OwnCoordinator, tmp_path: Path, said: bytes, sentence: str
) -> None:
    finished(coordinator, said=said)
    file = tmp_path / "results.jsonl"
    ended = coordinator.shop.run("results", "tickets", "-o", str(file), **operator_in(coordinator.shop))
    assert ended.code == 1
    assert sentence in ended.err
    assert not list(tmp_path.glob("results*"))


def test_each_thing_that_can_be_missing_has_its_sentence(coordinator: OwnCoordinator) -> None:
    shop, where = coordinator.shop, operator_in(coordinator.shop)
    uid = shop.create(status(total=1, succeeded=1) | {"output": outputs(shop.namespace)})
    assert "holds the key to the results, is gone" in shop.run("results", "tickets", **where).err
    coordinator.keep(uid, {})
    assert "the operator's store has no" in shop.run("results", "tickets", **where).err
    coordinator.forget()
    assert "the operator refused: the signature is wrong" in shop.run("results", "tickets", **where).err
    nowhere = shop.run("results", "tickets", "--operator-namespace", "default")
    assert "no operator in namespace default; --operator-namespace says where" in nowhere.err
    shop.cluster.kubectl("delete", "endpoints", "--all", "-n", shop.namespace)
    assert shop.run("results", "tickets", **where).code == 1


def test_each_permission_that_is_missing_has_its_sentence(coordinator: OwnCoordinator, tmp_path: Path) -> None:
    finished(coordinator)
    shop, where = coordinator.shop, operator_in(coordinator.shop)
    joe = shop.as_user("joe", tmp_path)
    shop.allow("joe", "llmbatches.llmbatch.dev")
    assert "that needs the verb get on secrets there" in joe.run("results", "tickets", **where).err
    shop.allow("joe", "secrets")
    assert "that needs the verb get on services/proxy in namespace" in joe.run("results", "tickets", **where).err
    shop.allow("joe", "services/proxy")
    assert joe.run("results", "tickets", **where).out.encode() == LINE


def test_errors_are_listed_with_links_into_the_trace(coordinator: OwnCoordinator) -> None:
    finished(coordinator)
    shop = coordinator.shop
    template = "http://jaeger/trace/{trace_id}?uiFind={item}&of={namespace}/{batch}"
    where = operator_in(shop) | {"LLMBATCH_TRACE_URL": template}
    listed = shop.run("errors", "tickets", "--trace", **where)
    assert (listed.code, listed.err) == (0, "")
    link = f"http://jaeger/trace/{TRACE_ID}?uiFind={{}}&of={shop.namespace}/tickets"
    assert listed.out == f"2\ttimeout\t{link.format(2)}\n3\tauth\t{link.format(3)}\n"

    chosen = shop.run("errors", "tickets", "--trace-url", "{index}", "--category", "auth", **where)
    assert (chosen.code, chosen.out, chosen.err) == (0, "3\tauth\t17\n", "")
    wrong = shop.run("errors", "tickets", "--trace", "--trace-url", "http://jaeger/{trace}", **where)
    assert (wrong.code, wrong.out) == (2, "")
    assert "{trace} in the link to a trace" in wrong.err


def test_without_a_template_errors_are_listed_with_trace_ids_and_a_hint(coordinator: OwnCoordinator) -> None:
    finished(coordinator)
    listed = coordinator.shop.run("errors", "tickets", "--trace", **operator_in(coordinator.shop))
    assert (listed.code, listed.out) == (0, f"2\ttimeout\t{TRACE_ID}\n3\tauth\t{TRACE_ID}\n")
    assert "--trace-url or LLMBATCH_TRACE_URL makes links" in listed.err


def test_errors_in_the_form_of_openai_have_no_categories(shop: Shop) -> None:
    shop.create(status(total=1, failed=1), output={"format": "openai"})
    ended = shop.run("errors", "tickets", "--category", "auth")
    assert (ended.code, ended.err) == (2, "error: --category: errors in OpenAI's form do not name a category each\n")
    ended = shop.run("errors", "tickets", "--trace")
    assert (ended.code, ended.err) == (2, "error: --trace: errors in OpenAI's form do not name a trace each\n")


def test_a_batch_that_is_not_finished_says_so(shop: Shop) -> None:
    shop.create(status("Running", total=4, succeeded=1))
    ended = shop.run("results", "tickets")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: tickets is Running (25 %): there are results when it is finished")


def test_records_of_finished_shards_come_while_the_batch_runs(coordinator: OwnCoordinator, tmp_path: Path) -> None:
    shop, where = coordinator.shop, operator_in(coordinator.shop)
    uid = shop.create(status("Running", total=120, succeeded=60))
    work = finished_shards(6, 20, [0, 2, 5])
    coordinator.keep(uid, {})
    coordinator.write(uid, "work", work.objects)
    told = "of 120 items (50 %), 3 of 6 shards are finished\n"

    ended = shop.run("results", "tickets", "--partial", **where)
    assert (ended.code, ended.out.encode()) == (0, b"".join(work.results))
    assert ended.err == f"{len(work.results)} results; 60 {told}"
    ended = shop.run("errors", "tickets", "--partial", **where)
    assert (ended.out.encode(), ended.err) == (b"".join(work.errors), f"{len(work.errors)} errors; 60 {told}")
    ended = shop.run("errors", "tickets", "--partial", "--category", "timeout", **where)
    assert ended.out.encode() == b"".join(line for line in work.errors if b"timeout" in line)

    file = tmp_path / "so-far.jsonl"
    assert shop.run("results", "tickets", "--partial", "-o", str(file), **where).code == 0
    assert file.read_bytes() == b"".join(work.results)


def test_what_is_not_there_before_the_end_has_its_sentence(coordinator: OwnCoordinator, tmp_path: Path) -> None:
    shop, where = coordinator.shop, operator_in(coordinator.shop)
    uid = shop.create(status("Planning"))
    coordinator.keep(uid, {})
    ended = shop.run("results", "tickets", "--partial", **where)
    assert (ended.code, ended.err) == (1, "error: no shard of tickets is finished yet\n")
    work = finished_shards(2, 5, [0, 1])
    work.objects["shards/00001/part-0001-00000.jsonl"] = b"damaged"
    coordinator.write(uid, "work", work.objects)
    file = tmp_path / "so-far.jsonl"
    ended = shop.run("results", "tickets", "--partial", "-o", str(file), **where)
    assert ended.code == 1
    assert not list(tmp_path.iterdir())
    shop.write(status("Succeeded", total=10, succeeded=10) | {"output": outputs(shop.namespace)})
    ended = shop.run("results", "tickets", "--partial", **where)
    assert ended.err == "error: tickets is Succeeded: its results are whole; leave out --partial\n"


@pytest.mark.parametrize(
    ("delivery", "expected"),
    [
        pytest.param({"undelivered": 1}, (0, '{"id": "1"}\n', ""), id="some were not taken"),
        pytest.param({"undelivered": 0}, (0, "", ""), id="all were"),
        pytest.param(
            None, (1, "", "error: tickets delivers no results: it has no spec.deliver\n"), id="nothing is delivered"
        ),
    ],
)
def test_results_that_were_not_delivered_can_be_read(
    coordinator: OwnCoordinator, delivery: dict[str, int] | None, expected: tuple[int, str, str]
) -> None:
    shop = coordinator.shop
    uid = shop.create(status(total=1, succeeded=1) | {"output": outputs(shop.namespace)})
    told = json.dumps({"name": "tickets", "delivery": delivery}).encode()
    coordinator.keep(uid, {"summary.json": told, "undelivered.jsonl": b'{"id": "1"}\n'})
    ended = shop.run("undelivered", "tickets", **operator_in(shop))
    assert (ended.code, ended.out, ended.err) == expected

"""The commands on a real API server: what they print, change and refuse."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster_fixture import Cluster
from kubectl_cli.batch_documents import Document, condition, status, tally
from kubectl_cli.shop import Ended, Shop
from llmbatch_contract import __version__

pytest_plugins = ["cluster_fixture", "kubectl_cli.shop"]

RUNNING = status("Running", total=10, succeeded=4, timeLeft="20s")
ENDED = status("CompletedWithErrors", total=10, succeeded=7, failed=3, errors=[tally("timeout", 3)])


def plugin(*words: str, path: str | None = None) -> Ended:
    """The command as kubectl finds it: on the PATH, beside this Python."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}" if path is None else path
    words = (words[0], "llmbatch", *words[1:]) if words[0] == "kubectl" else words
    done = subprocess.run(words, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False)
    return Ended(done.returncode, done.stdout, done.stderr)


def test_kubectl_finds_the_plugin(cluster: Cluster) -> None:
    assert plugin("kubectl", "version").out == f"kubectl-llmbatch {__version__}\n"
    assert plugin("kubectl", "--help").out.startswith("Usage: kubectl llmbatch [OPTIONS] COMMAND")


def test_without_kubectl_a_sentence_says_so(tmp_path: Path) -> None:
    ended = plugin(sys.executable, "-m", "llmbatch_cli.kubectl.main", "status", path=str(tmp_path))
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: kubectl is not on the PATH")


def test_a_cluster_that_is_away_is_one_sentence(tmp_path: Path) -> None:
    server = {"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}
    context = {"name": "c", "context": {"cluster": "c", "user": "c"}}
    user = {"name": "c", "user": {"token": "t"}}
    config: Document = {"apiVersion": "v1", "kind": "Config", "clusters": [server], "contexts": [context]}
    (tmp_path / "config").write_text(json.dumps(config | {"users": [user], "current-context": "c"}))
    command = (sys.executable, "-m", "llmbatch_cli.kubectl.main", "watch", "tickets")
    ended = plugin(*command, "--kubeconfig", str(tmp_path / "config"))
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (1, "", 1)
    assert "127.0.0.1:1 was refused" in ended.err


def test_status_shows_one_batch_or_a_table(shop: Shop) -> None:
    shop.create(RUNNING)
    shop.create(name="fresh")
    one, table = shop.run("status", "tickets"), shop.run("status")
    assert one.out.startswith("tickets: Running\n")
    assert "  items      10: 4 succeeded, 0 failed, 6 pending\n" in one.out
    assert [line.split()[:2] for line in table.out.splitlines()] == [
        ["NAME", "PHASE"],
        ["fresh", "Pending"],
        ["tickets", "Running"],
    ]
    assert (one.code, table.code, one.err, table.err) == (0, 0, "", "")


def test_status_of_all_namespaces_shows_where_each_batch_is(shop: Shop) -> None:
    shop.create(RUNNING)
    rows = [line.split() for line in shop.run("status", "-A").out.splitlines()]
    assert rows[0][0] == "NAMESPACE"
    assert [row[1:3] for row in rows if row[0] == shop.namespace] == [["tickets", "Running"]]


def test_status_as_json_is_the_resource(shop: Shop) -> None:
    shop.create(RUNNING)
    assert json.loads(shop.run("status", "tickets", "-o", "json").out)["status"]["items"]["succeeded"] == 4
    assert [each["kind"] for each in json.loads(shop.run("status", "-o", "json").out)["items"]] == ["LLMBatch"]


def test_a_namespace_without_batches_is_told(shop: Shop) -> None:
    assert shop.run("status").out == "no batches in this namespace\n"


def test_options_may_stand_before_the_command(shop: Shop) -> None:
    shop.create(RUNNING)
    chosen = ("-n", shop.namespace, "--kubeconfig", str(shop.cluster.kubeconfig))
    words = (sys.executable, "-m", "llmbatch_cli.kubectl.main", *chosen, "status", "tickets")
    assert plugin(*words).out.startswith("tickets: Running\n")


@pytest.mark.parametrize("command", ["status", "watch", "results", "cancel", "approve", "logs", "retry"])
@pytest.mark.usefixtures("status_writer_label")
def test_a_batch_that_is_not_there_is_one_sentence(cluster: Cluster, command: str) -> None:
    ended = Shop(cluster, "default").run(command, "tickts")
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (1, "", 1)
    assert ended.err.startswith("error: there is no batch 'tickts'")


@pytest.mark.parametrize(
    ("command", "before", "field", "after"),
    [
        pytest.param("cancel", {}, "cancel", True, id="cancel"),
        pytest.param("suspend", {}, "suspend", True, id="suspend"),
        pytest.param("resume", {"suspend": True}, "suspend", False, id="resume"),
    ],
)
def test_a_change_is_made_once(shop: Shop, command: str, before: dict[str, Any], field: str, after: bool) -> None:
    shop.create(RUNNING, **before)
    first = shop.run(command, "tickets")
    generation = shop.get()["metadata"]["generation"]
    second = shop.run(command, "tickets")
    assert (first.code, second.code) == (0, 0)
    assert first.out.startswith(f"tickets {command.removesuffix('e')}")
    assert "already" in second.out or "not suspended" in second.out
    assert shop.get()["spec"][field] is after
    assert shop.get()["metadata"]["generation"] == generation == 2


@pytest.mark.parametrize("command", ["cancel", "suspend", "resume", "approve"])
def test_a_finished_batch_is_not_changed(shop: Shop, command: str) -> None:
    shop.create(ENDED)
    ended = shop.run(command, "tickets")
    assert (ended.code, ended.err) == (1, "error: tickets has ended already: CompletedWithErrors\n")
    assert shop.get()["metadata"]["generation"] == 1


WAITING = status("AwaitingApproval", total=10, conditions=[condition("Suspended", "CanaryFailed", "2 of 5 failed")])
_PASSED = status("Running", total=10, conditions=[condition("CanaryPassed", "CanaryPassed", "0 of 5 failed")])


_LATER = "approved: it goes on after its canary, whatever that shows"
_TOO_LATE = "goes on already: its canary went well enough, or was approved"


@pytest.mark.parametrize(
    ("given", "canary", "says", "approved"),
    [
        pytest.param(WAITING, {}, "approved: it goes on", True, id="it waits"),
        pytest.param(RUNNING, {"items": 5}, _LATER, True, id="in advance"),
        pytest.param(WAITING, {"approved": True}, "is approved already", True, id="again"),
        pytest.param(_PASSED, {}, _TOO_LATE, False, id="too late"),
    ],
)
def test_approve_lets_a_batch_go_on(
    shop: Shop, given: Document, canary: dict[str, Any], says: str, approved: bool
) -> None:
    shop.create(given, canary=canary)
    ended = shop.run("approve", "tickets")
    assert (ended.code, ended.out, ended.err) == (0, f"tickets {says}\n", "")
    spec = json.loads(shop.run("status", "tickets", "-o", "json").out)["spec"]
    assert spec["canary"].get("approved", False) == approved
    assert spec["canary"]["items"] == canary.get("items", 20)


def test_without_a_canary_there_is_nothing_to_approve(shop: Shop) -> None:
    shop.create(RUNNING)
    ended = shop.run("approve", "tickets")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "error: tickets has no canary (spec.canary), so there is nothing to approve\n"


def test_resume_says_what_else_holds_a_batch(shop: Shop) -> None:
    shop.create(status("Suspended", conditions=[condition("Suspended", "BudgetExceeded", "the budget is spent")]))
    assert shop.run("resume", "tickets").out == (
        "tickets is not suspended, but something else holds it: the budget is spent\n"
    )


def test_retry_creates_a_batch_for_the_dead_letters(shop: Shop) -> None:
    shop.create(ENDED)
    first, second = shop.run("retry", "tickets"), shop.run("retry", "tickets", "--category", "timeout")
    named = shop.run("retry", "tickets", "--name", "again")
    assert [(ended.code, ended.err) for ended in (first, second, named)] == [(0, "")] * 3
    assert first.out.startswith("tickets-retry-1 created: asks 3 items of tickets again.")
    made = [shop.get(name) for name in ("tickets-retry-1", "tickets-retry-2", "again")]
    letters = {"name": "tickets"}, {"name": "tickets", "categories": ["timeout"]}, {"name": "tickets"}
    assert [each["spec"]["input"]["deadLettersOf"] for each in made] == list(letters)
    assert {each["metadata"]["labels"]["llmbatch.dev/retry-of"] for each in made} == {"tickets"}


def test_a_name_that_is_taken_is_refused(shop: Shop) -> None:
    shop.create(ENDED)
    ended = shop.run("retry", "tickets", "--name", "tickets")
    assert "already exists" in ended.err
    assert (ended.code, ended.out) == (1, "")


def test_a_dry_run_prints_what_it_would_create(shop: Shop) -> None:
    shop.create(ENDED)
    ended = shop.run("retry", "tickets", "--dry-run", "--category", "timeout")
    shop.cluster.kubectl("create", "--dry-run=server", "-f", "-", input=ended.out)
    assert yaml.safe_load(ended.out)["metadata"]["name"] == "tickets-retry-1"
    assert "tickets-retry-1" not in shop.run("status").out


def test_logs_of_a_batch_without_pods_are_empty(shop: Shop) -> None:
    shop.create(RUNNING)
    assert shop.run("logs", "tickets").out == ""


def test_a_user_without_permission_reads_what_is_missing(shop: Shop, tmp_path: Path) -> None:
    ended = shop.as_user("joe", tmp_path).run("status")
    assert (ended.code, ended.out) == (1, "")
    assert 'User "joe" cannot list resource "llmbatches"' in ended.err


def test_what_blocks_is_in_the_table(shop: Shop) -> None:
    shop.create(status("Running", total=1, conditions=[condition("Blocked", "SecretMissing", "no Secret")]))
    assert shop.run("status").out.splitlines()[1].endswith("SecretMissing")

"""Watching a batch on a real API server: what is seen, how it ends, what it survives."""

import contextlib
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubectl_cli.batch_documents import Document, condition, status
from kubectl_cli.shop import Shop
from llmbatch_cli.kubectl import watching as watching_module
from llmbatch_cli.kubectl.kubectl import Kubectl
from llmbatch_cli.kubectl.watching import changes
from llmbatch_contract.errors import BatchNotFoundError

pytest_plugins = ["cluster_fixture", "kubectl_cli.shop"]

RUNNING = status("Running", total=10, succeeded=4)
ENDED = status("Succeeded", total=10, succeeded=10)


class Watch:
    """A command that runs until something happens to its batch."""

    def __init__(self, shop: Shop, folder: Path, *words: str) -> None:
        self._shop = shop
        self._out = folder / "out"
        with self._out.open("wb") as out:
            self.process = subprocess.Popen(shop.command(*words), stdout=out, stderr=subprocess.STDOUT)

    @property
    def printed(self) -> str:
        return self._out.read_text()

    def wait_for(self, text: str) -> None:
        self._shop.cluster.wait_until(f"{text!r} is printed", lambda: text in self.printed, timeout_s=20)

    def kubectls(self) -> list[int]:
        """The processes of kubectl that it has started."""
        return [int(p) for p in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()]

    def code(self) -> int:
        return self.process.wait(20)


@contextlib.contextmanager
def watching(shop: Shop, folder: Path, *words: str) -> Iterator[Watch]:
    watch = Watch(shop, folder, *words)
    try:
        yield watch
    finally:
        watch.process.kill()
        watch.process.wait()


@pytest.mark.parametrize(
    ("last", "code"),
    [
        pytest.param(ENDED, 0, id="all items succeeded"),
        pytest.param(status("CompletedWithErrors", total=10, succeeded=9, failed=1), 3, id="some failed"),
        pytest.param(status("Failed", conditions=[condition("Failed", "InputInvalid", "line 3")]), 1, id="it failed"),
        pytest.param(status("Cancelled", total=10, cancelled=10), 1, id="it was cancelled"),
    ],
)
def test_watch_follows_a_batch_to_its_end(shop: Shop, tmp_path: Path, last: Document, code: int) -> None:
    shop.create()
    with watching(shop, tmp_path, "watch", "tickets") as watch:
        watch.wait_for("Pending\n")
        shop.write(RUNNING)
        watch.wait_for("Running: 4 of 10 (40 %)")
        shop.write(last)
        assert watch.code() == code
    assert watch.printed.count(f"tickets: {last['phase']}\n") == 1


def test_watch_of_a_finished_batch_ends_at_once(shop: Shop) -> None:
    shop.create(ENDED)
    assert shop.run("watch", "tickets").code == 0


def on_a_terminal(command: list[str]) -> str:
    """What a command shows on a terminal."""
    ours, theirs = pty.openpty()
    shown = b""
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        with contextlib.suppress(OSError):  # EIO is the end of a terminal
            while data := os.read(ours, 65_536):
                shown += data
        os.close(ours)
    assert process.returncode == 0
    return shown.decode()


@pytest.mark.parametrize("command", ["status", "watch"])
def test_a_terminal_shows_colours_and_the_bar(shop: Shop, command: str) -> None:
    shop.create(ENDED)
    shown = on_a_terminal(shop.command(command, "tickets"))
    assert "\x1b[1;32mtickets: Succeeded" in shown
    assert "━━━━━━━━━━" in shown


def test_watch_begins_anew_when_its_kubectl_ends(shop: Shop, tmp_path: Path) -> None:
    shop.create(RUNNING)
    with watching(shop, tmp_path, "watch", "tickets") as watch:
        watch.wait_for("Running")
        [first] = watch.kubectls()
        os.kill(first, signal.SIGKILL)
        watch.wait_for("still watching")
        shop.write(ENDED)
        assert watch.code() == 0


def test_a_batch_that_is_deleted_ends_the_watch(shop: Shop, tmp_path: Path) -> None:
    shop.create(RUNNING)
    with watching(shop, tmp_path, "watch", "tickets") as watch:
        watch.wait_for("Running")
        shop.cluster.kubectl("delete", "llmb", "tickets", "-n", shop.namespace)
        assert watch.code() == 1
    assert watch.printed.splitlines()[-1] == "error: batch tickets was deleted"


def test_a_batch_that_is_deleted_before_its_watch_begins_is_noticed_at_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.create(RUNNING)
    reached = Kubectl(shop.namespace, kubeconfig=str(shop.cluster.kubeconfig))
    with contextlib.closing(changes(reached, "tickets", lambda error: pytest.fail(str(error)))) as seen:
        assert next(seen).phase == "Running"
        shop.cluster.kubectl("delete", "llmb", "tickets", "-n", shop.namespace)
        monkeypatch.setattr(watching_module, "get_batch", lambda *_: pytest.fail("the watch did not tell it"))
        with pytest.raises(BatchNotFoundError, match="tickets was deleted"):
            next(seen)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_watch_and_its_kubectl(shop: Shop, tmp_path: Path, number: signal.Signals) -> None:
    shop.create(RUNNING)
    with watching(shop, tmp_path, "watch", "tickets") as watch:
        watch.wait_for("Running")
        children = watch.kubectls()
        watch.process.send_signal(number)
        assert watch.code() == 130
    assert [Path(f"/proc/{child}").exists() for child in children] == [False]
    assert "Traceback" not in watch.printed


@pytest.mark.parametrize(
    ("command", "spec", "before", "after"),
    [
        pytest.param("suspend", {}, RUNNING, status("Suspended", total=10, succeeded=4), id="until it is held"),
        pytest.param("resume", {"suspend": True}, status("Suspended"), RUNNING, id="until it goes on"),
        pytest.param("cancel", {}, RUNNING, status("Cancelled", total=10, cancelled=6), id="until it has ended"),
        pytest.param("suspend", {}, RUNNING, ENDED, id="or until it has finished meanwhile"),
    ],
)
def test_a_change_can_be_waited_for(
    shop: Shop, tmp_path: Path, command: str, spec: Document, before: Document, after: Document
) -> None:
    shop.create(before, **spec)
    with watching(shop, tmp_path, command, "tickets", "--wait") as waiting:
        waiting.wait_for("\n")
        shop.write(after)
        assert waiting.code() == 0
    assert waiting.printed.splitlines()[-1] == f"tickets is {after['phase']}"

"""A page in a real browser: headless Chromium, driven over a pipe by its DevTools protocol.

    with chromium(folder) as browser, browser.page(width=390, theme="dark") as page:
        page.open(file)
        page.value("document.title")

https://chromedevtools.github.io/devtools-protocol/. (PYTEST_DONT_REWRITE: modules import the types before.)
"""

import base64
import fcntl
import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from report.chromium_program import NoChromiumError, chromium_program

Message = dict[str, Any]

_TIMEOUT_S = 30
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--remote-debugging-pipe",
)  # fmt: skip


@dataclass
class Browser:
    """A Chromium that runs."""

    to_it: int
    from_it: int
    events: list[Message] = field(default_factory=list)
    _read: bytes = b""
    _last_id: int = 0

    def call(self, method: str, session: str | None = None, **parameters: Any) -> Message:
        """Call a method and wait for what it returns."""
        self._last_id += 1
        message = {"id": self._last_id, "method": method, "params": parameters}
        wire = json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0"
        while wire:
            wire = wire[os.write(self.to_it, wire) :]
        while (answer := self._next()).get("id") != self._last_id:
            self.events.append(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: Message = answer["result"]
        return result

    def wait_for(self, event: str) -> None:
        """Wait until something has happened."""
        while not any(e.get("method") == event for e in self.events):
            self.events.append(self._next())

    def _next(self) -> Message:
        end = time.monotonic() + _TIMEOUT_S
        while b"\0" not in self._read:
            assert select.select([self.from_it], [], [], max(0, end - time.monotonic()))[0], "Chromium says nothing"
            block = os.read(self.from_it, 1 << 16)
            assert block, "Chromium has ended"
            self._read += block
        message, _, self._read = self._read.partition(b"\0")
        parsed: Message = json.loads(message)
        return parsed

    @contextmanager
    def page(self, width: int = 1280, theme: str = "light", media: str = "screen") -> Iterator["Page"]:
        """An empty page of a width, for a reader who likes light or dark."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable", session)
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", session, **size)
        likes = [{"name": "prefers-color-scheme", "value": theme}]
        self.call("Emulation.setEmulatedMedia", session, media=media, features=likes)
        self.events.clear()
        yield Page(self, session)
        self.call("Target.closeTarget", targetId=target)


@dataclass(frozen=True)
class Page:
    """One page."""

    browser: Browser
    session: str

    def open(self, file: Path) -> None:
        """Load a file."""
        self.browser.call("Page.navigate", self.session, url=file.as_uri())
        self.browser.wait_for("Page.loadEventFired")

    def value(self, expression: str) -> Any:
        """What a JavaScript expression gives, as JSON has it."""
        answer = self.browser.call("Runtime.evaluate", self.session, expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def complaints(self) -> list[Message]:
        """Errors, broken rules of the page's policy, and dialogs."""
        bad = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded", "Page.javascriptDialogOpening")
        return [e for e in self.browser.events if e.get("method") in bad]

    def move_to(self, x: float, y: float) -> None:
        """Move the pointer."""
        self.browser.call("Input.dispatchMouseEvent", self.session, type="mouseMoved", x=x, y=y)

    def picture(self, scale: float = 1) -> bytes:
        """A PNG of the page from top to bottom."""
        size = self.browser.call("Page.getLayoutMetrics", self.session)["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": scale}
        shot = self.browser.call("Page.captureScreenshot", self.session, clip=clip, captureBeyondViewport=True)
        return base64.b64decode(shot["data"])


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """Start one, whose files are in a folder of its own; end it. Raises NoChromiumError."""
    program = chromium_program()
    to_it, from_it = _pipe(), _pipe()
    command = [program.path, *_FLAGS, f"--user-data-dir={folder}", "about:blank"]
    # Chromium reads from 3 and writes to 4, and Python cannot hand over pipes under chosen numbers.
    script = f'exec "$0" "$@" 3<&{to_it[0]} 4>&{from_it[1]}'
    process = subprocess.Popen(
        ["bash", "-c", script, *command],
        pass_fds=(to_it[0], from_it[1]), env=os.environ | program.environment, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(to_it[0])
    os.close(from_it[1])
    try:
        yield Browser(to_it[1], from_it[0])
    finally:
        process.terminate()
        process.wait(_TIMEOUT_S)
        os.close(to_it[1])
        os.close(from_it[0])


def _pipe() -> tuple[int, int]:
    """Both ends, under numbers that are not taken by what Chromium expects."""
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return high[0], high[1]


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium for the session; without one, tests are skipped, or fail where all are required."""
    try:
        with chromium(tmp_path_factory.mktemp("chromium")) as running:
            running.call("Browser.getVersion")
            yield running
    except NoChromiumError as reason:
        if os.environ.get("LLMBATCH_REQUIRE_CLUSTER"):
            pytest.fail(f"LLMBATCH_REQUIRE_CLUSTER is set, but {reason}")
        pytest.skip(str(reason))

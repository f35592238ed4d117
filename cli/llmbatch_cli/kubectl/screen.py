"""Puts lines on the screen: with colour on a terminal, else as they are. The one place here that knows rich."""

import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from llmbatch_cli.kubectl.batches import Batch
from llmbatch_cli.kubectl.status_view import Line, moment, page
from llmbatch_cli.trace_links import check_template

_LINE_EVERY_S = 5.0


def now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


def show(lines: Sequence[Line]) -> None:
    """Print lines."""
    if not sys.stdout.isatty():
        print("\n".join(line.text for line in lines), flush=True)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for line in lines:
        console.print(Text(line.text, style=line.style), soft_wrap=True)


def tell(text: str) -> None:
    """Say something that is not the answer itself."""
    print(text, file=sys.stderr, flush=True)


class WatchView(Protocol):
    """Where a batch is shown while it changes."""

    def update(self, batch: Batch) -> None:
        """Show it as it is now."""

    def say(self, text: str) -> None:
        """Tell something once."""

    def close(self) -> None:
        """No more changes: leave the last state."""


def watch_view(trace_url: str = "") -> WatchView:
    """Live on a terminal, lines elsewhere. `trace_url` as for `page`; raises InvalidError if it cannot be used."""
    check_template(trace_url)
    return LiveView(trace_url) if sys.stdout.isatty() else LinesView(trace_url)


class LinesView:
    """A line when the phase or a trouble changes and every few seconds else, and the whole page at the end."""

    def __init__(self, trace_url: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._trace_url, self._clock = trace_url, clock
        self._shown_at = float("-inf")
        self._shown: tuple[object, ...] = ()
        self._last: Batch | None = None

    def update(self, batch: Batch) -> None:
        """A line, if it is time for one."""
        self._last = batch
        news, at = (batch.phase, [c.reason for c in batch.conditions]), self._clock()
        if news == self._shown and at < self._shown_at + _LINE_EVERY_S:
            return
        self._shown, self._shown_at = news, at
        print(moment(batch), flush=True)

    def say(self, text: str) -> None:
        """To stderr."""
        tell(text)

    def close(self) -> None:
        """The page."""
        if self._last is not None:
            show(page(self._last, now(), self._trace_url))


class LiveView:
    """The page, redrawn in place."""

    def __init__(self, trace_url: str = "") -> None:
        from rich.console import Console
        from rich.live import Live

        self._trace_url = trace_url
        self._live = Live(console=Console(highlight=False), auto_refresh=False)
        self._live.start()

    def update(self, batch: Batch) -> None:
        """Redraw."""
        from rich.text import Text

        styled = [(f"{line.text}\n", line.style) for line in page(batch, now(), self._trace_url)]
        self._live.update(Text.assemble(*styled), refresh=True)

    def say(self, text: str) -> None:
        """Above the page."""
        self._live.console.print(text, markup=False)

    def close(self) -> None:
        """Leave the last page."""
        self._live.stop()

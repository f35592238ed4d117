"""What the engine holds to tell of itself. Where no telemetry is wanted it has no listeners, and nothing is kept."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator

from llmbatch_contract.job import Job
from llmbatch_contract.plan import Plan
from llmbatch_contract.spec import Api
from llmbatch_telemetry import names
from llmbatch_telemetry.lag import watch_loop
from llmbatch_telemetry.spans import Value
from llmbatch_telemetry.telemetry import Telemetry
from llmbatch_worker.asking import Asker
from llmbatch_worker.events import Unfailing
from llmbatch_worker.link import Link
from llmbatch_worker.observing.calls import Calls
from llmbatch_worker.observing.contents import input_messages, output_messages
from llmbatch_worker.observing.gauges import Gauges
from llmbatch_worker.observing.item_spans import EndedItem
from llmbatch_worker.observing.measuring import Measuring
from llmbatch_worker.observing.span_keeper import SpanKeeper
from llmbatch_worker.observing.stage_spans import stages_of
from llmbatch_worker.observing.timed_link import TimedLink
from llmbatch_worker.templates import RenderError

_log = logging.getLogger(__name__)

_FLUSH_S = 0.5
_FAULT = "telemetry: a fault in llmbatch; the work goes on"


class Observer:
    """The telemetry of one worker."""

    def __init__(self, job: Job, plan: Plan, asker: Asker, telemetry: Telemetry, process: str) -> None:
        """`process` makes the ids of its spans its own."""
        spec = job.batch.spec
        self._telemetry, self._asker = telemetry, asker
        calls = Calls(spec, plan.input.format)
        self.listeners: tuple[Unfailing, ...] = ()
        self.new_span_id: Callable[[], str] | None = None
        """For attempts; None: there are no spans."""
        self._spans: SpanKeeper | None = None
        if telemetry.meters.is_on:
            self.listeners += (Unfailing(Measuring(telemetry.meters, calls).heard, _FAULT),)
        if telemetry.has_spans:
            contents = self._contents if spec.telemetry.capture_content else _no_contents
            stages = stages_of(plan, job.batch.metadata, process)
            self._spans = SpanKeeper(telemetry, plan, stages, calls, spec.telemetry.sampled_items, contents)
            self.listeners += (Unfailing(self._spans.heard, _FAULT),)
            self.new_span_id = telemetry.span_id

    def timed(self, link: Link) -> Link:
        """The link, with its replies timed if there are metrics."""
        return TimedLink(link, self._telemetry.meters) if self._telemetry.meters.is_on else link

    def before_part(self) -> None:
        """In a thread, before records are written down: a record whose item has no span is worse than a short wait."""
        if self._spans is not None and self._spans.has_new_failures:
            self._spans.has_new_failures = False
            self._telemetry.flush(_FLUSH_S)

    @contextlib.contextmanager
    def watching(self, gauges: Gauges, how: Callable[[], str]) -> Iterator[None]:
        """While the engine runs. `how` says in a word or two how it ended, unless by an error."""
        lag = self._watch_loop(gauges) if self._telemetry.meters.is_on else None
        ended_by = None
        try:
            yield
        except BaseException as error:
            ended_by = type(error).__name__
            raise
        finally:
            if lag is not None:
                lag.cancel()
            self._leave(ended_by or how())

    def _leave(self, how: str) -> None:
        try:
            if self._spans is not None:
                self._spans.leave(how)
        except Exception:  # noqa: BLE001
            _log.exception(_FAULT)

    def _watch_loop(self, gauges: Gauges) -> "asyncio.Task[None]":
        self._telemetry.meters.observe(gauges)
        return asyncio.create_task(watch_loop(self._telemetry.meters))

    def _contents(self, item: EndedItem) -> dict[str, Value]:
        """Prompt and answer. The prompt is made once more, rather than kept for all items."""
        content: dict[str, Value] = {}
        try:
            question = self._asker.ask(item.work.item)
        except RenderError:
            return content
        content[names.GEN_AI_INPUT] = input_messages(question.api, question.body)
        answer = item.verdict.answer if item.verdict is not None else None
        if answer is not None and question.api is not Api.EMBEDDINGS and (output := answer.output or answer.refusal):
            content[names.GEN_AI_OUTPUT] = output_messages(output, answer.finish_reason)
        return content


def _no_contents(_item: EndedItem) -> dict[str, Value]:
    return {}

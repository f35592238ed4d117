"""One worker: the engine's own gate and conversation around questions that are not sent anywhere.

What is left out is what has nothing to do with limits: items, HTTP, records.
"""

import asyncio
import random
from dataclasses import dataclass, field

from benchmarks.shared.endpoint import StrictEndpoint
from benchmarks.shared.scene import Batch
from llmbatch_contract.reports import Demand, Grant, PushBackKind, Reply
from llmbatch_contract.spec import Api
from llmbatch_contract.usage import Usage
from llmbatch_worker.asking import Question
from llmbatch_worker.limits.gate import Gate, Pass
from llmbatch_worker.link import Conversation, Link
from llmbatch_worker.progress_keeper import ProgressKeeper

_FOR_EVER = float("inf")
_SPREAD = 0.3
"""Of the lengths of prompts."""
_LEAST_ANSWER = 0.4
"""Of `output_tokens`; an answer has this share of them at least."""


@dataclass
class Worker:
    """One worker of a batch, with a gate of its own."""

    name: str
    batch: Batch
    endpoint: StrictEndpoint
    gate: Gate
    chance: random.Random
    _is_done: bool = False
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    async def run(self, link: Link | None, grant: Grant) -> None:
        """Ask until there is nothing more to ask: as told over the link, or within a grant that does not change."""
        await asyncio.sleep(self.chance.random())  # pods do not start at the same moment
        if link is None:
            self.gate.obey(Reply(grant=grant), _FOR_EVER, _FOR_EVER)
            await self._ask()
            return
        self.gate.pause(True)  # until the first reply says how much may be sent
        conversation = Conversation(
            link, self.name, self.gate, ProgressKeeper(), dict, self._demand, on_stop=self.end
        )  # fmt: skip
        talking = asyncio.create_task(conversation.run())
        await self._ask()
        talking.cancel()
        await conversation.talk(leaving=True)

    def end(self) -> None:
        """There is nothing more to ask."""
        self._is_done = True
        self.gate.shut()

    def _demand(self) -> Demand:
        return self.gate.demand(0 if self._is_done else None)

    async def _ask(self) -> None:
        while not self._is_done:
            question, usage = self._question()
            passed = await self.gate.admit(question)
            if passed is not None:
                task = asyncio.create_task(self._attempt(question, usage, passed))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _question(self) -> tuple[Question, Usage]:
        read = max(10, round(self.chance.gauss(1, _SPREAD) * self.batch.input_tokens))
        written = round(self.chance.uniform(_LEAST_ANSWER, 1) * self.batch.output_tokens)
        return Question(Api.CHAT, b"", read, self.batch.output_tokens), Usage(read, written)

    async def _attempt(self, question: Question, usage: Usage, passed: Pass) -> None:
        """As the engine does it; but one question is as good as another, so none is asked again."""
        try:
            wait_s = await self.endpoint.ask(self.batch, usage)
        finally:
            self.gate.leave(passed)
        if wait_s is None:
            self.gate.answered(passed, question, usage, self.gate.now() - passed.sent_at)
        else:
            self.gate.refused(passed, PushBackKind.RATE_LIMITED)
            self.gate.asked_to_wait(wait_s)

"""The endpoint: the simulator's strict limits, without HTTP. Refuses what is over them, and keeps count."""

import asyncio
import math
import random
from collections import Counter
from dataclasses import dataclass, field

from benchmarks.shared.scene import Batch
from llmbatch_cli.simulator.limits import Limits
from llmbatch_cli.simulator.settings import SimulatorSettings
from llmbatch_contract.usage import Usage

_SPREAD = 0.4
"""Of latencies: one in twenty takes twice as long as usual."""
_REFUSAL_S = 0.05


@dataclass
class StrictEndpoint:
    """One endpoint. Time is that of the running loop."""

    requests_per_minute: int
    tokens_per_minute: int | None
    chance: random.Random
    requests: Counter[int] = field(default_factory=Counter)
    """Answered, by the second in which they came."""
    tokens: Counter[int] = field(default_factory=Counter)
    by_namespace: Counter[tuple[str, int]] = field(default_factory=Counter)
    """Requests, by namespace and second."""
    refused: int = 0
    in_flight: int = 0

    def __post_init__(self) -> None:
        self._limits = Limits(
            SimulatorSettings(requests_per_minute=self.requests_per_minute, tokens_per_minute=self.tokens_per_minute)
        )

    async def ask(self, batch: Batch, usage: Usage) -> float | None:
        """None when a request that uses so much is answered; the seconds that it is told to wait if it is refused."""
        now = asyncio.get_running_loop().time()
        refusal = self._limits.admit(usage.total, self.in_flight, now)
        if refusal is not None:
            self.refused += 1
            await asyncio.sleep(_REFUSAL_S)
            return math.ceil(refusal.wait_s)  # as Retry-After has it
        second = int(now)
        self.requests[second] += 1
        self.tokens[second] += usage.total
        self.by_namespace[batch.namespace, second] += 1
        self.in_flight += 1
        await asyncio.sleep(batch.latency_s * self.chance.lognormvariate(0, _SPREAD))
        self.in_flight -= 1
        return None

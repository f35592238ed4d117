"""What the pods of the simulated cluster do, one step at a time: like `llmbatch-worker`, but for asking a model."""

from collections.abc import Callable
from dataclasses import dataclass, field

from llmbatch_contract import errors
from llmbatch_contract.categories import Category
from llmbatch_contract.exits import Exit, exit_for
from llmbatch_contract.pods import LastWords, PodError, Stage
from llmbatch_contract.progress import ShardProgress
from llmbatch_contract.reports import Command, Reply, Report, StopReason, StoreTrouble
from operator_tests.world_cluster import WorldCluster
from operator_tests.world_objects import WorldPod
from operator_tests.world_store import WorldStore

_AT_ONCE = 2
_CLEANS_FOR = 5
"""Looks at what is left, one after the other."""
TOLD_TO_STOP = StopReason(category=Category.CANCELLED, message="told to stop")
POISON = StopReason(category=Category.AUTH, message="HTTP 401: the key is wrong")

Tell = Callable[[WorldPod, Report], Reply | None]
"""Reports to the operator."""


@dataclass
class Conduct:
    """How the input and the endpoint behave."""

    is_input_good: bool = True
    is_input_there: bool = True
    fails_every: int = 0
    """Every so many items, one fails."""
    stops_after: int | None = None
    """After so many records, the key is refused."""
    plan_error: PodError | None = None
    """How pods end that plan."""
    store_trouble: StoreTrouble | None = None
    """What keeps pods from reading and writing."""
    dying: Stage | None = None
    """Pods of this stage die, one after the other, as when they have too little memory."""


@dataclass
class WorldPods:
    """All pods."""

    cluster: WorldCluster
    store: WorldStore
    conduct: Conduct
    tell: Tell
    asked: list[tuple[float, str, str]] = field(default_factory=list)
    """When, which URL, and with which key."""

    def step(self, pod: WorldPod) -> None:
        """Let a pod go on a little."""
        if pod.is_over:
            if pod.is_deleting and pod.is_counted:
                self.cluster.remove_pod(pod)
            return
        if pod.phase == "Pending":
            pod.phase = "Running"
            assert self.cluster.config is not None
            pod.asks = self.cluster.config.job.batch.spec.endpoint.url or ""
        elif pod.is_deleting:
            self._leave(pod)
        else:
            self._work(pod)
        self.cluster.tell_pod(pod)

    def kill(self, pod: WorldPod) -> None:
        """It ends without a word, as when memory runs out."""
        if pod.phase == "Running":
            pod.end(137)
            self.cluster.tell_pod(pod)

    def _work(self, pod: WorldPod) -> None:
        if pod.stage is self.conduct.dying:
            pod.end(137)
            return
        match pod.stage:
            case Stage.PLAN:
                if self._plan(pod):
                    pod.end(0, LastWords(stage=pod.stage, plan=self.store.plan))
            case Stage.CANARY:
                if self._ask_first(pod):
                    pod.end(0, LastWords(stage=pod.stage, plan=self.store.plan, canary=self.store.canary))
            case Stage.SHARD:
                if self._ask(pod, pod.index):
                    pod.end(0, self._words(pod))
            case Stage.FINALIZE:
                if self._plan(pod):
                    self._finalize(pod, _stop_of(pod))
            case Stage.RUN:
                if self.store.plan is None:
                    self._plan(pod)
                elif all(self._ask(pod, n) for n in self._open_shards()[:1]) and not self._open_shards():
                    self._finalize(pod, None)
            case Stage.CLEAN:
                self.store.has_work = False
                pod.attempt += 1
                if pod.attempt >= _CLEANS_FOR:
                    pod.end(0, LastWords(stage=pod.stage))

    def _plan(self, pod: WorldPod) -> bool:
        if self.store.plan is None and (error := self.conduct.plan_error) is not None:
            code = exit_for(getattr(errors, error.kind)(error.message))
            pod.end(code, LastWords(stage=pod.stage, error=error))
        elif self.store.plan is None and not self.conduct.is_input_there:
            pod.end(Exit.FAILED, _error(pod, "InputMissingError", "there is no such ConfigMap"))
        elif self.store.plan is None and not self.conduct.is_input_good:
            pod.end(Exit.INVALID, _error(pod, "InputError", "line 1 is no JSON"))
        else:
            self.store.make_plan()
        return not pod.is_over

    def _open_shards(self) -> list[int]:
        return [n for n, shard in enumerate(self.store.shards) if shard.left]

    def _ask_first(self, pod: WorldPod) -> bool:
        """True when as many items have a record as the canary wants."""
        assert self.cluster.config is not None
        canary, numbers = self.cluster.config.job.batch.spec.canary, self._open_shards()
        if canary is None or self.store.canary.items >= canary.items or not numbers:
            return True
        self._ask(pod, max(numbers, key=lambda n: self.store.shards[n].left))
        return False

    def _ask(self, pod: WorldPod, number: int) -> bool:
        """True when every item of the shard has a record."""
        shard = self.store.shards[number]
        if not pod.attempt:
            shard.attempts += 1
            pod.attempt = shard.attempts
        if not pod.is_paused and self.conduct.store_trouble is None:
            self._answer(pod, number)
        stop = POISON if self._is_poisoned() and shard.left else None
        in_flight = 0 if pod.is_paused else min(_AT_ONCE, shard.left)
        reply = self.tell(pod, self._report(pod, number, in_flight, stop))
        if reply is None:
            pod.end(Exit.INTERRUPTED, self._words(pod))
        elif shard.left and (stop is not None or reply.command is Command.STOP):
            pod.end(Exit.STOPPED, self._words(pod, stop or TOLD_TO_STOP))
        elif shard.left:
            pod.is_paused, pod.grant = reply.command is not Command.RUN, reply.grant
        return not pod.is_over and not shard.left

    def _answer(self, pod: WorldPod, number: int) -> None:
        shard = self.store.shards[number]
        assert pod.asks, "a pod that asks was told whom"
        self.store.has_work = True
        if shard.left:
            self.asked.append((self.cluster.seconds, pod.asks, pod.key))
        for _ in range(min(_AT_ONCE, shard.left)):
            if self._is_poisoned():
                return
            every = self.conduct.fails_every
            if every and (self.store.succeeded + self.store.failed + 1) % every == 0:
                shard.failed += 1
            else:
                shard.succeeded += 1

    def _is_poisoned(self) -> bool:
        limit = self.conduct.stops_after
        return limit is not None and self.store.succeeded + self.store.failed >= limit

    def _finalize(self, pod: WorldPod, stop: StopReason | None) -> None:
        if (final := self.store.finalize(stop)) is None:
            pod.end(Exit.FAILED, _error(pod, "InvariantError", "items have no record"))
        else:
            pod.end(0, LastWords(stage=pod.stage, plan=self.store.plan, final=final))

    def _leave(self, pod: WorldPod) -> None:
        """After SIGTERM: what is in flight ends, and is written down."""
        if pod.stage is Stage.SHARD and not pod.is_paused:
            self._answer(pod, pod.index)
        if pod.stage is Stage.SHARD and self.store.shards:
            self.tell(pod, self._report(pod, pod.index, 0, None, is_leaving=True))
        pod.end(Exit.INTERRUPTED, self._words(pod))

    def _report(
        self, pod: WorldPod, number: int, in_flight: int, stop: StopReason | None, *, is_leaving: bool = False
    ) -> Report:
        return Report(
            worker=pod.name,
            plan=self.store.plan,
            shards=[self._progress(pod, number)],
            in_flight=in_flight,
            holds=pod.grant,
            stop=stop,
            store_trouble=self.conduct.store_trouble,
            leaving=is_leaving,
        )

    def _progress(self, pod: WorldPod, number: int) -> ShardProgress:
        return self.store.shards[number].progress(number, max(1, pod.attempt))

    def _words(self, pod: WorldPod, stop: StopReason | None = None) -> LastWords:
        has_one = self.store.shards and pod.stage is Stage.SHARD
        progress = self._progress(pod, pod.index) if has_one else None
        return LastWords(stage=pod.stage, plan=self.store.plan, progress=progress, stop=stop)


def _error(pod: WorldPod, kind: str, message: str) -> LastWords:
    return LastWords(stage=pod.stage, error=PodError(kind=kind, message=message))


def _stop_of(pod: WorldPod) -> StopReason | None:
    args = pod.job["spec"]["template"]["spec"]["containers"][0]["args"]
    return StopReason.load(args[args.index("--stop") + 1].encode()) if "--stop" in args else None

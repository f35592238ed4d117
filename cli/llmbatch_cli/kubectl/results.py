"""The outputs of a batch: which there are, and where. For the commands that read them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from llmbatch_cli.kubectl.batches import Batch, Fields
from llmbatch_cli.kubectl.built_in import BuiltInObjects
from llmbatch_cli.kubectl.kubectl import Kubectl
from llmbatch_cli.kubectl.places import Kind, Place
from llmbatch_cli.kubectl.words import clean, clock, percent
from llmbatch_cli.outputs.objects import REPORT_NAME, UNDELIVERED_NAME, Objects, Output, Outputs, Which
from llmbatch_cli.outputs.partial import counts_in_words, records_of
from llmbatch_contract.errors import BatchStateError

Asked = Literal["results", "errors", "summary", "report", "undelivered"]
_BESIDE_SUMMARY = {"report": REPORT_NAME, "undelivered": UNDELIVERED_NAME}
"""What the status does not name."""


@dataclass(frozen=True)
class Reader:
    """Reads the outputs of one batch, wherever they are."""

    kubectl: Kubectl
    batch: Batch
    operator_namespace: str
    store_endpoint: str
    clock: Callable[[], float]
    """Unix time."""

    def output(self, which: Which) -> Output:
        """Results or errors of a finished batch."""
        return self._outputs(which).output(which, place_of(self.batch, which).name)

    def summary(self) -> bytes:
        """summary.json."""
        return self._outputs("summary").summary()

    def for_page(self) -> tuple[bytes, bytes]:
        """summary.json and report.json: what the page about a batch shows."""
        outputs = self._outputs("report")
        return outputs.summary(), outputs.report()

    def undelivered(self) -> Iterator[bytes]:
        """undelivered.jsonl; nothing if all results were delivered."""
        return self._outputs("undelivered").undelivered()

    def partial(self, which: Which, tell: Callable[[str], None]) -> Iterator[bytes]:
        """Records of the shards that are finished; at the end `tell` hears how many these are."""
        if self.batch.is_finished and self.batch.status.part("output").text(which):
            raise BatchStateError(
                f"{self.batch.name} is {self.batch.phase}: its {which} are whole; leave out --partial"
            )
        place = output_place(self.batch, which)
        if place.kind is Kind.VOLUME:
            raise BatchStateError(f"--partial: cannot read the PersistentVolumeClaim {place.claim}; only pods can")
        blocks = self._objects(place, which).partial(which)
        what = f"{which} of {self.batch.name}"
        return records_of(blocks, what, lambda counts: tell(counts_in_words(counts, which)))

    def _outputs(self, asked: Asked) -> Outputs:
        return Outputs(self._objects(place_of(self.batch, asked), asked), self.batch.name)

    def _objects(self, place: Place, asked: Asked) -> Objects:
        match place.kind:
            case Kind.VOLUME:
                raise BatchStateError(_on_a_volume(self.batch, place, asked))
            case Kind.STORE:
                from llmbatch_cli.kubectl.elsewhere import objects_in_store

                return objects_in_store(self.kubectl, self.batch, place.folder, self.store_endpoint)
            case Kind.BUILT_IN:
                return BuiltInObjects(self.kubectl, self.batch, self.operator_namespace, self.clock)


def place_of(batch: Batch, asked: Asked) -> Place:
    """Where an output of a finished batch is. Raises BatchStateError if it has none, or not yet."""
    output = batch.status.part("output")
    text = output.text("summary" if asked in _BESIDE_SUMMARY else asked)
    if not text:
        raise BatchStateError(_no_output(batch, asked))
    place = Place.of(text)
    return Place(place.kind, place.folder, _BESIDE_SUMMARY.get(asked, place.name))


def output_place(batch: Batch, which: Which) -> Place:
    """Where an output of a batch will be."""
    output = Fields(batch.spec).part("output")
    volume = output.part("pvc")
    if not volume.is_empty:
        return Place(Kind.VOLUME, f"{volume.text('claimName')}/{volume.text('path').rstrip('/')}", which)
    uri = output.text("uri").rstrip("/")
    return Place(Kind.STORE, uri, which) if uri else Place(Kind.BUILT_IN, "", which)


def _no_output(batch: Batch, asked: Asked) -> str:
    if not batch.is_finished:
        share = f" ({percent(batch.share)})" if batch.items.total else ""
        there = "there is a report" if asked == "report" else "there are results"
        expected = batch.status.time("estimatedCompletionTime")
        when = f", which is expected for {clock(expected)}" if expected is not None else ""
        now = "; --partial reads those of its finished shards" if asked in ("results", "errors") else ""
        return (
            f"{batch.name} is {batch.phase}{share}: {there} when it is finished{when}; "
            f"`kubectl llmbatch watch {batch.name}` waits for that{now}"
        )
    failed = batch.condition("Failed") or batch.condition("Cancelled")
    why = f": {clean(failed.message, 500)}" if failed and failed.message else ""
    return f"{batch.name} is {batch.phase} and has no results{why}"


def _on_a_volume(batch: Batch, place: Place, asked: Asked) -> str:
    is_, them = ("is", "it") if asked in ("summary", "report") else ("are", "them")
    what = "undelivered results" if asked == "undelivered" else asked
    return (
        f"{what} of {batch.name} {is_} on the PersistentVolumeClaim {place.claim}, which only pods can read: from one "
        f"that mounts it, `kubectl cp {batch.namespace}/POD:MOUNT/{place.path} {place.name}` gets {them}; "
        "docs/kubectl.md has such a pod"
    )

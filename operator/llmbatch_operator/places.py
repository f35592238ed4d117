"""Where working objects and outputs of a batch are, and the dead letters of another: URIs as pods and users know them.

Pure. Called for Jobs, statuses and cleaning up. A mistake elsewhere in a spec does not hide its output.
"""

import hashlib
import posixpath
from dataclasses import dataclass

import orjson
import pydantic

from llmbatch_contract.layout import work_folder
from llmbatch_contract.pods import OUTPUT_URI, PVC, WORK_URI, DeadLettersPlace, FinalCounts
from llmbatch_contract.spec import Output, VolumeClaim
from llmbatch_contract.status import OutputPlaces
from llmbatch_operator.facts import BatchRef, Body

BUILT_IN = Output()
"""The output of a batch that names none."""
_SUMMARY = "summary.json"
_DIGITS = 16


@dataclass(frozen=True)
class Letters:
    """The errors of the batch that `deadLettersOf` names, where they are not in the built-in store."""

    output: Output
    """Of that batch: what its place takes to be read."""
    errors: str | None
    """URI of its errors; None until it has ended."""

    @property
    def place(self) -> DeadLettersPlace | None:
        """As pods are told."""
        return None if self.errors is None else DeadLettersPlace(uri=self.errors, store=self.output.store)

    @property
    def mark(self) -> str:
        """Tells Jobs apart whose pods can read another place."""
        return hashlib.sha256(orjson.dumps(self.output.dump(), option=orjson.OPT_SORT_KEYS)).hexdigest()[:_DIGITS]


def output_of(body: Body) -> Output:
    """The output in a batch's body; the built-in store for one that cannot be read."""
    spec = body.get("spec")
    try:
        return Output.model_validate((spec.get("output") if isinstance(spec, dict) else None) or {})
    except pydantic.ValidationError:
        return BUILT_IN


def letters_of(body: Body) -> Letters | None:
    """The dead letters of a batch; None for those that the coordinator hands out."""
    output, status = output_of(body), body.get("status") or {}
    if folder_of(output) is None:
        return None
    errors = (status.get("output") or {}).get("errors")
    return Letters(output, errors if isinstance(errors, str) else None)


def folder_of(output: Output) -> str | None:
    """URI of the folder of outputs; None: the built-in store."""
    if output.uri is not None:
        return output.uri.rstrip("/")
    return _volume_uri(output.pvc) if output.pvc is not None else None


def output_uri(output: Output) -> str:
    """The folder of outputs, as pods open it."""
    return folder_of(output) or OUTPUT_URI


def store_uri(output: Output, uid: str) -> str:
    """The folder of working objects, as pods open it."""
    folder = folder_of(output)
    return WORK_URI if folder is None else work_folder(folder, uid)


def shown_places(ref: BatchRef, output: Output, final: FinalCounts) -> OutputPlaces:
    """Where outputs are, for users; `kubectl llmbatch results` fetches those in the built-in store."""
    base = folder_of(output) or f"llmbatch://{ref.namespace}/{ref.name}"
    return OutputPlaces(
        results=f"{base}/{final.results_name}", errors=f"{base}/{final.errors_name}", summary=f"{base}/{_SUMMARY}"
    )


def _volume_uri(claim: VolumeClaim) -> str:
    path = posixpath.normpath(claim.path)
    return f"{PVC}{claim.claim_name}" + ("" if path == "." else f"/{path}")

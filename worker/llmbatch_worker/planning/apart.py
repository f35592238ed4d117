"""Sees to it that a batch does not read what it writes: outputs would replace an object of the input. Pure."""

from collections.abc import Iterable

from llmbatch_contract.errors import InputError
from llmbatch_contract.pods import PVC
from llmbatch_contract.spec import LLMBatchSpec
from llmbatch_contract.storage import OBJECT_SCHEMES, scheme_of
from llmbatch_worker.finalizing.names import is_output_name
from llmbatch_worker.stores.uris import local_path, readable_uri


def check_apart(uris: Iterable[str], spec: LLMBatchSpec) -> None:
    """Raises InputError for an object of the input that has the place and the name of an output."""
    folder = _output_folder(spec)
    if folder is None:
        return
    for uri in uris:
        place = _place(uri)
        if place.startswith(folder) and is_output_name(place.removeprefix(folder)):
            raise InputError(
                f"{readable_uri(uri)} lies where this batch writes its outputs, and would be replaced; "
                "give another place in spec.output, or an input without it"
            )


def _output_folder(spec: LLMBatchSpec) -> str | None:
    """Where outputs go, if the input may lie there, too; with `/` at its end."""
    if spec.output.pvc is not None:
        return f"{_place(f'{PVC}{spec.output.pvc.claim_name}/{spec.output.pvc.path}').rstrip('/')}/"
    uri = spec.output.uri
    if uri is None or (scheme_of(uri) in OBJECT_SCHEMES and spec.input.store != spec.output.store):
        return None
    return f"{_place(uri).rstrip('/')}/"


def _place(uri: str) -> str:
    """A URI, the same one however it is written."""
    if uri.startswith("file:///"):
        return f"file://{local_path(uri)}"
    if not uri.startswith(PVC):
        return uri
    return PVC + "/".join(part for part in uri.removeprefix(PVC).split("/") if part not in ("", "."))

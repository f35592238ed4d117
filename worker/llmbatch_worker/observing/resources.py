"""What a process of a worker is, as the resource of its telemetry. Pure."""

from dataclasses import dataclass

from llmbatch_contract import __version__
from llmbatch_contract.spec import Metadata
from llmbatch_telemetry import names

POD_SERVICE = "llmbatch-worker"
LOCAL_SERVICE = "llmbatch"
_CONTAINER = "worker"


@dataclass(frozen=True)
class Place:
    """Where a pod runs; what is empty is not known."""

    pod: str
    pod_uid: str = ""
    node: str = ""
    job: str = ""


def pod_resource(batch: Metadata, uid: str, stage: str, place: Place) -> dict[str, str]:
    """A pod of a batch."""
    known = {
        **_of_batch(batch, uid),
        names.SERVICE_INSTANCE: place.pod_uid or place.pod,
        names.NAMESPACE: batch.namespace,
        names.POD: place.pod,
        names.POD_UID: place.pod_uid,
        names.NODE: place.node,
        names.JOB: place.job,
        names.CONTAINER: _CONTAINER,
        names.STAGE: stage,
    }
    return {name: value for name, value in known.items() if value}


def local_resource(batch: Metadata, uid: str, process: str) -> dict[str, str]:
    """A process of a local run; `process` is all its own."""
    return {**_of_batch(batch, uid), names.SERVICE_INSTANCE: process}


def _of_batch(batch: Metadata, uid: str) -> dict[str, str]:
    return {names.SERVICE_VERSION: __version__, names.BATCH: batch.name, names.BATCH_UID: uid}

"""What the pods of a batch mount: their configuration, and what the places of input and output take to be opened.

Pure. Secrets and ConfigMaps of users are optional, so that a pod starts without them and says which one it lacks; one
that comes later is in its folder within a minute or two. A PersistentVolumeClaim is one volume, however many use it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from llmbatch_contract.pods import (
    AUDIENCE,
    CA_FOLDER,
    CA_NAME,
    CONFIG_FOLDER,
    CREDENTIALS_FOLDER,
    INPUT_FOLDER,
    TOKEN_FOLDER,
    TOKEN_NAME,
    VOLUMES_FOLDER,
    Stage,
    Use,
)
from llmbatch_contract.spec import Input, LLMBatch, Output, VolumeClaim
from llmbatch_operator.facts import Body
from llmbatch_operator.places import Letters

_TOKEN_S = 3600
_READABLE = 0o440
"""By the group of the pods, whoever is their user."""
_MAY_PLAN = (Stage.PLAN, Stage.FINALIZE, Stage.RUN)


@dataclass(frozen=True)
class Mounted:
    """A volume of a pod and where its container has it."""

    volume: Body
    mounts: list[Body]


@dataclass(frozen=True)
class _Used:
    """A place that pods open."""

    use: Use
    user: Input | Output
    claim: VolumeClaim | None


def pod_volumes(batch: LLMBatch, stage: Stage, config_name: str, letters: Letters | None = None) -> list[Mounted]:
    """All volumes of a stage's pods. `letters` are the dead letters that the batch asks about again."""
    used = list(_used(batch, stage, letters))
    return [
        *_own(config_name),
        *_input_config_map(batch, stage),
        *_claims(used),
        *(mounted for place in used for mounted in _access(place)),
    ]


def _own(config_name: str) -> Iterator[Mounted]:
    token = {"audience": AUDIENCE, "expirationSeconds": _TOKEN_S, "path": TOKEN_NAME}
    yield _mounted("config", {"configMap": {"name": config_name}}, CONFIG_FOLDER)
    yield _mounted("token", {"projected": {"sources": [{"serviceAccountToken": token}]}}, TOKEN_FOLDER)
    yield Mounted({"name": "tmp", "emptyDir": {}}, [{"name": "tmp", "mountPath": "/tmp"}])


def _input_config_map(batch: LLMBatch, stage: Stage) -> Iterator[Mounted]:
    source = batch.spec.input.config_map
    if source is not None and stage in _MAY_PLAN:
        items = [{"key": source.key, "path": source.key}]
        yield _mounted("input", {"configMap": {"name": source.name, "optional": True, "items": items}}, INPUT_FOLDER)


def _used(batch: LLMBatch, stage: Stage, letters: Letters | None) -> Iterator[_Used]:
    spec = batch.spec
    if stage is not Stage.CLEAN:
        yield _Used(Use.INPUT, spec.input, spec.input.pvc)
    yield _Used(Use.OUTPUT, spec.output, spec.output.pvc)
    if letters is not None and stage in _MAY_PLAN:
        yield _Used(Use.DEAD_LETTERS, letters.output, letters.output.pvc)


def _claims(used: list[_Used]) -> Iterator[Mounted]:
    """Two volumes of one claim would keep a pod from starting on older clusters."""
    for name in dict.fromkeys(place.claim.claim_name for place in used if place.claim is not None):
        uses = [place.use for place in used if place.claim is not None and place.claim.claim_name == name]
        source: Body = {"claimName": name}
        if Use.OUTPUT not in uses:
            source["readOnly"] = True  # some disks can be on several nodes so only
        volume = f"volume-{uses[0].value}"
        mounts = [_mount(volume, f"{VOLUMES_FOLDER}/{use.value}", is_written=use is Use.OUTPUT) for use in uses]
        yield Mounted({"name": volume, "persistentVolumeClaim": source}, mounts)


def _access(place: _Used) -> Iterator[Mounted]:
    """Credentials and certificate of a store."""
    use, secret, store = place.use.value, place.user.credentials_secret, place.user.store
    if secret is not None:
        source = {"secret": {"secretName": secret.name, "optional": True, "defaultMode": _READABLE}}
        yield _mounted(f"credentials-{use}", source, f"{CREDENTIALS_FOLDER}/{use}")
    if store is not None and (ca := store.ca_config_map) is not None:
        items = [{"key": ca.key, "path": CA_NAME}]
        yield _mounted(
            f"ca-{use}", {"configMap": {"name": ca.name, "optional": True, "items": items}}, f"{CA_FOLDER}/{use}"
        )


def _mounted(name: str, source: Body, path: str) -> Mounted:
    return Mounted({"name": name, **source}, [_mount(name, path)])


def _mount(name: str, path: str, *, is_written: bool = False) -> Body:
    return {"name": name, "mountPath": path} | ({} if is_written else {"readOnly": True})

"""What pods mount for stores and volumes: each stage what it needs, and no more."""

from typing import Any

import pytest

from llmbatch_contract.pods import DeadLettersPlace, Stage
from llmbatch_contract.spec import LLMBatch, Output
from llmbatch_operator.facts import Body
from llmbatch_operator.places import Letters, letters_of, output_of
from llmbatch_operator.pod_volumes import pod_volumes
from operator_tests.kube_bodies import batch_body
from operator_tests.operator_builders import CANARY, CLEAN, FINALIZE, PLAN, RUN, SHARD, manifest

_SECRET = {"credentialsSecret": {"name": "minio"}}
_OWN_CA = {"store": {"endpoint": "https://minio:9000", "caConfigMap": {"name": "minio-ca", "key": "root.pem"}}}
_IN = {"uri": "s3://tickets/2026/*.parquet", **_SECRET, **_OWN_CA}
_OUT = {"uri": "gs://answers/2026", "credentialsSecret": {"name": "google"}}
_LETTERS = Letters(Output.model_validate({"uri": "s3://old", **_SECRET, **_OWN_CA}), "s3://old/errors.jsonl")


def _places(batch: LLMBatch, stage: Stage, letters: Letters | None = None) -> dict[str, Body]:
    """Volumes by where they are mounted, without those that every pod has."""
    mounted = pod_volumes(batch, stage, "config", letters)
    own = ("config", "token", "tmp")
    return {
        mount["mountPath"].removeprefix("/var/run/llmbatch/"): {k: v for k, v in each.volume.items() if k != "name"}
        | ({} if mount.get("readOnly") else {"written": True})
        for each in mounted
        for mount in each.mounts
        if each.volume["name"] not in own
    }


def _secret(name: str) -> Body:
    return {"secret": {"secretName": name, "optional": True, "defaultMode": 0o440}}


_CA = {"configMap": {"name": "minio-ca", "optional": True, "items": [{"key": "root.pem", "path": "ca.crt"}]}}


@pytest.mark.parametrize("stage", [PLAN, CANARY, SHARD, FINALIZE, RUN])
def test_credentials_and_certificates_are_files_of_their_use(stage: Stage) -> None:
    assert _places(manifest(input=_IN, output=_OUT), stage) == {
        "credentials/input": _secret("minio"),
        "ca/input": _CA,
        "credentials/output": _secret("google"),
    }


def test_who_cleans_up_reads_no_input() -> None:
    batch = manifest(input=_IN, output=_OUT)
    assert _places(batch, CLEAN) == {"credentials/output": _secret("google")}


@pytest.mark.parametrize("stage", Stage)
def test_the_identity_of_the_platform_and_public_data_take_no_volume(stage: Stage) -> None:
    batch = manifest(input={"uri": "https://example.com/a.csv"}, output={"uri": "s3://answers"})
    assert _places(batch, stage) == {}


_DATA: Body = {"persistentVolumeClaim": {"claimName": "data"}}
_DATA_READ_ONLY: Body = {"persistentVolumeClaim": {"claimName": "data", "readOnly": True}}
_FROM_DATA = {"pvc": {"claimName": "data", "path": "tickets/*.csv"}}
_TO_DATA = {"pvc": {"claimName": "data", "path": "answers"}}


@pytest.mark.parametrize(
    ("fields", "stage", "places"),
    [
        pytest.param({"input": _FROM_DATA}, SHARD, {"volumes/input": _DATA_READ_ONLY}, id="an input is read only"),
        pytest.param({"output": _TO_DATA}, SHARD, {"volumes/output": _DATA | {"written": True}}, id="an output"),
        pytest.param(
            {"input": _FROM_DATA, "output": _TO_DATA},
            FINALIZE,
            {"volumes/input": _DATA, "volumes/output": _DATA | {"written": True}},
            id="one claim for both",
        ),
        pytest.param(
            {"input": _FROM_DATA, "output": _TO_DATA}, CLEAN, {"volumes/output": _DATA | {"written": True}},
            id="who cleans up",
        ),
    ],
)  # fmt: skip
def test_volumes_are_mounted_where_they_are_used(fields: dict[str, Any], stage: Stage, places: dict[str, Body]) -> None:
    batch = manifest(**({"input": {"items": []}} | fields))
    assert _places(batch, stage) == places


def test_one_claim_is_one_volume() -> None:
    mounted = pod_volumes(manifest(input=_FROM_DATA, output=_TO_DATA), SHARD, "config")
    assert [len(each.mounts) for each in mounted if "persistentVolumeClaim" in each.volume] == [2]


@pytest.mark.parametrize("stage", Stage)
def test_dead_letters_elsewhere_are_read_by_pods_that_may_plan(stage: Stage) -> None:
    batch = manifest(input={"deadLettersOf": {"name": "old"}})
    wanted = {"credentials/dead-letters": _secret("minio"), "ca/dead-letters": _CA}
    assert _places(batch, stage, _LETTERS) == (wanted if stage in (PLAN, FINALIZE, RUN) else {})


# Where another batch's dead letters are


def _ended(output: Body | None, errors: str | None) -> Body:
    status = {"phase": "Failed"} | ({} if errors is None else {"output": {"errors": errors}})
    return batch_body(status=status, output=output)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        pytest.param(
            _ended(_IN, "s3://t/errors.jsonl.gz"),
            DeadLettersPlace(uri="s3://t/errors.jsonl.gz", store=output_of(_ended(_IN, None)).store),
            id="in an object store, packed",
        ),
        pytest.param(
            _ended(_TO_DATA, "pvc:/data/answers/errors.jsonl"),
            DeadLettersPlace(uri="pvc:/data/answers/errors.jsonl"),
            id="on a volume",
        ),
        pytest.param(_ended(_IN, None), None, id="it has not ended"),
    ],
)
def test_dead_letters_are_where_the_other_batch_says(body: Body, place: DeadLettersPlace | None) -> None:
    letters = letters_of(body)
    assert letters is not None
    assert letters.place == place


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(_ended(None, "llmbatch://team-a/old/errors.jsonl"), id="in the built-in store"),
        pytest.param({"metadata": {}, "spec": {"output": "nonsense"}}, id="a spec that is no spec"),
        pytest.param({"metadata": {}, "spec": {"output": {"uri": 7}}}, id="an output that is none"),
        pytest.param({"metadata": {}}, id="nothing"),
    ],
)
def test_what_is_not_elsewhere_the_coordinator_has(body: Body) -> None:
    assert letters_of(body) is None


def test_jobs_whose_pods_can_read_another_place_have_another_mark() -> None:
    marks = {
        Letters(Output.model_validate(output), None).mark
        for output in ({"uri": "s3://old"}, {"uri": "s3://old", **_SECRET}, _TO_DATA)
    }
    assert len(marks) == 3
    assert Letters(_LETTERS.output, None).mark == _LETTERS.mark

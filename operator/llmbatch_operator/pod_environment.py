"""The environment variables of a worker pod: what the batch asks for, its key, where it runs, where telemetry goes.

Pure. What a batch names itself in `spec.worker.env` comes before what the operator would give it.
"""

from llmbatch_contract.pods import (
    JOB_VARIABLE,
    NODE_VARIABLE,
    POD_NAME_VARIABLE,
    POD_UID_VARIABLE,
    SIGNING_KEY_VARIABLE,
    Stage,
)
from llmbatch_contract.signing import KEY_IN_SECRET, KEY_SECRET
from llmbatch_contract.spec import LLMBatch
from llmbatch_operator.facts import JOB_LABEL, Body
from llmbatch_operator.pod_telemetry import HEADERS_KEY, HEADERS_SECRET, HEADERS_VARIABLE, PodTelemetry

_FIELDS = {
    POD_NAME_VARIABLE: "metadata.name",
    POD_UID_VARIABLE: "metadata.uid",
    NODE_VARIABLE: "spec.nodeName",
    JOB_VARIABLE: f"metadata.labels['{JOB_LABEL}']",
}


def pod_environment(batch: LLMBatch, stage: Stage, telemetry: PodTelemetry) -> list[Body]:
    """Variables of the container."""
    own: list[Body] = [{"name": v.name, "value": v.value} for v in batch.spec.worker.env]
    named = {variable["name"] for variable in own}
    given = [variable for variable in _telemetry(telemetry, named) if variable["name"] not in named]
    places = [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in _FIELDS.items()]
    return own + given + places + _api_key(batch, stage) + _signing_key(batch, stage)


def _telemetry(telemetry: PodTelemetry, named: set[str]) -> list[Body]:
    if not telemetry.variables and not any(name.startswith("OTEL_") for name in named):
        return []
    # Kubernetes puts variables in place of $(NAME).
    variables: list[Body] = [{"name": name, "value": value.replace("$", "$$")} for name, value in telemetry.variables]
    source = {"secretKeyRef": {"name": HEADERS_SECRET, "key": HEADERS_KEY, "optional": True}}
    return [*variables, {"name": HEADERS_VARIABLE, "valueFrom": source}]


def _api_key(batch: LLMBatch, stage: Stage) -> list[Body]:
    secret = batch.spec.endpoint.api_key_secret
    if secret is None or stage in (Stage.PLAN, Stage.FINALIZE, Stage.CLEAN):
        return []
    return [{"name": secret.env_name, "valueFrom": {"secretKeyRef": {"name": secret.name, "key": secret.key}}}]


def _signing_key(batch: LLMBatch, stage: Stage) -> list[Body]:
    """For stages that write outputs. Without it a pod writes them all the same, and delivers nothing."""
    if batch.spec.deliver is None or stage not in (Stage.FINALIZE, Stage.RUN):
        return []
    source = {"secretKeyRef": {"name": KEY_SECRET, "key": KEY_IN_SECRET, "optional": True}}
    return [{"name": SIGNING_KEY_VARIABLE, "valueFrom": source}]

"""Outputs in the built-in store, read through the API server.

The coordinator gives them to whoever shows a signature, made with the key in the batch's Secret: so Kubernetes' own
rules for Secrets say who may read results.
"""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from llmbatch_cli.kubectl.batches import Batch
from llmbatch_cli.kubectl.kubectl import Kubectl
from llmbatch_cli.outputs.objects import REPORT_NAME, Which
from llmbatch_contract.errors import BatchStateError, ClusterAwayError, ForbiddenError, NotThereError
from llmbatch_contract.wire import PARTIAL, RESULTS, RESULTS_KEY, results_secret, signature

VALID_FOR_S = 300
_SERVICE = "https:llmbatch-coordinator:https"
_BLOCK = 65_536


@dataclass(frozen=True)
class BuiltInObjects:
    """The outputs of a batch at the coordinator: Objects."""

    kubectl: Kubectl
    batch: Batch
    operator_namespace: str
    clock: Callable[[], float]
    """Unix time."""

    def blocks(self, name: str) -> Iterator[bytes]:
        """An output."""
        url = self._url(name)
        try:
            yield from self._stream(url)
        except NotThereError as error:
            raise NotThereError(self._not_there(str(error), name)) from error

    def partial(self, which: Which) -> Iterator[bytes]:
        """Records of finished shards."""
        url = self._url(f"{PARTIAL}{which}")
        try:
            yield from self._stream(url)
        except NotThereError as error:
            if "services " in str(error):
                raise NotThereError(self._no_operator()) from error
            raise BatchStateError(f"no shard of {self.batch.name} is finished yet") from error

    def _url(self, name: str) -> str:
        path = f"{RESULTS}/{self.batch.namespace}/{self.batch.name}/{name}"
        return signed_url(self._key(), path, int(self.clock()) + VALID_FOR_S, self.operator_namespace)

    def _stream(self, url: str) -> Iterator[bytes]:
        try:
            with self.kubectl.stream("get", "--raw", url) as stdout:
                while block := stdout.read(_BLOCK):
                    yield block
        except ForbiddenError as error:
            raise ForbiddenError(_refused(str(error), self.operator_namespace)) from error
        except ClusterAwayError as error:
            raise ClusterAwayError(f"the operator in namespace {self.operator_namespace} is away: {error}") from error

    def _not_there(self, said: str, name: str) -> str:
        if "services " in said:
            return self._no_operator()
        if name == REPORT_NAME:
            return (
                f"{self.batch.name} was finished by an operator that wrote no {REPORT_NAME} yet; "
                f"`kubectl llmbatch summary {self.batch.name}` has its numbers"
            )
        return f"the operator's store has no /{self.batch.namespace}/{self.batch.name}/{name}"

    def _no_operator(self) -> str:
        return f"no operator in namespace {self.operator_namespace}; --operator-namespace says where it is"

    def _key(self) -> str:
        secret, namespace = results_secret(self.batch.name, self.batch.uid), self.batch.namespace
        words = ("get", "secret", secret, f"--namespace={namespace}", "-o", f"jsonpath={{.data.{RESULTS_KEY}}}")
        try:
            return base64.b64decode(self.kubectl.run(*words)).decode()
        except ForbiddenError as error:
            raise ForbiddenError(
                f"you may not read Secret {secret} in namespace {namespace}, which holds the key to the results: "
                "that needs the verb get on secrets there, as the role edit has it"
            ) from error
        except NotThereError as error:
            raise NotThereError(
                f"Secret {secret} in namespace {namespace}, which holds the key to the results, is gone"
            ) from error


def signed_url(key: str, path: str, expires: int, operator_namespace: str) -> str:
    """The path at the API server that leads to the coordinator, with permission to read."""
    proxy = f"/api/v1/namespaces/{operator_namespace}/services/{_SERVICE}/proxy"
    return f"{proxy}{path}?expires={expires}&signature={signature(key, path, expires)}"


def _refused(said: str, operator_namespace: str) -> str:
    if "services/proxy" in said:
        return (
            f"you may not reach the operator: that needs the verb get on services/proxy in namespace "
            f"{operator_namespace}, as the role llmbatch-results there has it"
        )
    return f"the operator refused: {said}"

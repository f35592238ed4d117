"""The outputs of a finished batch, read from the built-in store through the API server.

The coordinator gives them to whoever shows a signature, made with the key in the batch's Secret: so Kubernetes' own
rules for Secrets say who may read results. What comes is compared with the digests in summary.json.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from llmbatch_cli.kubectl.batches import Batch, Fields
from llmbatch_cli.kubectl.kubectl import Kubectl
from llmbatch_cli.kubectl.places import is_elsewhere, name_in
from llmbatch_cli.kubectl.words import clean, clock, percent
from llmbatch_contract.errors import BatchStateError, ClusterAwayError, DownloadError, ForbiddenError, NotThereError
from llmbatch_contract.wire import RESULTS, RESULTS_KEY, results_secret, signature

OUTPUTS = Literal["results", "errors", "summary", "report"]
_REPORT_NAME = "report.json"
"""Beside summary.json; the status does not name it."""
VALID_FOR_S = 300
_SERVICE = "https:llmbatch-coordinator:https"
_BLOCK = 65_536


@dataclass(frozen=True)
class Written:
    """What summary.json says of an output; None where it says nothing."""

    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Outputs:
    """The outputs of one finished batch."""

    kubectl: Kubectl
    batch: Batch
    operator_namespace: str
    clock: Callable[[], float]
    """Unix time."""

    def summary(self) -> bytes:
        """summary.json, whole."""
        return self._document("summary")

    def for_page(self) -> tuple[bytes, bytes]:
        """summary.json and report.json, whole: what the page about a batch shows."""
        results_path(self.batch, "report")  # so that an error speaks of what was asked for
        return self.summary(), self._document("report")

    def _document(self, which: Literal["summary", "report"]) -> bytes:
        data = b"".join(self._blocks(which))
        try:
            json.loads(data)
        except ValueError as error:
            raise DownloadError(f"{which}.json of {self.batch.name} came incomplete; try again") from error
        return data

    def read(self, which: Literal["results", "errors"]) -> Iterator[bytes]:
        """An output in blocks. Raises DownloadError at the end, if it is not what was written."""
        row = Fields(json.loads(self.summary())).part("output").part(which)
        size = row.number("bytes")
        written = Written(None if size is None else int(size), row.text("sha256") or None)
        return checked(self._blocks(which), written, f"{which} of {self.batch.name}")

    def _blocks(self, which: OUTPUTS) -> Iterator[bytes]:
        path = results_path(self.batch, which)
        url = signed_url(self._key(), path, int(self.clock()) + VALID_FOR_S, self.operator_namespace)
        try:
            with self.kubectl.stream("get", "--raw", url) as stdout:
                while block := stdout.read(_BLOCK):
                    yield block
        except NotThereError as error:
            raise NotThereError(self._not_there(str(error), which, path)) from error
        except ForbiddenError as error:
            raise ForbiddenError(_refused(str(error), self.operator_namespace)) from error
        except ClusterAwayError as error:
            raise ClusterAwayError(f"the operator in namespace {self.operator_namespace} is away: {error}") from error

    def _not_there(self, said: str, which: OUTPUTS, path: str) -> str:
        if "services " in said:
            return f"no operator in namespace {self.operator_namespace}; --operator-namespace says where it is"
        if which == "report":
            return (
                f"{self.batch.name} was finished by an operator that wrote no {_REPORT_NAME} yet; "
                f"`kubectl llmbatch summary {self.batch.name}` has its numbers"
            )
        return f"the operator's store has no {path.removeprefix(RESULTS)}"

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


def results_path(batch: Batch, which: OUTPUTS) -> str:
    """The path of an output at the coordinator. Raises BatchStateError where there is none."""
    place = _place(batch, which)
    if not place:
        raise BatchStateError(_no_output(batch, which))
    if is_elsewhere(place):
        is_, them = ("are", "them") if which in ("results", "errors") else ("is", "it")
        raise BatchStateError(f"{which} of {batch.name} {is_} not in the built-in store; read {them} at {place}")
    return f"{RESULTS}/{batch.namespace}/{batch.name}/{name_in(place)}"


def _place(batch: Batch, which: OUTPUTS) -> str:
    output = batch.status.part("output")
    if which != "report":
        return output.text(which)
    folder, slash, _summary = output.text("summary").rpartition("/")
    return f"{folder}{slash}{_REPORT_NAME}" if slash else ""


def signed_url(key: str, path: str, expires: int, operator_namespace: str) -> str:
    """The path at the API server that leads to the coordinator, with permission to read."""
    proxy = f"/api/v1/namespaces/{operator_namespace}/services/{_SERVICE}/proxy"
    return f"{proxy}{path}?expires={expires}&signature={signature(key, path, expires)}"


def checked(blocks: Iterator[bytes], written: Written, what: str) -> Iterator[bytes]:
    """The same blocks; at the end they must be what was written."""
    digest, size = hashlib.sha256(), 0
    for block in blocks:
        digest.update(block)
        size += len(block)
        yield block
    if written.size not in (None, size):
        raise DownloadError(f"{what}: {size:,} of {written.size:,} bytes came; try again")
    if written.sha256 not in (None, digest.hexdigest()):
        raise DownloadError(f"{what}: what came is not what was written (its SHA-256 differs); try again")


def _no_output(batch: Batch, which: OUTPUTS) -> str:
    if not batch.is_finished:
        share = f" ({percent(batch.share)})" if batch.items.total else ""
        there = "there is a report" if which == "report" else "there are results"
        expected = batch.status.time("estimatedCompletionTime")
        when = f", which is expected for {clock(expected)}" if expected is not None else ""
        return (
            f"{batch.name} is {batch.phase}{share}: {there} when it is finished{when}; "
            f"`kubectl llmbatch watch {batch.name}` waits for that"
        )
    failed = batch.condition("Failed") or batch.condition("Cancelled")
    why = f": {clean(failed.message, 500)}" if failed and failed.message else ""
    return f"{batch.name} is {batch.phase} and has no results{why}"


def _refused(said: str, operator_namespace: str) -> str:
    if "services/proxy" in said:
        return (
            f"you may not reach the operator: that needs the verb get on services/proxy in namespace "
            f"{operator_namespace}, as the role llmbatch-results there has it"
        )
    return f"the operator refused: {said}"

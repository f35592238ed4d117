"""Every error a user can meet, in one tree. Each message is a sentence that says what to do.

* LLMBatchError
  x InvalidError                 what the user wrote is wrong: exit code 2
    + ManifestError              the manifest; carries one Problem per mistake
    + InputError                 the input: file, line, field
      - DuplicateIdError         two items with the same id
      - InputMissingError        a ConfigMap, or a batch with dead letters, that is not there (yet)
    + OutputTakenError           another batch has written, or writes, to the same place
    + MissingSecretError         the API key is not in the environment
    + StateMismatchError         the state belongs to another manifest
  x InputChangedError            the input is not the one that was planned
  x StoreError                   reading or writing the store failed
    + StoreFullError             no space left
    + StoreReadOnlyError         may not be written
    + StoreMissingError          no such object or folder
      - OutputMissingError       no such bucket or container to write to
    + StoreAwayError             the store is not to be reached
    + StoreDeniedError           the store says no: credentials, or a permission
  x BatchGoneError               the batch was deleted while its pod ran
  x ClaimLostError               another process took over the shard
  x WorkerLostError              worker processes keep dying
  x InvariantError               finalize found an item in none or both of results and errors
  x ClusterError                 kubectl could not do it: the cluster said no
    + ClusterAwayError           the cluster is not to be reached
    + ForbiddenError             the user may not
    + NotThereError              the cluster has no such object
      - BatchNotFoundError       it has no such batch
  x BatchStateError              the batch is not in a state for what was asked
  x DownloadError                what came is not the whole output that was written
"""

from dataclasses import dataclass


class LLMBatchError(Exception):
    """Base of all errors that LLMBatch raises on purpose; its text is meant for the user."""


class InvalidError(LLMBatchError):
    """What the user wrote cannot be run."""


@dataclass(frozen=True)
class Problem:
    """One mistake in a manifest: where it is and what to do about it."""

    path: str
    """The field, as in `spec.input.uri`; empty for the file as a whole."""
    message: str
    line: int | None = None
    """1-based line in the manifest, where known."""


class ManifestError(InvalidError):
    """The manifest is not a valid LLMBatch or LLMEndpoint."""

    def __init__(self, source: str, problems: tuple[Problem, ...]) -> None:
        self.source = source
        self.problems = problems
        super().__init__("\n".join(_one_line(source, p) for p in problems))

    @property
    def sentences(self) -> str:
        """All problems on one line, for a condition of a resource on a cluster."""
        return "; ".join(f"{p.path}: {p.message}" if p.path else p.message for p in self.problems)


def _one_line(source: str, problem: Problem) -> str:
    where = source if problem.line is None else f"{source}:{problem.line}"
    return f"{where}: {problem.path}: {problem.message}" if problem.path else f"{where}: {problem.message}"


class InputError(InvalidError):
    """The input cannot be read as items."""


class DuplicateIdError(InputError):
    """Two items have the same id."""


class InputMissingError(InputError):
    """What holds the items is not there; it may yet come."""


class MissingSecretError(InvalidError):
    """An API key is asked for but not there."""


class StateMismatchError(InvalidError):
    """A run is resumed with a manifest that asks for something else."""


class OutputTakenError(InvalidError):
    """The output belongs to another batch."""


class InputChangedError(LLMBatchError):
    """The input is not the one that was planned."""


class ReceiverAwayError(LLMBatchError):
    """`deliver.url` does not take a request; it is tried again."""


class StoreError(LLMBatchError):
    """The store could not be read or written."""


class StoreFullError(StoreError):
    """The store has no space left."""


class StoreReadOnlyError(StoreError):
    """The store may not be written."""


class StoreMissingError(StoreError):
    """An object is not there."""


class OutputMissingError(StoreMissingError):
    """The bucket or container of the outputs is not there."""


class StoreAwayError(StoreError):
    """The store is not to be reached; it may come back."""


class StoreDeniedError(StoreError):
    """The store refuses these credentials, or they lack a permission."""


class BatchGoneError(LLMBatchError):
    """The batch was deleted; nobody waits for the rest."""


class ClaimLostError(LLMBatchError):
    """Another process has claimed the shard since; this one must not write any more."""


class WorkerLostError(LLMBatchError):
    """A worker process died more often than is worth trying."""


class InvariantError(LLMBatchError):
    """The outputs do not hold every item exactly once. Nothing was published."""


class ClusterError(LLMBatchError):
    """kubectl ended with an error."""


class ClusterAwayError(ClusterError):
    """The cluster is not to be reached; it may come back."""


class ForbiddenError(ClusterError):
    """The user has no permission."""


class NotThereError(ClusterError):
    """The cluster has no such object."""


class BatchNotFoundError(NotThereError):
    """The cluster has no such batch."""


class BatchStateError(LLMBatchError):
    """The batch exists but is not in a state for what was asked."""


class DownloadError(LLMBatchError):
    """What was read is not the whole output."""

"""Every error a user can meet, in one tree. Each message is a sentence that says what to do.

* LLMBatchError
  x InvalidError                 what the user wrote is wrong: exit code 2
    + ManifestError              the manifest; carries one Problem per mistake
    + InputError                 the input: file, line, field
      - DuplicateIdError         two items with the same id
    + MissingSecretError         the API key is not in the environment
    + StateMismatchError         the state belongs to another manifest
  x InputChangedError            the input is not the one that was planned
  x StoreError                   reading or writing the store failed
    + StoreFullError             no space left
    + StoreReadOnlyError         may not be written
    + StoreMissingError          no such object or folder
  x ClaimLostError               another process took over the shard
  x WorkerLostError              worker processes keep dying
  x InvariantError               finalize found an item in none or both of results and errors
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
    """The manifest is not a valid LLMBatch."""

    def __init__(self, source: str, problems: tuple[Problem, ...]) -> None:
        self.source = source
        self.problems = problems
        super().__init__("\n".join(_one_line(source, p) for p in problems))


def _one_line(source: str, problem: Problem) -> str:
    where = source if problem.line is None else f"{source}:{problem.line}"
    return f"{where}: {problem.path}: {problem.message}" if problem.path else f"{where}: {problem.message}"


class InputError(InvalidError):
    """The input cannot be read as items."""


class DuplicateIdError(InputError):
    """Two items have the same id."""


class MissingSecretError(InvalidError):
    """An API key is asked for but not there."""


class StateMismatchError(InvalidError):
    """A run is resumed with a manifest that asks for something else."""


class InputChangedError(LLMBatchError):
    """The input is not the one that was planned."""


class StoreError(LLMBatchError):
    """The store could not be read or written."""


class StoreFullError(StoreError):
    """The store has no space left."""


class StoreReadOnlyError(StoreError):
    """The store may not be written."""


class StoreMissingError(StoreError):
    """An object is not there."""


class ClaimLostError(LLMBatchError):
    """Another process has claimed the shard since; this one must not write any more."""


class WorkerLostError(LLMBatchError):
    """A worker process died more often than is worth trying."""


class InvariantError(LLMBatchError):
    """The outputs do not hold every item exactly once. Nothing was published."""

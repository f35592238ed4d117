"""Exit codes of `llmbatch` and `llmbatch-worker`, documented in docs/reference.md."""

from enum import IntEnum

from llmbatch_contract.errors import InvalidError, LLMBatchError


class Exit(IntEnum):
    """How a command ended."""

    SUCCEEDED = 0
    """Every item succeeded."""
    FAILED = 1
    """The batch stopped before its end (failure policy, stopping error, store): what was answered is kept."""
    INVALID = 2
    """The manifest, the input or the command line is wrong; nothing was sent."""
    COMPLETED_WITH_ERRORS = 3
    """Every item was tried and some failed: they are in `errors.jsonl`."""
    STOPPED = 4
    """A worker pod has seen a failure on which the batch stops, or was told of one."""
    INTERRUPTED = 130
    """Stopped by SIGINT or SIGTERM; run the same command again to go on."""


def exit_for(error: LLMBatchError) -> Exit:
    """The exit code that tells of an error."""
    return Exit.INVALID if isinstance(error, InvalidError) else Exit.FAILED

"""What kubectl says on stderr, as one of our errors with a sentence. Pure; kubectl.py calls it.

kubectl has no exit codes to tell errors by, but its words come from the API server's reasons and are stable.
"""

import re

from llmbatch_contract.errors import BatchNotFoundError, ClusterAwayError, ClusterError, ForbiddenError, NotThereError

NO_SUCH_BATCH = re.compile(r'llmbatches\.llmbatch\.dev "([^"]*)" not found')
NOT_INSTALLED = re.compile(r'the server doesn\'t have a resource type "llmbatches"')
NOT_THERE = re.compile(r"\(NotFound\)")
FORBIDDEN = re.compile(r"\(Forbidden\)")
AWAY = re.compile(
    r"was refused|Unable to connect to the server|no such host|i/o timeout|TLS handshake timeout|connection reset"
    r"|connect: |unexpected EOF|stream error|http2: |\(ServiceUnavailable\)|\(Timeout\)|\(TooManyRequests\)"
)
_PREFIX = re.compile(r"^(error: |Error from server( \(\w+\))?: |Error in configuration: )")


def error_of(stderr: str) -> ClusterError:
    """The error that kubectl's stderr tells of."""
    said = last_words(stderr)
    if found := NO_SUCH_BATCH.search(said):
        return BatchNotFoundError(
            f"there is no batch {found[1]!r} in this namespace; `kubectl llmbatch status -A` lists all that there are"
        )
    if NOT_INSTALLED.search(said):
        return ClusterError("this cluster does not know LLMBatch: install the operator, with `kubectl apply -k deploy`")
    for pattern, kind in ((NOT_THERE, NotThereError), (FORBIDDEN, ForbiddenError), (AWAY, ClusterAwayError)):
        if pattern.search(said):
            return kind(_PREFIX.sub("", said))
    return ClusterError(_PREFIX.sub("", said) or "kubectl failed and did not say why")


def last_words(stderr: str) -> str:
    """The line that matters: before it come warnings and lines of kubectl's own log."""
    lines = [line for line in stderr.splitlines() if line.strip() and not _is_log(line)]
    return lines[-1].strip() if lines else ""


def _is_log(line: str) -> bool:
    """Whether it is a line of klog, as in `E1122 08:19:56.566164    2598 memcache.go:265] …`, or a warning."""
    return line.startswith("Warning: ") or re.match(r"[EWIF]\d{4} \d\d:\d\d:\d\d\.\d+ ", line) is not None

"""Speaks HTTPS with the coordinator: the only file besides the client that knows an HTTP library.

Used by the store of pods and by their reports. It adds the pod's token, which Kubernetes renews now and then, tries
again while the coordinator is away, and turns its answers into errors. The paths are those of llmbatch_contract.wire.
"""

import contextlib
import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import tenacity

from llmbatch_contract import errors, wire
from llmbatch_contract.errors import BatchGoneError, LLMBatchError, StoreAwayError, StoreError, StoreFullError
from llmbatch_worker.patience import Patience

_log = logging.getLogger(__name__)

_CONNECT_S = 5.0
_ANSWER_S = 30.0
_REFUSED_S = 60.0
"""How long a refused token is tried again: it may just have been renewed, or the pod be too new to be known."""
_LOG_EVERY = 20
_KEEPALIVE_S = 60.0
_MOST_CHARS = 1000
_DEAD_MS = 6000
# A coordinator's pod that has gone answers nothing, not even that it has gone: let the kernel find out. A slow one that
# lives still acknowledges. https://www.rfc-editor.org/rfc/rfc5482
_SOCKET_OPTIONS = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 3),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_MS),
]

Body = Callable[[], Iterable[bytes]]
"""Gives the bytes to send, anew for every try."""


class _RefusedError(StoreAwayError):
    """The coordinator does not take the token."""


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked of the coordinator."""

    method: str
    path: str
    query: Mapping[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    fine: tuple[int, ...] = ()
    """Statuses that are no errors, besides those of success."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the coordinator answered."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    tries: int = 1
    """More than one: an earlier try may have been carried out, though its answer was lost."""


class Channel:
    """One coordinator. Threads may share it."""

    def __init__(self, url: str, ca: str, token_file: Path) -> None:
        """`ca` is the certificate that vouches for the coordinator, PEM."""
        self.patience = Patience()
        self._token_file = token_file
        transport = httpx.HTTPTransport(
            verify=ssl.create_default_context(cadata=ca) if url.startswith("https") else False,
            trust_env=False,  # a proxy is for the endpoint, not for the way inside the cluster
            limits=httpx.Limits(keepalive_expiry=_KEEPALIVE_S),
            socket_options=_SOCKET_OPTIONS,
        )
        self._http = httpx.Client(base_url=url, transport=transport, trust_env=False)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def ask(self, call: Call) -> Answer:
        """Ask until there is an answer that lasts. Raises LLMBatchError.

        What may pass (the coordinator is away, the store is full) is tried again as long as there is patience.
        """
        tries = 0
        refusals = _Refusals()

        def attempt() -> Answer:
            nonlocal tries
            tries += 1
            with refusals.counted():
                return replace(self.once(call), tries=tries)

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((StoreAwayError, StoreFullError)),
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=5),
            stop=lambda _: self.patience.is_over or refusals.last_s > _REFUSED_S,
            sleep=self.patience.sleep,
            before_sleep=_log_waiting,
            reraise=True,
        )
        try:
            return retrying(attempt)
        finally:
            if tries > 1:
                _log.info("waits no longer, after %d tries", tries)

    def once(self, call: Call, timeout_s: float | None = None) -> Answer:
        """Ask once. Raises LLMBatchError; StoreAwayError when there was no answer."""
        timeout_s = min(timeout_s or _ANSWER_S, max(1.0, self.patience.left_s))
        try:
            response = self._http.request(
                call.method,
                call.path,
                params=call.query,
                headers={**call.headers, "authorization": f"Bearer {self._token()}"},
                content=None if call.body is None else call.body(),
                timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_S)),
            )
        except (httpx.HTTPError, OSError) as error:
            reason = str(error) or type(error).__name__
            raise StoreAwayError(f"the coordinator is not to be reached: {reason}") from error
        if response.is_success or response.status_code in call.fine:
            return Answer(response.status_code, response.headers, response.content)
        raise _error(response)

    def _token(self) -> str:
        return self._token_file.read_text(encoding="ascii").strip()


class _Refusals:
    """How long the token has been refused; that the coordinator was away for hours before counts for nothing."""

    def __init__(self) -> None:
        self._since: float | None = None

    @property
    def last_s(self) -> float:
        """Seconds since the first of the refusals in a row."""
        return 0.0 if self._since is None else time.monotonic() - self._since

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Note how the block ends."""
        try:
            yield
        except _RefusedError:
            self._since = self._since or time.monotonic()
            raise
        except LLMBatchError:
            self._since = None
            raise


def _log_waiting(state: tenacity.RetryCallState) -> None:
    assert state.outcome is not None
    if state.attempt_number % _LOG_EVERY == 1:
        _log.warning("waiting: %s", state.outcome.exception())


def _error(response: httpx.Response) -> LLMBatchError:
    """The error that an answer tells of, in the coordinator's own words if it has any."""
    status, text = response.status_code, response.text[:_MOST_CHARS].strip()
    sentence = text or f"the coordinator answered HTTP {status}"
    if status == httpx.codes.GONE:
        return BatchGoneError(text or "the batch was deleted")
    if status == httpx.codes.INSUFFICIENT_STORAGE:
        return StoreFullError(sentence)
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return _RefusedError(f"the coordinator refuses this pod: {sentence}")
    if status >= httpx.codes.INTERNAL_SERVER_ERROR or status in (
        httpx.codes.TOO_MANY_REQUESTS,
        httpx.codes.REQUEST_TIMEOUT,
    ):
        return StoreAwayError(f"the coordinator is in trouble: {sentence}")
    return _named(response.headers.get(wire.ERROR_KIND, ""), status)(sentence)


def _named(kind: str, status: int) -> type[LLMBatchError]:
    """The class of that name; without one, a missing object is at least that."""
    found = getattr(errors, kind, None)
    if isinstance(found, type) and issubclass(found, LLMBatchError) and found is not errors.ManifestError:
        return found
    return errors.StoreMissingError if status == httpx.codes.NOT_FOUND else StoreError

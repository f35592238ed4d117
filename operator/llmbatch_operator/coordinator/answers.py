"""Error answers: a status, the kind of the error in a header, one sentence as the body. Used by every call."""

from aiohttp import web

from llmbatch_contract import errors
from llmbatch_contract.wire import ERROR_KIND
from llmbatch_operator.coordinator.desk import Refused
from llmbatch_operator.coordinator.names import BadNameError, ObjectExistsError

_STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (errors.BatchGoneError, 410),
    (errors.StoreMissingError, 404),
    (errors.InputMissingError, 404),
    (errors.StoreFullError, 507),
    (errors.InputChangedError, 412),
    (ObjectExistsError, 412),
    (BadNameError, 400),
    (errors.InvalidError, 400),
    (errors.LLMBatchError, 500),
)


def error_answer(error: errors.LLMBatchError | Refused) -> web.Response:
    """What a caller is told."""
    status = error.status if isinstance(error, Refused) else _status(error)
    return web.Response(status=status, text=str(error), headers={ERROR_KIND: _kind(error)})


def range_answer(size: int) -> web.Response:
    """No byte of the object is in the range."""
    headers = {"Content-Range": f"bytes */{size}", ERROR_KIND: errors.StoreError.__name__}
    return web.Response(status=416, text=f"the object has {size} bytes, none of them in this range", headers=headers)


def _status(error: errors.LLMBatchError) -> int:
    return next(status for kind, status in _STATUSES if isinstance(error, kind))


def _kind(error: Exception) -> str:
    """The nearest class that both ends know."""
    known = (kind.__name__ for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
    return next(known, errors.LLMBatchError.__name__)

"""Follows one batch: every change as it comes, for `watch` and for `--wait`.

A watch ends now and then (the API server closes it, a connection breaks, or dies without a word and its time is up): it
is begun anew until the caller has seen enough or the batch is gone.
"""

import itertools
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlencode

from llmbatch_cli.kubectl.batches import Batch, read_batch
from llmbatch_cli.kubectl.json_stream import JsonStream
from llmbatch_cli.kubectl.kubectl import API, BATCHES, Kubectl
from llmbatch_contract.errors import BatchNotFoundError, ClusterAwayError

_WATCH_S = 60
_PAUSE_S = 1.0
_BLOCK = 65_536

OnAway = Callable[[ClusterAwayError], None]


def get_batch(kubectl: Kubectl, name: str) -> Batch:
    """The batch as it is now."""
    return read_batch(kubectl.json("get", BATCHES, name))


def changes(kubectl: Kubectl, name: str, on_away: OnAway) -> Generator[Batch]:
    """The batch as it is, and again after each change, without end. Raises BatchNotFoundError when it is deleted.

    Once it has been seen, a cluster that is away is waited for; `on_away` is told when that begins.
    """
    uid, is_away = "", False
    while True:
        try:
            now = get_batch(kubectl, name)
            for batch in itertools.chain([now], _one_watch(kubectl, now)):
                if uid not in ("", batch.uid):
                    raise _deleted(name)
                uid, is_away = batch.uid, False
                yield batch
        except BatchNotFoundError:
            if not uid:
                raise
            raise _deleted(name) from None
        except ClusterAwayError as error:
            if not uid:
                raise
            if not is_away:
                on_away(error)
            is_away = True
        time.sleep(_PAUSE_S)


def until(kubectl: Kubectl, name: str, is_enough: Callable[[Batch], bool], on_away: OnAway) -> Batch:
    """The batch once it is as wanted."""
    with closing(changes(kubectl, name, on_away)) as seen:
        return next(batch for batch in seen if is_enough(batch))


def _one_watch(kubectl: Kubectl, since: Batch) -> Iterator[Batch]:
    # `kubectl get --watch` lists anew before it watches: a deletion in between is never told. This one begins where the
    # batch was read.
    wanted = {"watch": "1", "fieldSelector": f"metadata.name={since.name}", "resourceVersion": since.resource_version}
    query = urlencode(wanted | {"timeoutSeconds": str(_WATCH_S)})
    url = f"{API}/namespaces/{since.namespace}/llmbatches?{query}"
    documents = JsonStream()
    with kubectl.stream("get", "--raw", url, f"--request-timeout={_WATCH_S}s") as stdout:
        while data := stdout.read(_BLOCK):
            for event in documents.feed(data):
                yield from _batch_of(event, since.name)


def _batch_of(event: dict[str, Any], name: str) -> Iterator[Batch]:
    match event.get("type"):
        case "ADDED" | "MODIFIED":
            yield read_batch(event["object"])
        case "DELETED":
            raise _deleted(name)
        case _:  # a bookmark, or an error of the watch, after which it ends
            return


def _deleted(name: str) -> BatchNotFoundError:
    return BatchNotFoundError(f"batch {name} was deleted")

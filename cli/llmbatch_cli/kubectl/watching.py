"""Follows one batch: every change as it comes, for `watch` and for `--wait`.

A watch ends now and then (the API server closes it, a connection breaks, or dies without a word and its time is up): it
is begun anew until the caller has seen enough or the batch is gone.
"""

import itertools
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any

from llmbatch_cli.kubectl.batches import Batch, read_batch
from llmbatch_cli.kubectl.json_stream import JsonStream
from llmbatch_cli.kubectl.kubectl import BATCHES, Kubectl
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
            for batch in itertools.chain([get_batch(kubectl, name)], _one_watch(kubectl, name)):
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


def _one_watch(kubectl: Kubectl, name: str) -> Iterator[Batch]:
    # Of a watch that is asked for by name, kubectl swallows the first event, and so a change that comes as it begins.
    one = ("get", BATCHES, f"--field-selector=metadata.name={name}", f"--request-timeout={_WATCH_S}s")
    documents = JsonStream()
    with kubectl.stream(*one, "--watch", "--output-watch-events", "-o", "json") as stdout:
        while data := stdout.read(_BLOCK):
            for event in documents.feed(data):
                yield from _batch_of(event, name)


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

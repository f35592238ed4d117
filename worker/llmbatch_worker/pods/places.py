"""Stores by URI as a pod has them: the coordinator's beside folders, and inputs that only a cluster has."""

from pathlib import Path

from llmbatch_contract import wire
from llmbatch_contract.pods import OUTPUT_URI, WORK_URI
from llmbatch_worker.channel import Channel
from llmbatch_worker.stores.local import LOCAL
from llmbatch_worker.stores.mounted import MountedConfigMap
from llmbatch_worker.stores.protocol import Readable, Store
from llmbatch_worker.stores.remote import CoordinatorStore
from llmbatch_worker.stores.uris import CONFIG_MAP, DEAD_LETTERS

_AREAS = {WORK_URI: f"{wire.OBJECTS}/work", OUTPUT_URI: f"{wire.OBJECTS}/output"}


class PodStores:
    """The Stores of a pod."""

    def __init__(self, channel: Channel, input_folder: Path) -> None:
        self._channel, self._input_folder = channel, input_folder

    def open(self, uri: str) -> Store:
        """Working objects or outputs."""
        if uri in _AREAS:
            return CoordinatorStore(self._channel, uri, _AREAS[uri])
        return LOCAL.open(uri)

    def open_input(self, uri: str) -> tuple[Readable, str]:
        """A key of the ConfigMap that is mounted, the dead letters of a batch, or a file."""
        if uri.startswith(CONFIG_MAP):
            name, _, key = uri.removeprefix(CONFIG_MAP).partition("/")
            return MountedConfigMap(name, self._input_folder), key
        if uri.startswith(DEAD_LETTERS):
            letters = CoordinatorStore(self._channel, DEAD_LETTERS, wire.DEAD_LETTERS)
            return letters, uri.removeprefix(DEAD_LETTERS)
        return LOCAL.open_input(uri)

"""Stores by URI as a pod has them: the coordinator's, volumes, object stores, and inputs that only a cluster has."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from llmbatch_contract import wire
from llmbatch_contract.pods import CA_NAME, OUTPUT_URI, PVC, WORK_URI, PodConfig, Use
from llmbatch_contract.storage import CredentialsSecret, ObjectStore
from llmbatch_worker.channel import Channel
from llmbatch_worker.pods.setting import Setting
from llmbatch_worker.stores.clients import Access
from llmbatch_worker.stores.credentials import of_environment, of_secret
from llmbatch_worker.stores.mounted import MountedConfigMap
from llmbatch_worker.stores.opening import OpenStores
from llmbatch_worker.stores.protocol import Found, Readable, Store
from llmbatch_worker.stores.remote import CoordinatorStore
from llmbatch_worker.stores.troubles import Troubles
from llmbatch_worker.stores.uris import CONFIG_MAP, DEAD_LETTERS
from llmbatch_worker.stores.volumes import find_in_volume, open_volume, open_volume_input

_AREAS = {WORK_URI: f"{wire.OBJECTS}/work", OUTPUT_URI: f"{wire.OBJECTS}/output"}


class PodStores:
    """The Stores of a pod."""

    def __init__(self, channel: Channel, config: PodConfig, setting: Setting) -> None:
        self.troubles = Troubles()
        self._channel, self._config, self._setting = channel, config, setting
        spec = config.job.batch.spec
        output = self._access(Use.OUTPUT, spec.output.store, spec.output.credentials_secret)
        self._stores = OpenStores(
            replace(self._access(Use.INPUT, spec.input.store, spec.input.credentials_secret), uri=spec.input.uri),
            output,
            self.troubles,
        )
        letters = config.dead_letters
        self._letters_stores = OpenStores(
            self._access(Use.DEAD_LETTERS, letters.store if letters is not None else None), output, self.troubles
        )

    def open(self, uri: str) -> Store:
        """Working objects or outputs."""
        if uri in _AREAS:
            return CoordinatorStore(self._channel, uri, _AREAS[uri])
        if uri.startswith(PVC):
            return open_volume(uri, self._mount(Use.OUTPUT), self.troubles)
        return self._stores.open(uri)

    def open_input(self, uri: str) -> tuple[Readable, str]:
        """A key of the ConfigMap that is mounted, the dead letters of a batch, a file of a volume, or an object."""
        if uri.startswith(CONFIG_MAP):
            name, _, key = uri.removeprefix(CONFIG_MAP).partition("/")
            return MountedConfigMap(name, self._setting.input_folder), key
        if uri.startswith(DEAD_LETTERS):
            return self._open_letters(uri)
        if uri.startswith(PVC):
            return open_volume_input(uri, self._mount(Use.INPUT), self.troubles)
        return self._stores.open_input(uri)

    def find_inputs(self, uri: str) -> Iterable[Found]:
        """The objects that a URI stands for."""
        if uri.startswith((CONFIG_MAP, DEAD_LETTERS)):
            store, name = self.open_input(uri)
            return [Found(uri, store.info(name))]
        if uri.startswith(PVC):
            return find_in_volume(uri, self._mount(Use.INPUT), self.troubles)
        return self._stores.find_inputs(uri)

    def _open_letters(self, uri: str) -> tuple[Readable, str]:
        """The errors of another batch, where its outputs are."""
        letters = self._config.dead_letters
        if letters is None:
            store = CoordinatorStore(self._channel, DEAD_LETTERS, wire.DEAD_LETTERS)
            return store, uri.removeprefix(DEAD_LETTERS)
        if letters.uri.startswith(PVC):
            return open_volume_input(letters.uri, self._mount(Use.DEAD_LETTERS), self.troubles)
        return self._letters_stores.open_input(letters.uri)

    def _mount(self, use: Use) -> Path:
        return self._setting.volumes_folder / use

    def _access(self, use: Use, store: ObjectStore | None, secret: CredentialsSecret | None = None) -> Access:
        """The way to a store: by the Secret that is named, else by whatever the pod's environment gives."""
        folder, whose = self._setting.credentials_folder / use, ""
        if secret is not None:
            whose = f"Secret {secret.name}"
        elif folder.is_dir():
            whose = "the Secret of the batch with the dead letters"
        read = of_secret(whose, folder) if whose else of_environment()
        if store is None or (named := store.ca_config_map) is None:
            return Access(store, read, secret=whose)
        title = f"store.caConfigMap (ConfigMap {named.name}, key {named.key})"
        return Access(store, read, self._setting.ca_folder / use / CA_NAME, ca_title=title, secret=whose)

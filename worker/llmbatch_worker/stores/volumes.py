"""Folders on a PersistentVolumeClaim that a pod has mounted: local ones, with other names, and with patience.

Used by pods. Who reads an error knows the claim and the path in it, not where a pod mounts it.
"""

from collections.abc import Iterable
from pathlib import Path

from llmbatch_contract import layout
from llmbatch_contract.errors import InputError, StoreError, StoreMissingError
from llmbatch_contract.pods import PVC
from llmbatch_worker.stores.local import LocalStore
from llmbatch_worker.stores.protocol import Found, ObjectInfo
from llmbatch_worker.stores.troubles import Troubles
from llmbatch_worker.stores.walking import names_of


class VolumeStore(LocalStore):
    """A folder in a volume: a Store."""

    def __init__(self, claim: str, path: str, mount: Path, troubles: Troubles, *, create: bool = True) -> None:
        self._claim, self._inside, self._mount, self._troubles = claim, path.strip("/"), mount, troubles
        super().__init__((mount / self._inside).as_uri(), create=create)

    def info(self, name: str) -> ObjectInfo:
        """Size and version of an object."""
        if not self._path(name).resolve().is_relative_to(self._mount.resolve()):
            raise StoreError(f"cannot read {self.where(name)}: it is a link out of the volume")
        return self._troubles.patiently(lambda: super(VolumeStore, self).info(name))

    def read(self, name: str) -> bytes:
        """A whole object."""
        return self._troubles.patiently(lambda: super(VolumeStore, self).read(name))

    def put(self, name: str, data: bytes) -> None:
        """Write an object, over an older one if there is one."""
        self._troubles.patiently(lambda: super(VolumeStore, self).put(name, data))

    def create(self, name: str, data: bytes) -> bool:
        """Write an object only if there is none of that name; False if there is."""
        return self._troubles.patiently(lambda: super(VolumeStore, self).create(name, data))

    def names(self, prefix: str) -> list[str]:
        """Names of all objects below a prefix, sorted."""
        return self._troubles.patiently(lambda: super(VolumeStore, self).names(prefix))

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects, and the folders of working objects that are empty then: somebody may look at the volume."""
        removed = list(names)
        super().remove(removed)
        for folder in {self._folder, *(self._path(name).parent for name in removed)}:
            self._remove_empty(folder)

    def _remove_empty(self, folder: Path) -> None:
        """It, and the ones above it."""
        while layout.WORK_FOLDER in folder.relative_to(self._mount).parts:
            try:
                folder.rmdir()
            except OSError:  # there is something in it
                return
            folder = folder.parent

    def where(self, name: str) -> str:
        """As in `PersistentVolumeClaim data, path tickets/2026.csv`."""
        path = "/".join(part for part in (self._inside, name) if part)
        return f"PersistentVolumeClaim {self._claim}, path {path or '/'}"


def volume_path(uri: str) -> tuple[str, str]:
    """Claim and path of a `pvc:/claim/path`."""
    claim, _, path = uri.removeprefix(PVC).partition("/")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return claim, "/".join(parts) + ("/" if parts and path.endswith("/") else "")


def open_volume(uri: str, mount: Path, troubles: Troubles) -> VolumeStore:
    """A folder for working objects or outputs, made if it is not there."""
    claim, path = volume_path(uri)
    _check_mounted(claim, mount)
    return VolumeStore(claim, path, mount, troubles)


def open_volume_input(uri: str, mount: Path, troubles: Troubles) -> tuple[VolumeStore, str]:
    """The folder of a file, and the file's name."""
    claim, path = volume_path(uri)
    _check_mounted(claim, mount)
    folder, _, name = path.rpartition("/")
    return VolumeStore(claim, folder, mount, troubles, create=False), name


def find_in_volume(uri: str, mount: Path, troubles: Troubles) -> Iterable[Found]:
    """The files that a path or a pattern in a volume stands for."""
    claim, path = volume_path(uri)
    _check_mounted(claim, mount)
    store = VolumeStore(claim, "", mount, troubles, create=False)
    try:
        names = names_of(path, mount)
    except StoreMissingError:
        raise StoreMissingError(f"there is no file {path} on PersistentVolumeClaim {claim}") from None
    return [Found(f"{PVC}{claim}/{name}", store.info(name)) for name in names]


def _check_mounted(claim: str, mount: Path) -> None:
    if not mount.is_dir():
        raise InputError(f"PersistentVolumeClaim {claim} is not mounted in this pod")

"""Outputs in a store of the user's, read with the keys of their own shell. Only the way to the store is the batch's.

Slow to import: the commands do so when a batch's outputs are not in the built-in store.
"""

import tempfile
from pathlib import Path
from typing import IO

from llmbatch_cli.kubectl.batches import Batch, Fields
from llmbatch_cli.kubectl.kubectl import Kubectl
from llmbatch_cli.outputs.stored import StoredObjects
from llmbatch_contract.errors import NotThereError
from llmbatch_contract.layout import work_folder
from llmbatch_contract.storage import ObjectStore
from llmbatch_worker.stores.credentials import of_environment
from llmbatch_worker.stores.opening import Access, OpenStores, Troubles

_PATIENCE_S = 10.0
"""Somebody sits and waits."""


def objects_in_store(kubectl: Kubectl, batch: Batch, folder: str, endpoint: str) -> StoredObjects:
    """The outputs in a folder, as in `s3://bucket/answers`; `endpoint` is the store's address as users reach it."""
    given = Fields(batch.spec).part("output").part("store")
    ca = _ca_file(kubectl, batch, given.part("caConfigMap"))
    store = ObjectStore(
        endpoint=endpoint or given.text("endpoint") or None,
        region=given.text("region") or None,
        path_style=given.flag("pathStyle"),
    )
    access = Access(store, of_environment(), None if ca is None else Path(ca.name))
    stores = OpenStores(access, access, Troubles(brief_s=_PATIENCE_S))
    return StoredObjects(stores.open(folder), stores.open(work_folder(folder, batch.uid)), keeps=ca)


def _ca_file(kubectl: Kubectl, batch: Batch, wanted: Fields) -> IO[bytes] | None:
    """The certificate as a file, which goes with the object."""
    name, key = wanted.text("name"), wanted.text("key")
    if not name:
        return None
    config_map = Fields(kubectl.json("get", "configmap", name, f"--namespace={batch.namespace}"))
    certificate = config_map.part("data").text(key)
    if not certificate:
        raise NotThereError(
            f"ConfigMap {name} in namespace {batch.namespace} has no key {key}: the certificate of the store"
        )
    file = tempfile.NamedTemporaryFile(prefix="llmbatch-ca-", suffix=".crt")  # noqa: SIM115  # closed by its end
    file.write(certificate.encode())
    file.flush()
    return file

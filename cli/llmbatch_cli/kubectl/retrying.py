"""Creates the batch that retry.py makes of an old one, or prints it. main.py calls `retry_batch`."""

import json
from collections.abc import Sequence

from llmbatch_cli.kubectl.batches import read_batch
from llmbatch_cli.kubectl.kubectl import BATCHES, Kubectl
from llmbatch_cli.kubectl.retry import free_name, require_dead_letters, retried, retry_manifest


def retry_batch(kubectl: Kubectl, name: str, categories: Sequence[str], new_name: str | None, dry_run: bool) -> None:
    """A new batch for the dead letters of another."""
    document = kubectl.json("get", BATCHES, name)
    batch = read_batch(document)
    require_dead_letters(batch, categories)
    wanted = new_name or free_name(name, _names(kubectl))
    manifest = retry_manifest(document, batch, wanted, categories)
    if dry_run:
        import yaml

        print(yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True), end="")
        return
    kubectl.run("create", "-f", "-", input=json.dumps(manifest))
    items = f"{count:,} items" if (count := retried(batch, categories)) else "items"
    print(f"{wanted} created: asks {items} of {name} again. `kubectl llmbatch watch {wanted} -n {batch.namespace}`")


def _names(kubectl: Kubectl) -> set[str]:
    """The batches that there are in the namespace."""
    printed = kubectl.run("get", BATCHES, "-o", "name").split()
    return {each.rsplit("/", 1)[-1] for each in printed}

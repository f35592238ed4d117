"""Cancel, suspend, resume, approve: one field of the spec, and what to say about it. main.py calls `change`."""

import json
from dataclasses import dataclass

from llmbatch_cli.kubectl.batches import FINAL_PHASES, Batch, Fields
from llmbatch_cli.kubectl.kubectl import BATCHES, Kubectl
from llmbatch_cli.kubectl.screen import tell
from llmbatch_cli.kubectl.watching import get_batch, until
from llmbatch_cli.kubectl.words import clean
from llmbatch_contract.errors import BatchStateError

_HELD = frozenset({"Suspended", "AwaitingApproval"})


@dataclass(frozen=True)
class Change:
    """What a command sets, and what its user reads."""

    field: str
    value: bool
    ends_in: frozenset[str]
    """Phases in which it has come about; none: any in which nothing holds it."""
    says: str
    already: str

    def is_made(self, batch: Batch) -> bool:
        """Whether the spec says so already."""
        return (batch.spec.get(self.field) is True) == self.value

    def has_come_about(self, batch: Batch) -> bool:
        """Whether the batch is so far, or has finished meanwhile."""
        if batch.is_finished:
            return True
        return batch.phase in self.ends_in if self.ends_in else batch.phase not in _HELD


CANCEL = Change(
    field="cancel",
    value=True,
    ends_in=FINAL_PHASES,
    says="cancelled: its pods end within seconds; what is answered becomes results, the rest dead letters",
    already="is cancelled already",
)
SUSPEND = Change(
    field="suspend",
    value=True,
    ends_in=frozenset({"Suspended"}),
    says="suspended: its pods end within seconds; what is answered is kept, `kubectl llmbatch resume` goes on",
    already="is suspended already",
)
RESUME = Change(
    field="suspend",
    value=False,
    ends_in=frozenset(),
    says="resumed: it goes on with what is not answered yet",
    already="is not suspended",
)


def change(kubectl: Kubectl, name: str, wanted: Change, wait: bool) -> None:
    """Make a change, and wait for it if asked to."""
    batch = get_batch(kubectl, name)
    if batch.is_finished:
        raise BatchStateError(f"{name} has ended already: {batch.phase}")
    if wanted.is_made(batch):
        print(f"{name} {wanted.already}{_held_by(batch) if wanted is RESUME else ''}")
    else:
        _patch(kubectl, name, {wanted.field: wanted.value})
        print(f"{name} {wanted.says}", flush=True)
    if wait:
        seen = until(kubectl, name, wanted.has_come_about, lambda error: tell(f"still waiting: {error}"))
        print(f"{name} is {seen.phase}")


def approve(kubectl: Kubectl, name: str) -> None:
    """Let a batch go on, whatever its canary has shown, or will."""
    batch = get_batch(kubectl, name)
    if batch.is_finished:
        raise BatchStateError(f"{name} has ended already: {batch.phase}")
    if not isinstance(canary := batch.spec.get("canary"), dict):
        raise BatchStateError(f"{name} has no canary (spec.canary), so there is nothing to approve")
    if batch.condition("CanaryPassed") is not None:
        print(f"{name} goes on already: its canary went well enough, or was approved")
    elif Fields(canary).is_true("approved"):
        print(f"{name} is approved already")
    else:
        _patch(kubectl, name, {"canary": {"approved": True}})
        waits = batch.phase == "AwaitingApproval"
        print(f"{name} approved: it goes on{'' if waits else ' after its canary, whatever that shows'}")


def _held_by(batch: Batch) -> str:
    """What else holds it."""
    held = batch.condition("Suspended")
    return f", but something else holds it: {clean(held.message, 500)}" if held is not None else ""


def _patch(kubectl: Kubectl, name: str, spec: dict[str, object]) -> None:
    kubectl.run("patch", BATCHES, name, "--type=merge", "--patch", json.dumps({"spec": spec}))

"""Removes the working objects of a batch that has written its outputs, or was deleted before it could.

What is removed has a name that only LLMBatch gives (`layout.is_working_object`), below the batch's own folder.
"""

from llmbatch_contract import layout
from llmbatch_worker.finalizing.owning import release_output
from llmbatch_worker.stores.protocol import Store

_AT_ONCE = 1000


def remove_work(working: Store, output: Store | None, uid: str) -> int:
    """Remove a batch's working objects, and its word that it writes to `output`; returns how many there were.

    May be called again, after it was killed as well: the plan goes last.
    """
    names = [name for name in working.names("") if layout.is_working_object(name)]
    names.sort(key=lambda name: name == layout.PLAN)
    for start in range(0, max(len(names), 1), _AT_ONCE):  # a volume may still have an empty folder
        working.remove(names[start : start + _AT_ONCE])
    is_owner = output is not None and release_output(output, uid)
    return len(names) + is_owner

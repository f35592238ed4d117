"""Where an output is, as the status of a batch tells it. Pure."""

from dataclasses import dataclass
from enum import StrEnum

_BUILT_IN = "llmbatch:"
"""As in llmbatch://NAMESPACE/BATCH/results.jsonl."""
_VOLUME = "pvc:/"
"""As in pvc:/CLAIM/PATH/results.jsonl."""


class Kind(StrEnum):
    """What keeps outputs."""

    BUILT_IN = "the built-in store"
    STORE = "a store"
    VOLUME = "a volume"


@dataclass(frozen=True)
class Place:
    """One output, or one folder of outputs."""

    kind: Kind
    folder: str
    """As in `s3://bucket/answers`; of a volume its claim and the path, as in `answers/2026-11`."""
    name: str
    """As in `results.jsonl`, or `results/` for a folder."""

    @classmethod
    def of(cls, text: str) -> "Place":
        """From its URI."""
        folder, _, name = text.removesuffix("/").rpartition("/")
        return cls(_kind(text), folder.removeprefix(_VOLUME), name + "/" * text.endswith("/"))

    @property
    def claim(self) -> str:
        """Of a volume: its PersistentVolumeClaim."""
        return self.folder.partition("/")[0]

    @property
    def path(self) -> str:
        """Of a volume: the output's path in it."""
        return f"{self.folder.partition('/')[2]}/{self.name}".removeprefix("/")


def _kind(text: str) -> Kind:
    if text.startswith(_BUILT_IN):
        return Kind.BUILT_IN
    return Kind.VOLUME if text.startswith(_VOLUME) else Kind.STORE

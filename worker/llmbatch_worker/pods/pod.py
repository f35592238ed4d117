"""What a stage works with."""

from dataclasses import dataclass, field

from llmbatch_contract.pods import PodConfig
from llmbatch_contract.reports import StopReason
from llmbatch_worker.channel import Channel
from llmbatch_worker.pods.halting import Halt
from llmbatch_worker.pods.setting import Setting
from llmbatch_worker.pods.store_watch import StoreWatch
from llmbatch_worker.pods.telling import Telling
from llmbatch_worker.pods.words import Notes
from llmbatch_worker.stores.protocol import Store, Stores
from llmbatch_worker.stores.troubles import Troubles


@dataclass
class Pod:
    """One pod, from its start to its end."""

    setting: Setting
    config: PodConfig
    stop: StopReason | None
    """Why the batch ended early."""
    channel: Channel
    stores: Stores
    troubles: Troubles
    """What the stores wait for. They do so patiently once the batch is planned: then a refusal may pass, too."""
    halt: Halt
    telling: Telling
    notes: Notes = field(default_factory=Notes)

    @property
    def working(self) -> Store:
        """The store of working objects."""
        return self.stores.open(self.config.job.store_uri)

    @property
    def output(self) -> Store:
        """The store of outputs."""
        return self.stores.open(self.config.job.output_uri)

    def watching(self) -> StoreWatch:
        """Tell what the stores wait for, within the block."""
        return StoreWatch(self.channel, self.setting.place.pod, self.troubles, self.halt)

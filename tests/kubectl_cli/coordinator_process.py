"""The operator's own coordinator as a process of its own, over a folder; own_coordinator.py starts it.

    python coordinator_process.py FOLDER

It prints its port. What it would ask the rest of the operator is read from files: `FOLDER/uids/NAMESPACE/BATCH`. It
ends when its stdin does.
"""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

from llmbatch_contract.reports import Reply, Report
from llmbatch_operator.coordinator.certificates import ServerCertificate, make_authority
from llmbatch_operator.coordinator.desk import PodIdentity, Refused
from llmbatch_operator.coordinator.ledger import Limits
from llmbatch_operator.coordinator.objects import Objects
from llmbatch_operator.coordinator.server import CoordinatorServer

MASTER_KEY = b"master"
"""From which keys to batches are made."""


class UidsInFiles:
    """The batches that there are; no pod reports here."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def reply(self, who: PodIdentity, report: Report) -> Reply | None:
        return None

    def batch_uid(self, namespace: str, name: str) -> str | None:
        file = self._folder / namespace / name
        return file.read_text() if file.is_file() else None

    def store_is_full(self, batch_uid: str, message: str | None) -> None:
        pass

    async def who(self, token: str) -> PodIdentity:
        raise Refused(401, "no pods here")


async def serve(folder: Path) -> None:
    """Serve until stdin ends."""
    now = datetime.now(UTC)
    objects = await Objects.open(folder, Limits(batch=1 << 30, total=1 << 30, output_reserve=0))
    certificate = ServerCertificate(make_authority(now), ["llmbatch-coordinator"], now)
    known = UidsInFiles(folder / "uids")
    server = CoordinatorServer(known, known, objects, master_key=MASTER_KEY, certificate=certificate)
    print(await server.start("0.0.0.0", 0), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.close()
    objects.close()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))

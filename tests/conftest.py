"""How tests are shared out among processes by `pytest -n`: those that use the one cluster stay together.

They run one after another in one process, beside all others, and begin first: they take longest. (xdist's own groups
would do, but 3.8 does not know the node ids of pytest 9.2.)
"""

import functools
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """The scheduler of `-n`; where xdist is not used nobody asks."""
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

    class ClusterTogether(LoadScopeScheduling):  # type: ignore[misc]
        """A scope of its own for each test, and one for all that use the cluster."""

        def _split_scope(self, nodeid: str) -> str:
            return "cluster" if uses_cluster(nodeid.partition("::")[0]) else nodeid

    return ClusterTogether(config, log)


@functools.cache
def uses_cluster(file: str) -> bool:
    """Whether a test file asks for the fixture `cluster`."""
    return 'pytest_plugins = ["cluster_fixture"' in (ROOT / file).read_text(encoding="utf-8")

"""How tests are shared out among processes by `pytest -n`: those that use the one cluster stay together.

They run one after another, beside all others, and begin first: they take longest. Those that take the operator away
are together, so that they do not meet each other. (xdist's own groups would do, but 3.8 does not know the node ids of
pytest 9.2.)
"""

import functools
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("untimed", settings.get_profile(settings.get_current_profile_name()), deadline=None)
settings.load_profile("untimed")  # how long a case takes depends on what else the machine does

ROOT = Path(__file__).resolve().parents[1]
_TROUBLE = (
    "test_failures_on_the_cluster.py",
    "test_limits_on_the_cluster.py",
    "test_running_batches.py",
    "test_traces_in_trouble.py",
)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """The scheduler of `-n`; where xdist is not used nobody asks."""
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

    class ClusterTogether(LoadScopeScheduling):  # type: ignore[misc]
        """A scope of its own for each test, and two for those that use the cluster."""

        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            if file.endswith(_TROUBLE):
                return "trouble"
            return "cluster" if uses_cluster(file) else nodeid

    return ClusterTogether(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable(report: object) -> Generator[None, object, object]:
    """Reports go from process to process as UTF-8, and hypothesis may show half a surrogate pair that broke a test."""
    return _sendable((yield))


def _sendable(value: object) -> object:
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case dict():
            return {key: _sendable(each) for key, each in value.items()}
        case list() | tuple():
            return type(value)(_sendable(each) for each in value)
        case _:
            return value


@functools.cache
def uses_cluster(file: str) -> bool:
    """Whether a test file asks for the fixture `cluster`."""
    return 'pytest_plugins = ["cluster_fixture"' in (ROOT / file).read_text(encoding="utf-8")

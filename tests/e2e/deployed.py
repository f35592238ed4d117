"""The fixtures `deployment`, `simulator`, `batches` and others, for tests of the whole system on a cluster.

A test module gets them by `pytest_plugins = ["cluster_fixture", "e2e.deployed"]`. The operator is deployed once a
session and stays; a test has a namespace of its own. When a test fails, its report shows the operator's log.
(PYTEST_DONT_REWRITE: a module that is imported for its types before pytest loads it would be warned about.)
"""

import fcntl
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import httpx
import pytest

from cluster.cluster_client import Cluster, KubectlError
from cluster.cluster_places import CACHE
from cluster_fixture import new_namespace
from e2e.api_proxy import api_proxy
from e2e.batches import Batches, batch
from e2e.deploying import NAMESPACE, Deployment, deploy
from e2e.jaeger_client import Jaeger
from e2e.simulator_pod import SimulatorPod, start_simulator
from e2e.telemetry_places import environment

__all__ = [
    "NAMESPACE",
    "Batches",
    "Deployment",
    "Jaeger",
    "SimulatorPod",
    "batch",
    "batches",
    "deployment",
    "exclusively",
    "jaeger",
    "other_batches",
    "simulator",
]

_WATCHED = ("deployment", "batches")
_OPERATOR_LOCK = "operator.lock"


@pytest.fixture(scope="session")
def deployment(cluster: Cluster) -> Iterator[Deployment]:
    """The operator of this source tree, running. On a cluster that somebody gave it is taken away at the end."""
    deployed = deploy(cluster, **environment(cluster))
    yield deployed
    if not (cluster.is_ours or os.environ.get("LLMBATCH_KEEP_CLUSTER")):
        cluster.kubectl("delete", "namespace", NAMESPACE)


@pytest.fixture(scope="session")
def jaeger(cluster: Cluster) -> Jaeger:
    """Where the spans of operator and pods are."""
    if host := cluster.jaeger_host():
        return Jaeger(host)
    reason = "no Jaeger goes with the cluster that is given: LLMBATCH_TEST_JAEGER names one, docs/testing.md says how"
    if os.environ.get("LLMBATCH_REQUIRE_CLUSTER"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def api_client(cluster: Cluster) -> Iterator[httpx.Client]:
    """HTTP through the API server."""
    with api_proxy(cluster) as client:
        yield client


@pytest.fixture(scope="session")
def simulator_pod(deployment: Deployment, api_client: httpx.Client) -> Iterator[SimulatorPod]:
    """A simulated endpoint in a namespace of its own."""
    with new_namespace(deployment.cluster) as name:
        yield start_simulator(deployment.cluster, api_client, name, deployment.images["worker"])


@pytest.fixture
def simulator(simulator_pod: SimulatorPod) -> Iterator[SimulatorPod]:
    """The simulated endpoint, with a test's own settings and counts."""
    before = simulator_pod.settings()
    simulator_pod.reset()
    yield simulator_pod
    simulator_pod.update(**before)


@pytest.fixture
def operator_at_work(deployment: Deployment) -> Iterator[None]:
    """The deployed operator shall act on what the test makes, and no other: see `operator_aside`."""
    with _lock(_OPERATOR_LOCK, fcntl.LOCK_SH):
        yield


@pytest.fixture
def operator_aside(cluster: Cluster) -> Iterator[None]:
    """No other process's test needs the deployed operator: this one may put it aside and run one of its own."""
    with exclusively(_OPERATOR_LOCK):
        yield


@contextmanager
def exclusively(name: str) -> Iterator[None]:
    """Within the block no test of another process has the lock of this name."""
    with _lock(name, fcntl.LOCK_EX):
        yield


@contextmanager
def _lock(name: str, kind: int) -> Iterator[None]:
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / name).open("w") as lock:
        fcntl.flock(lock, kind)
        yield


@pytest.fixture
def batches(deployment: Deployment, api_client: httpx.Client, namespace: str, operator_at_work: None) -> Batches:
    """The batches of the test's namespace."""
    return Batches(deployment.cluster, namespace, api_client)


@pytest.fixture
def other_batches(deployment: Deployment, api_client: httpx.Client) -> Iterator[Batches]:
    """The batches of another namespace."""
    with new_namespace(deployment.cluster) as name:
        yield Batches(deployment.cluster, name, api_client)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell what happened on the cluster, when a test fails that uses it."""
    report = yield
    if report.failed and report.when == "call":
        used = getattr(item, "funcargs", {})
        report.sections += [(f"what {name} tells", _story(used[name])) for name in _WATCHED if name in used]
    return report


def _story(teller: Deployment | Batches) -> str:
    try:
        return teller.log() if isinstance(teller, Deployment) else teller.story()
    except KubectlError as error:
        return str(error)

"""The fixtures `cluster` and `namespace`, for tests that need a real Kubernetes.

A test module gets them by `pytest_plugins = ["cluster_fixture"]`, and may import the type `Cluster` from here. Which
cluster it is, and when it is stopped, `docs/testing.md` says. (PYTEST_DONT_REWRITE: a module that is imported for its
types before pytest loads it as a plugin would be warned about.)
"""

import fcntl
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO

import pytest

from cluster import cluster_lifecycle
from cluster.cluster_client import Cluster, KubectlError
from cluster.cluster_network import outgoing_address
from cluster.cluster_places import CACHE, HERE, KUBECONFIG, ClusterError
from cluster.cluster_tools import look_in_system_folders

__all__ = ["Cluster", "KubectlError", "cluster", "namespace", "new_namespace"]

_TEST_TIMEOUT_S = 300
_HOW_TO_GET_ONE = "docs/testing.md says how to give the tests a cluster"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let a timeout bound the test alone: the first start of the cluster compiles for minutes.

    They begin first, because they take longest, and run beside the others (conftest.py).
    """
    items.sort(key=lambda item: "cluster" not in getattr(item, "fixturenames", ()))
    for item in items:
        if "cluster" in getattr(item, "fixturenames", ()):
            own = item.get_closest_marker("timeout")
            timeout_s = own.args[0] if own and own.args else _TEST_TIMEOUT_S
            item.add_marker(pytest.mark.timeout(timeout_s, func_only=True), append=False)


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A real Kubernetes: the one that is given, else the project's own, started for the session where none runs."""
    look_in_system_folders()
    if given := os.environ.get("LLMBATCH_TEST_KUBECONFIG"):
        yield Cluster(Path(given).expanduser().resolve(), outgoing_address(), is_ours=False)
        return
    _require_own_cluster()
    with _in_use() as lock:
        try:
            with _shown(request):
                _command("up", "--node", "--for-tests")
            yield Cluster(KUBECONFIG, _node_ip(), is_ours=True)
        finally:
            _stop_if_last(lock)


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A fresh namespace, deleted after the test."""
    with new_namespace(cluster) as name:
        yield name


@contextmanager
def new_namespace(cluster: Cluster) -> Iterator[str]:
    """A fresh namespace, deleted at the end."""
    name = f"test-{secrets.token_hex(4)}"
    cluster.kubectl("create", "namespace", name)
    cluster.wait_until("service account", lambda: cluster.kubectl("get", "serviceaccount", "default", "-n", name))
    try:
        yield name
    finally:
        cluster.kubectl("delete", "namespace", name, "--wait=false")


def _require_own_cluster() -> None:
    try:
        cluster_lifecycle.require_root()
    except ClusterError as error:
        reason = f"{error}. {_HOW_TO_GET_ONE}"
        if os.environ.get("LLMBATCH_REQUIRE_CLUSTER"):
            pytest.fail(f"LLMBATCH_REQUIRE_CLUSTER is set, but {reason}")
        pytest.skip(reason)


def _node_ip() -> str:
    started = cluster_lifecycle.running()
    if started is None:
        raise ClusterError("the cluster ended right after its start")
    return started.node_ip


@contextmanager
def _in_use() -> Iterator[IO[str]]:
    """Say that this session uses the cluster, so that another one does not stop it."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "in-use.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield lock


def _stop_if_last(lock: IO[str]) -> None:
    """Stop what tests started when nobody else uses it. What a person started by `up` stays."""
    started = cluster_lifecycle.running()
    if os.environ.get("LLMBATCH_KEEP_CLUSTER") or (started and not started.for_tests):
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    _command("down")


def _command(*words: str) -> None:
    """Run the cluster's command as a process of its own: what it starts is then no child of the tests."""
    done = subprocess.run([sys.executable, str(HERE), *words], check=False)
    if done.returncode:
        pytest.fail(f"{json.dumps(words)} of tests/cluster failed; its output says why")


def _shown(request: pytest.FixtureRequest) -> AbstractContextManager[None]:
    """Let the progress through to the terminal: it may take minutes."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    return capture.global_and_fixture_disabled() if capture else nullcontext()

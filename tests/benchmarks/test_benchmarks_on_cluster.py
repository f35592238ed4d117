"""The benchmarks of the operator work at their smallest size on a real cluster. What they measure decides nothing."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cluster_fixture import Cluster

pytest_plugins = ["cluster_fixture", "e2e.deployed"]

_ROOT = Path(__file__).parents[2]
_PAGE = _ROOT / "docs" / "benchmarks.md"
_WITHIN_S = 200


def _ran(cluster: Cluster, name: str, folder: Path) -> str:
    """The section that a benchmark has written."""
    page = Path(shutil.copy(_PAGE, folder))
    given = {} if cluster.is_ours else {"LLMBATCH_TEST_KUBECONFIG": str(cluster.kubeconfig)}
    given["LLMBATCH_BENCH_AS_IT_IS"] = "1"
    command = [sys.executable, "-m", "benchmarks", name, "--smallest", "--page", str(page)]
    ended = subprocess.run(
        command, cwd=_ROOT, capture_output=True, text=True, timeout=_WITHIN_S, check=False, env=os.environ | given
    )
    assert ended.returncode == 0, ended.stderr
    found = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", page.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.usefixtures("operator_aside")
def test_an_operator_is_put_under_load(cluster: Cluster, tmp_path: Path) -> None:
    section = _ran(cluster, "operator", tmp_path)
    assert re.search(r"batches with a wrong status at the end +\| 0 ", section)


@pytest.mark.usefixtures("operator_at_work")
def test_latencies_of_a_batch_are_measured(cluster: Cluster, tmp_path: Path) -> None:
    assert "first request of a small batch" in _ran(cluster, "cluster", tmp_path)


@pytest.mark.usefixtures("operator_at_work")
def test_calls_of_a_batch_are_counted(cluster: Cluster, tmp_path: Path) -> None:
    if not cluster.has_audit_log:
        pytest.skip("the audit log of a cluster given by LLMBATCH_TEST_KUBECONFIG cannot be read")
    assert "patch llmbatches/status" in _ran(cluster, "calls", tmp_path)

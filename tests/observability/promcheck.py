"""The fixture `promcheck`: Prometheus' own parser and query engine, to ask them about expressions and alert rules.

The program is compiled once, about a minute, from tests/cluster/promcheck, where the programs of the test cluster are;
it needs no cluster and no rights. A test module gets it by `pytest_plugins = ["observability.promcheck"]`.
(PYTEST_DONT_REWRITE: it is imported for its types, too, before pytest loads it as a plugin.)
"""

import itertools
import json
import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cluster.cluster_build import binary, build
from cluster.cluster_places import ClusterError

_TIMEOUT_S = 60
_SUBJECTS = ("llmbatch_batch_name", "llmbatch_endpoint_name")


@dataclass(frozen=True)
class Fires:
    """An alert that fires from one minute to another, both included, and its summary at the end."""

    alert: str
    since: int
    until: int
    summary: str
    batch: str = ""
    """Or the endpoint."""


@dataclass(frozen=True)
class Promcheck:
    """The program."""

    command: Path

    def problems(self, *words: str | Path, lines: Iterable[str] = ()) -> str:
        """What it finds wrong; empty if nothing."""
        done = self._run(*words, lines=lines)
        assert (done.stdout == "") == (done.returncode == 0), done.stderr
        return done.stdout

    def firing(self, rules: Path, series: Iterable[str], minutes: int) -> set[Fires]:
        """The alerts that fire from minute 0 on, given series of one sample a minute."""
        done = self._run("alerts", rules, str(minutes), lines=series)
        assert done.returncode == 0, done.stdout + done.stderr
        told = [json.loads(line) for line in done.stdout.splitlines()]
        return {_episode(list(of_one)) for _, of_one in itertools.groupby(sorted(told, key=_subject), _subject)}

    def _run(self, *words: str | Path, lines: Iterable[str]) -> subprocess.CompletedProcess[str]:
        command = [self.command, *words]
        text = "".join(f"{line}\n" for line in lines)
        return subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)


@pytest.fixture(scope="session")
def promcheck() -> Promcheck:
    """The program, compiled if it is not yet. Where it cannot be, tests are skipped, or fail where all are required."""
    try:
        build(["promcheck"])
    except ClusterError as reason:
        if os.environ.get("LLMBATCH_REQUIRE_CLUSTER"):
            pytest.fail(f"LLMBATCH_REQUIRE_CLUSTER is set, but {reason}")
        pytest.skip(str(reason))
    return Promcheck(binary("promcheck"))


def _subject(told: dict[str, Any]) -> tuple[str, str]:
    return told["alert"], json.dumps(told["labels"], sort_keys=True)


def _episode(told: list[dict[str, Any]]) -> Fires:
    """One alert in all its minutes, which come in order."""
    minutes = [each["minute"] for each in told]
    assert minutes == [*range(minutes[0], minutes[-1] + 1)], f"{told[0]['alert']} ends and comes again: {minutes}"
    last = told[-1]
    subject = next((last["labels"][key] for key in _SUBJECTS if key in last["labels"]), "")
    return Fires(last["alert"], minutes[0], minutes[-1], last["annotations"]["summary"], subject)

"""Runs `kubectl` with the options that choose a cluster, so that every way of authenticating works.

The commands get a Kubectl from options.py. Nothing else here starts a process or talks to a cluster. What kubectl
refuses comes out as an error of llmbatch_contract.errors.
"""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from llmbatch_cli.kubectl.refusals import error_of
from llmbatch_contract.errors import ClusterAwayError, ClusterError

BATCHES = "llmbatches.llmbatch.dev"
"""The resource, in full: another group may have the same short name."""

API = "/apis/llmbatch.dev/v1alpha1"
"""Where the API server has it."""


@dataclass(frozen=True)
class Kubectl:
    """kubectl, for one cluster and namespace; what is not given, kubectl takes from its configuration."""

    namespace: str | None = None
    context: str | None = None
    kubeconfig: str | None = None

    def run(self, *words: str, input: str | None = None) -> str:
        """What kubectl prints."""
        done = subprocess.run(_started(self._command(words)), input=input, capture_output=True, text=True, check=False)
        if done.returncode:
            raise error_of(done.stderr)
        return done.stdout

    def json(self, *words: str) -> dict[str, Any]:
        """What kubectl prints with `-o json`."""
        answer = json.loads(self.run(*words, "-o", "json"))
        if not isinstance(answer, dict):
            raise ClusterError(f"kubectl {words[0]} did not print an object")
        return answer

    @contextmanager
    def stream(self, *words: str) -> Iterator[IO[bytes]]:
        """kubectl's output, of which `read` gives what has come. At its end a failure of kubectl is raised.

        If the reader leaves before, kubectl is ended.
        """
        # A file takes what kubectl says on the side: a full pipe would stop it.
        with tempfile.TemporaryFile() as said:
            command = _started(self._command(words))
            process = subprocess.Popen(command, bufsize=0, stdout=subprocess.PIPE, stderr=said)
            assert process.stdout is not None
            try:
                yield process.stdout
                code = process.wait()
            finally:
                process.terminate()
                process.stdout.close()
                process.wait()
            if code < 0:
                raise ClusterAwayError(f"kubectl was ended by signal {-code}")
            if code:
                said.seek(0)
                raise error_of(said.read().decode(errors="replace"))

    def pass_through(self, *words: str) -> int:
        """Let kubectl speak for itself; its exit code."""
        return subprocess.run(_started(self._command(words)), check=False).returncode

    def _command(self, words: tuple[str, ...]) -> list[str]:
        chosen = (("--namespace", self.namespace), ("--context", self.context), ("--kubeconfig", self.kubeconfig))
        return ["kubectl", *words, *(f"{option}={value}" for option, value in chosen if value is not None)]


def _started(command: list[str]) -> list[str]:
    """The command with the full path of kubectl."""
    found = shutil.which(command[0])
    if found is None:
        raise ClusterError("kubectl is not on the PATH; this command reaches the cluster by it")
    return [found, *command[1:]]

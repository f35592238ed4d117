"""What kubectl says on stderr becomes an error of the right kind, with a sentence. The texts are kubectl's own."""

import pytest

from llmbatch_cli.kubectl.refusals import error_of
from llmbatch_contract.errors import (
    BatchNotFoundError,
    ClusterAwayError,
    ClusterError,
    ForbiddenError,
    NotThereError,
)

KLOG = 'E1122 08:19:56.566164    2598 memcache.go:265] "Unhandled Error" err="couldn\'t get current server API group"\n'


@pytest.mark.parametrize(
    ("stderr", "kind", "words"),
    [
        pytest.param(
            'Error from server (NotFound): llmbatches.llmbatch.dev "tickts" not found\n',
            BatchNotFoundError,
            "there is no batch 'tickts'",
            id="a batch that is not there",
        ),
        pytest.param(
            'Error from server (NotFound): namespaces "nix" not found\n',
            NotThereError,
            'namespaces "nix" not found',
            id="a namespace that is not there",
        ),
        pytest.param(
            'error: the server doesn\'t have a resource type "llmbatches"\n',
            ClusterError,
            "install the operator",
            id="a cluster without the CRD",
        ),
        pytest.param(
            'Error from server (Forbidden): secrets "x" is forbidden: User "joe" cannot get resource "secrets"\n',
            ForbiddenError,
            'User "joe" cannot get',
            id="no permission",
        ),
        pytest.param(
            f"{KLOG}{KLOG}The connection to the server 127.0.0.1:1 was refused - did you specify the right host?\n",
            ClusterAwayError,
            "127.0.0.1:1 was refused",
            id="a server that is away, after lines of kubectl's log",
        ),
        pytest.param(
            "error: stream error: stream ID 3; INTERNAL_ERROR; received from peer\n",
            ClusterAwayError,
            "stream error",
            id="a connection that breaks",
        ),
        pytest.param(
            'Error from server (ServiceUnavailable): no endpoints available for service "https:a:https"\n',
            ClusterAwayError,
            "no endpoints available",
            id="a service without pods",
        ),
        pytest.param(
            "Unable to connect to the server: dial tcp: lookup nowhere on 10.0.0.1:53: no such host\n",
            ClusterAwayError,
            "no such host",
            id="a server whose name is unknown",
        ),
        pytest.param(
            "Error in configuration: context was not found for specified context: nope\n",
            ClusterError,
            "context was not found",
            id="a context that is not there",
        ),
        pytest.param(
            'The LLMBatch "a" is invalid: spec: Invalid value\nWarning: unknown field\n',
            ClusterError,
            "is invalid",
            id="warnings are passed over",
        ),
        pytest.param("", ClusterError, "did not say why", id="silence"),
    ],
)
def test_the_kind_and_the_sentence(stderr: str, kind: type[ClusterError], words: str) -> None:
    error = error_of(stderr)
    assert type(error) is kind
    assert words in str(error)
    assert not str(error).startswith(("error:", "Error from server"))

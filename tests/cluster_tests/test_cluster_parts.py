"""What the cluster's own code promises without a cluster: its name server's answers, keys of images, whom it ends."""

import dataclasses
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.cluster_dns import reply, service_entry
from cluster.cluster_process import end, identity_of, is_running
from cluster.cluster_sources import copied, digest_of_build

ADDRESSES = {"web.shop.svc.cluster.local": "10.96.0.7"}
TYPE_A, TYPE_AAAA = 1, 28


def query(name: str, kind: int) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return b"\x12\x34" + struct.pack("!HHHHH", 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)


@pytest.mark.parametrize(
    ("name", "kind", "code", "answers"),
    [
        pytest.param("web.shop.svc.cluster.local", TYPE_A, 0, 1, id="a Service has one address"),
        pytest.param("WEB.shop.svc.Cluster.local", TYPE_A, 0, 1, id="whatever the case of the letters"),
        pytest.param("web.shop.svc.cluster.local", TYPE_AAAA, 0, 0, id="it exists but has no IPv6 address"),
        pytest.param("mail.shop.svc.cluster.local", TYPE_A, 3, 0, id="an unknown Service does not exist"),
        pytest.param("example.org", TYPE_A, 3, 0, id="nor does the world outside"),
    ],
)
def test_the_name_server_knows_services_only(name: str, kind: int, code: int, answers: int) -> None:
    asked = query(name, kind)
    got = reply(asked, ADDRESSES)
    flags, questions, answered = struct.unpack_from("!HHH", got, 2)
    assert (got[:2], flags & 0xF, questions, answered) == (b"\x12\x34", code, 1, answers)
    assert got[12 : len(asked)] == asked[12:]
    assert got.endswith(socket.inet_aton("10.96.0.7")) == bool(answers)


def test_a_query_that_is_cut_off_is_refused() -> None:
    with pytest.raises((IndexError, struct.error)):
        reply(query("web.shop.svc.cluster.local", TYPE_A)[:20], ADDRESSES)


def test_a_headless_service_has_no_address() -> None:
    metadata = {"name": "web", "namespace": "shop"}
    assert service_entry({"metadata": metadata, "spec": {"clusterIP": "None"}}) == ("web.shop.svc.cluster.local", "")


def test_what_a_dockerfile_copies_from_its_context() -> None:
    dockerfile = "FROM a\nCOPY --chown=1:1 one two \\\n  three /to/\nCOPY --from=build /x /y\nadd four /\nRUN cp a b\n"
    assert copied(dockerfile) == ["one", "two", "three", "four"]


def test_only_a_change_of_what_is_copied_builds_an_image_anew(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM a\nCOPY code /code\n")
    (tmp_path / "code").mkdir()
    source = tmp_path / "code" / "main.py"
    source.write_text("1")
    first = digest_of_build(tmp_path, "tag")
    (tmp_path / "README.md").write_text("changed")
    assert digest_of_build(tmp_path, "tag") == first
    assert digest_of_build(tmp_path, "other") != first
    source.write_text("2")
    assert digest_of_build(tmp_path, "tag") != first


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux")
def test_a_process_that_got_the_number_of_an_old_one_is_not_taken_for_it() -> None:
    this = identity_of(os.getpid())
    assert this is not None
    assert is_running(this)
    assert not is_running(dataclasses.replace(this, started_ticks="1"))
    assert not is_running(dataclasses.replace(this, boot="another"))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux")
def test_a_process_that_ignores_a_polite_request_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.cluster_process._STOP_S", 0.2)
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as deaf:
        assert deaf.stdout
        assert deaf.stdout.readline() == "deaf\n"
        identity = identity_of(deaf.pid)
        assert identity is not None
        end(identity)
        assert not is_running(identity)

"""TLS: pods trust the authority they were given and no other, and certificates are renewed in time."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509

from coordinator.coordinator_bench import Bench, serving, trusting
from llmbatch_operator.coordinator.certificates import (
    KeyPair,
    ServerCertificate,
    make_authority,
    make_server_certificate,
)

NOW = datetime(2026, 5, 17, 12, tzinfo=UTC)


async def test_a_client_that_trusts_the_authority_is_served(tmp_path: Path) -> None:
    authority = make_authority(datetime.now(UTC))
    async with serving(tmp_path, authority=authority) as bench:
        context = trusting(authority)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        async with httpx.AsyncClient(verify=context) as client:
            assert (await client.get(f"https://localhost:{bench.port}/healthz")).text == "ok"


@pytest.mark.parametrize(
    ("context", "host"),
    [
        pytest.param(ssl.create_default_context(), "localhost", id="the system's authorities"),
        pytest.param(trusting(make_authority(datetime.now(UTC))), "localhost", id="another authority of the same name"),
        pytest.param(None, "127.0.0.1", id="a wrong host name"),
    ],
)
async def test_other_clients_hang_up(tmp_path: Path, context: ssl.SSLContext | None, host: str) -> None:
    async with serving(tmp_path) as bench, httpx.AsyncClient(verify=context or trusting(bench.authority)) as client:
        with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
            await client.get(f"https://{host}:{bench.port}/healthz")


def test_a_server_certificate_is_short_lived_and_an_authority_is_not() -> None:
    authority = make_authority(NOW)
    server = make_server_certificate(authority, ["a.b.svc", "localhost"], NOW)
    assert (authority.expires_at - NOW, server.expires_at - NOW) == (timedelta(days=3650), timedelta(days=90))
    names = x509.load_pem_x509_certificate(server.certificate_pem).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.DNSName) == ["a.b.svc", "localhost"]


def test_an_authority_read_back_from_pem_signs() -> None:
    made = make_authority(NOW)
    read = KeyPair(bytes(made.certificate_pem), bytes(made.key_pem))
    server = x509.load_pem_x509_certificate(make_server_certificate(read, ["localhost"], NOW).certificate_pem)
    server.verify_directly_issued_by(x509.load_pem_x509_certificate(made.certificate_pem))


@pytest.mark.parametrize(
    ("days", "is_renewed"),
    [
        pytest.param(0, False, id="a new one"),
        pytest.param(59, False, id="with more than a third left"),
        pytest.param(60, True, id="with a third left"),
        pytest.param(100, True, id="expired"),
    ],
)
def test_a_certificate_is_renewed_in_time(days: int, is_renewed: bool) -> None:
    certificate = ServerCertificate(make_authority(NOW), ["localhost"], NOW)
    later = NOW + timedelta(days=days)
    assert certificate.renew_if_due(later) is is_renewed
    assert certificate.expires_at == (later if is_renewed else NOW) + timedelta(days=90)


async def test_new_connections_get_the_renewed_certificate_and_old_ones_go_on(tmp_path: Path) -> None:
    async with serving(tmp_path, certificate_age=timedelta(days=61)) as bench:
        old_reader, old = await _connected(bench)
        assert bench.certificate.renew_if_due(datetime.now(UTC))
        _, new = await _connected(bench)
        assert _serial(old) != _serial(new)
        old.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert await old_reader.readline() == b"HTTP/1.1 200 OK\r\n"
        for writer in (old, new):
            writer.close()
            await writer.wait_closed()


async def _connected(bench: Bench) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = trusting(bench.authority)
    return await asyncio.open_connection("127.0.0.1", bench.port, ssl=context, server_hostname="localhost")


def _serial(writer: asyncio.StreamWriter) -> str:
    found: dict[str, str] = writer.get_extra_info("peercert")
    return found["serialNumber"]

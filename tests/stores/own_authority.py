"""A server of the tests with a certificate of an authority that nobody else knows; its name is localhost."""

import ssl
from datetime import UTC, datetime
from http.server import HTTPServer
from pathlib import Path

from llmbatch_operator.coordinator.certificates import make_authority, make_server_certificate


def serve_tls(server: HTTPServer, folder: Path) -> Path:
    """Let it speak TLS from now on; returns the file with the authority's certificate."""
    now = datetime.now(UTC)
    authority = make_authority(now)
    pair = make_server_certificate(authority, ["localhost"], now)
    own, ca = folder / "server.pem", folder / "ca.crt"
    own.write_bytes(pair.key_pem + pair.certificate_pem)
    ca.write_bytes(authority.certificate_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return ca

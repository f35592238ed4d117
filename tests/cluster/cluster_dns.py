"""A name server for Services: `NAME.NAMESPACE.svc.cluster.local` to the cluster IP, and nothing else.

The node starts it as a process of its own. It watches Services through the API and answers over UDP on the bridge.
Names of headless Services and of the world outside do not exist here: tests need neither, and get the same answer
wherever they run.
"""

import http.client
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

from cluster.cluster_certificates import API_PORT, admin_token
from cluster.cluster_places import GATEWAY, STATE

PORT = 53
_HEADER_BYTES = 12
_RESPONSE, _NO_SUCH_NAME = 0x8580, 3
_TYPE_A, _TTL_S = 1, 1
_RETRY_S = 1.0


def reply(query: bytes, addresses: Mapping[str, str]) -> bytes:
    """The answer to one query with one question. Raises on a query that is cut off."""
    name, kind, end = _question(query)
    address = addresses.get(name)
    answer = b""
    if address and kind == _TYPE_A:
        # 0xC00C points back to the name in the question.
        answer = struct.pack("!HHHIH", 0xC00C, _TYPE_A, 1, _TTL_S, 4) + socket.inet_aton(address)
    flags = _RESPONSE | (0 if address else _NO_SUCH_NAME)
    return query[:2] + struct.pack("!HHHHH", flags, 1, bool(answer), 0, 0) + query[_HEADER_BYTES:end] + answer


def _question(query: bytes) -> tuple[str, int, int]:
    """The name asked for, the type of record, and where the question ends."""
    labels, at = [], _HEADER_BYTES
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode("ascii", "replace").lower())
        at += 1 + length
    (kind,) = struct.unpack_from("!H", query, at + 1)
    return ".".join(labels), kind, at + 5


def service_entry(service: Mapping[str, Any]) -> tuple[str, str]:
    """A Service's full name and its address; the address is empty where it has none."""
    metadata, address = service["metadata"], service["spec"].get("clusterIP", "")
    full = f"{metadata['name']}.{metadata['namespace']}.svc.cluster.local"
    return full, "" if address == "None" else address


def serve() -> None:
    """Answer until the process is ended."""
    addresses: dict[str, str] = {}
    threading.Thread(target=_follow_services, args=(addresses,), daemon=True).start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((GATEWAY, PORT))
        while True:
            query, asker = server.recvfrom(4096)
            try:
                server.sendto(reply(query, addresses), asker)
            except (IndexError, struct.error) as error:
                print(f"not a query: {error}", flush=True)


def _follow_services(addresses: dict[str, str]) -> None:
    """Keep the addresses as the API says. A watch ends now and then; the next one begins with all Services."""
    while True:
        try:
            for event in _watch():
                name, address = service_entry(event["object"])
                addresses.pop(name, None)
                if address and event["type"] != "DELETED":
                    addresses[name] = address
        except (OSError, http.client.HTTPException, KeyError, ValueError) as error:
            print(f"watching Services again after: {error!r}", flush=True)
        time.sleep(_RETRY_S)


def _watch() -> Iterator[dict[str, Any]]:
    context = ssl.create_default_context(cafile=str(STATE / "ca.crt"))
    connection = http.client.HTTPSConnection("127.0.0.1", API_PORT, context=context)
    try:
        connection.request("GET", "/api/v1/services?watch=1", headers={"Authorization": f"Bearer {admin_token()}"})
        for line in connection.getresponse():
            yield json.loads(line)
    finally:
        connection.close()

"""One request to a port of this machine with exactly the headers that are given; libraries write their own."""

from __future__ import annotations

import socket

WEBSOCKET = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol": "graphql-ws",
}


def status(port: int, path: str, headers: list[tuple[str, str]], method: str = "GET") -> int:
    """The status of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
        connection.sendall("\r\n".join(lines).encode())
        return int(connection.makefile("rb").readline().split()[1])

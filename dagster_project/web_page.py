"""Dagster's web page for this machine alone: the webserver as a program, behind a check of who asks.

To listen on loopback keeps other machines out, not the pages that a browser on this one has open. A page of a foreign
site whose name is made to point at 127.0.0.1 (DNS rebinding) names that site as Host; one that asks across sites names
it as Origin, or in Sec-Fetch-Site where a picture or a form asks.
"""

from __future__ import annotations

import io
import ipaddress
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dagster_project.paths import Paths

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


PICTURES = "/pictures/"
#: What asks for a small picture, and its height in pixels.
SMALL, HEIGHT = "small", 240


class OnlyThisMachine:
    """ASGI middleware that answers what names a loopback address as its Host and, if it names any, as its Origin."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        why = refusal(scope) if scope["type"] in ("http", "websocket") else ""
        if not why:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": why})
        else:
            from starlette.responses import PlainTextResponse

            await PlainTextResponse(f"{why}\n", status_code=403)(scope, receive, send)


def refusal(scope: Scope) -> str:
    """Why a request is not answered; empty where it is."""
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    hosts = headers.get("host", [])
    if len(hosts) != 1 or not of_loopback(f"//{hosts[0]}"):
        return (
            "This page answers only to its own machine: open it as http://127.0.0.1 or http://localhost and its port."
        )
    if not all(of_loopback(origin) for origin in headers.get("origin", [])):
        return "This page does not answer to pages of other sites."
    elsewhere = any(site not in ("same-origin", "none") for site in headers.get("sec-fetch-site", []))
    link = scope.get("method") == "GET" and ("document" in headers.get("sec-fetch-dest", []))
    if elsewhere and not link:
        return "This page does not answer to pages of other sites; a link to it works."
    return ""


def of_loopback(address: str) -> bool:
    """Whether an address (``//127.0.0.1:3000``, ``http://localhost``) names this machine and holds nothing else."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        _ = parts.port  # ValueError where it is none
        if (
            "@" in parts.netloc
            or parts.path
            or parts.query
            or parts.fragment
            or parts.scheme not in ("", "http", "https")
        ):
            return False
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def picture(study: str, exhibit: str) -> str:
    """Where the page has the picture of an exhibit."""
    return f"{PICTURES}{study}/{exhibit}.png"


class Pictures:
    """ASGI middleware that answers ``/pictures/<study>/<exhibit>.png`` with the picture of the last publication."""

    def __init__(self, app: ASGIApp, published: Path) -> None:
        self.app, self.published = app, published

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = re.fullmatch(rf"{PICTURES}(\w+)/(\w+)\.png", scope["path"]) if scope["type"] == "http" else None
        if asked is None:
            await self.app(scope, receive, send)
            return
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import FileResponse, PlainTextResponse, Response

        file = self.published.resolve() / "exhibits" / asked[1] / f"{asked[2]}.png"
        headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        answer: Response = PlainTextResponse("No publication has this picture.\n", status_code=404)
        if file.is_file() and scope["query_string"] == SMALL.encode():
            content = await run_in_threadpool(small, file)
            answer = Response(content, media_type="image/png", headers=headers)
        elif file.is_file():
            answer = FileResponse(file, headers=headers)
        await answer(scope, receive, send)


def small(file: Path) -> bytes:
    """A picture that is whole in sight where Dagster folds a description; it shows pictures pixel by pixel."""
    from PIL import Image

    made = io.BytesIO()
    with Image.open(file) as picture:
        picture.thumbnail((picture.width, HEIGHT))
        picture.save(made, "PNG")
    return made.getvalue()


def main() -> None:
    """`dagster-webserver` with its own arguments, behind the check, with the pictures of the last publication."""
    from dagster_webserver import cli
    from dagster_webserver.webserver import DagsterWebserver
    from starlette.middleware import Middleware

    published = Paths.from_environment().published
    theirs = DagsterWebserver.build_middleware

    def build_middleware(webserver: DagsterWebserver) -> list[Middleware]:
        return [Middleware(OnlyThisMachine), Middleware(Pictures, published=published), *theirs(webserver)]

    DagsterWebserver.build_middleware = build_middleware  # type: ignore[method-assign, assignment]
    cli.main()


if __name__ == "__main__":
    main()

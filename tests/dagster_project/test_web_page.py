"""The web page answers its own machine only: foreign Host (DNS rebinding), foreign Origin, pages of other sites."""

from __future__ import annotations

import io
import socket
import threading
import time

import numpy as np
import pytest
import uvicorn
from matplotlib import image
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient

from dagster_project.web_page import HEIGHT, SMALL, OnlyThisMachine, Pictures, picture
from tests.dagster_project.raw_request import WEBSOCKET, status


@pytest.fixture(scope="module")
def page():
    """A server of one page and one websocket behind the check; yields its port and what reached the application."""
    reached: list[str] = []

    async def answer(request):
        reached.append(request.method)
        return PlainTextResponse("served")

    async def listen(websocket):
        reached.append("websocket")
        await websocket.accept()
        await websocket.close()

    app = Starlette(
        routes=[Route("/graphql", answer, methods=["GET", "POST"]), WebSocketRoute("/graphql", listen)],
        middleware=[Middleware(OnlyThisMachine)],
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.05)
        yield listening.getsockname()[1], reached
        server.should_exit = True
        thread.join()


OURS = ["127.0.0.1:3000", "localhost:3000", "LOCALHOST", "127.0.0.1", "[::1]:3000", "localhost:8080"]
FOREIGN = [
    "rebound.example.org:3000",
    "127.0.0.1.example.org:3000",
    "localhost.example.org",
    "example.org@127.0.0.1",
    "127.0.0.1:3000@example.org",
    "192.168.1.10:3000",
    "0.0.0.0:3000",
    "127.0.0.1:x",
    "[::1",
    "localhost/example.org",
    "",
]


@pytest.mark.parametrize("host", OURS)
def test_this_machine_is_answered_by_any_of_its_names_and_through_a_tunnel(page, host):
    port, reached = page
    reached.clear()
    for origin in ([], [("Origin", f"http://{host}")]):
        assert status(port, "/graphql", [("Host", host), *origin]) == 200
        assert status(port, "/graphql", [("Host", host), *origin, *WEBSOCKET.items()]) == 101
    assert reached == ["GET", "websocket"] * 2


@pytest.mark.parametrize("host", FOREIGN)
def test_a_foreign_host_is_refused_before_the_application_sees_it(page, host):
    port, reached = page
    reached.clear()
    for more in ([], list(WEBSOCKET.items())):
        assert status(port, "/graphql", [("Host", host), *more]) in (400, 403)
    assert status(port, "/graphql", [("Host", "localhost"), ("Host", "example.org")]) in (400, 403)
    assert reached == []


@pytest.mark.parametrize("origin", ["null", "file://", *(f"http://{host}" for host in FOREIGN), "ftp://localhost"])
def test_a_foreign_origin_is_refused_before_the_application_sees_it(page, origin):
    port, reached = page
    reached.clear()
    headers = [("Host", f"127.0.0.1:{port}"), ("Origin", origin)]
    assert status(port, "/graphql", headers) == 403
    assert status(port, "/graphql", [*headers, ("Content-Length", "0")], "POST") == 403
    assert status(port, "/graphql", [*headers, *WEBSOCKET.items()]) == 403
    assert reached == []


def test_a_picture_or_a_form_of_another_site_asks_in_vain_and_a_link_works(page):
    port, reached = page
    reached.clear()
    asked = [("Host", "localhost"), ("Sec-Fetch-Site", "cross-site")]
    assert status(port, "/graphql?query=mutation{x}", [*asked, ("Sec-Fetch-Mode", "no-cors")]) == 403
    assert status(port, "/graphql?query=mutation{x}", [("Host", "localhost"), ("Sec-Fetch-Site", "same-site")]) == 403
    form = [*asked, ("Sec-Fetch-Mode", "navigate"), ("Content-Length", "0")]
    assert status(port, "/graphql?query=mutation{x}", form, "POST") == 403
    assert reached == []
    assert status(port, "/graphql", [*asked, ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")]) == 200
    assert status(port, "/graphql", [("Host", "localhost"), ("Sec-Fetch-Site", "same-origin")]) == 200
    assert status(port, "/graphql", [("Host", "localhost"), ("Sec-Fetch-Site", "none")]) == 200


def test_the_page_has_the_pictures_of_the_last_publication_and_no_other_file(tmp_path):
    for number, content in (("1", b"before"), ("2", b"now")):
        folder = tmp_path / "publications" / number / "exhibits" / "a_study"
        folder.mkdir(parents=True)
        (folder / "figure_1.png").write_bytes(content)
    (tmp_path / "publications" / "2" / "secret.png").write_bytes(b"no")
    published = tmp_path / "published"
    published.symlink_to("publications/1")
    app = Starlette(
        routes=[Route("/", lambda request: PlainTextResponse("page"))],
        middleware=[Middleware(Pictures, published=published)],
    )
    with TestClient(app) as client:
        assert client.get(picture("a_study", "figure_1")).content == b"before"
        published.unlink()
        published.symlink_to("publications/2")
        answer = client.get(picture("a_study", "figure_1"))
        assert (answer.content, answer.headers["content-type"]) == (b"now", "image/png")
        assert client.get(picture("a_study", "figure_2")).status_code == 404
        image.imsave(published / "exhibits" / "a_study" / "map.png", np.ones((960, 480, 3)))
        shrunk = client.get(f"{picture('a_study', 'map')}?{SMALL}")
        assert shrunk.headers["content-type"] == "image/png"
        assert image.imread(io.BytesIO(shrunk.content)).shape[:2] == (HEIGHT, HEIGHT // 2)
        assert client.get("/pictures/../secret.png").status_code == 404
        assert client.get("/pictures/%2e%2e/secret.png").status_code == 404
        assert client.get("/pictures/a_study/..%2f..%2fsecret.png").status_code == 404
        assert client.get("/").text == "page"

"""`pilotcity team`: what `pilotcity ui` starts, with the run history in PostgreSQL."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from dagster_project.paths import Paths, shown
from dagster_project.serve import say, serve

if TYPE_CHECKING:
    from dagster_project.services import Supervisor

HELP = "webserver, daemon and code server with the run history in PostgreSQL; on this machine only"
BUSY = "PostgreSQL of this data folder is up for a run; start the team when that is done."


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=3000)


def main(paths: Paths, options: argparse.Namespace) -> int:
    """The web page's processes, and PostgreSQL before and after them unless a server is given."""
    from dagster_project import postgres
    from dagster_project.resources import exclusive
    from dagster_project.services import Reachable

    postgres.require_driver()
    given = postgres.given()
    if given:
        postgres.check_given(given)

    def history(supervisor: Supervisor, stack: ExitStack) -> Callable[[], None]:
        if given:
            say(f"The run history is in PostgreSQL at {postgres.place(given)}.")
            return Reachable(given, say)
        stack.enter_context(exclusive(postgres.own(paths).lock, busy=BUSY))
        start_postgres(paths, supervisor)
        return lambda: None

    return serve(paths, options.port, history)


def start_postgres(paths: Paths, supervisor: Supervisor) -> None:
    """A server of our own, made at the first start."""
    from dagster_project import postgres
    from dagster_project.services import answers, postgres_service

    server = postgres.own(paths)
    if server.create():
        say(f"A PostgreSQL server of its own was made in {shown(server.folder)}; earlier runs stay in SQLite.")
    user = postgres.owner()
    if user:
        say(f"PostgreSQL refuses to run as root; it runs as user {user.pw_name}.")
    server.wait_for_the_last_one()
    service = postgres_service(server)
    supervisor.start(service, lambda: answers(server.url))
    say(f"  {service.name:<17} process {supervisor.running[service.name][1].pid}, {server.url}")

"""`pilotcity sql`: a prompt on the published data."""

from __future__ import annotations

import argparse

from dagster_project.paths import Paths
from dagster_project.publication import connect_published

HELP = "a SQL prompt on the published data"


def arguments(parser: argparse.ArgumentParser) -> None:
    """None."""


def main(paths: Paths, options: argparse.Namespace) -> int:
    """Read queries until Ctrl-D; each ends with a semicolon."""
    import contextlib

    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  line editing for input()
    with connect_published(paths) as connection:
        about = connection.execute("select version, is_sample from panels.publication").fetchall()[0]
        print(
            f"Publication {about[0]}{' - SAMPLE DATA' if about[1] else ''}. End a query with ; and leave with Ctrl-D."
        )
        print(
            "Tables: "
            + ", ".join(
                f"{s}.{t}"
                for s, t in connection.execute(
                    "select table_schema, table_name from information_schema.tables order by all"
                ).fetchall()
            )
        )
        lines: list[str] = []
        while True:
            try:
                lines.append(input("sql> " if not lines else "...> "))
            except (EOFError, KeyboardInterrupt):
                print()
                return 0
            if lines[-1].rstrip().endswith(";"):
                text, lines = "\n".join(lines), []
                try:
                    print(connection.execute(text).df().to_string(index=False, max_rows=60, max_colwidth=60))
                except Exception as error:  # whatever the query did wrong, the prompt stays
                    print(error)

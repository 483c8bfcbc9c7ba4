"""dbt as a child that dies with its parent: a killed run must not leave a dbt behind that holds the warehouse."""

from __future__ import annotations

from dagster_project import signals


def main() -> None:
    """Run dbt's own command line in this process; Ctrl-C and the end of its parent end it, however that was started."""
    signals.begin_child()
    from dbt.cli.main import cli

    cli()


if __name__ == "__main__":
    main()

"""dbt as a child that dies with its parent: a killed run must not leave a dbt behind that holds the warehouse."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Run dbt's own command line in this process, after asking Linux to end it when the parent ends."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died while this process was starting
            raise SystemExit(1)
    from dbt.cli.main import cli

    cli()


if __name__ == "__main__":
    main()

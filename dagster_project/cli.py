"""The command line: one module a command in `commands`; each imports heavy libraries only when it needs them."""

from __future__ import annotations

import argparse
import io
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

from dagster_project import signals
from dagster_project.paths import Paths

#: In the order in which a newcomer meets them; the module has underscores where the command has dashes.
COMMANDS = (
    "run",
    "ui",
    "team",
    "sql",
    "query",
    "table",
    "panel",
    "sources",
    "read",
    "adopt",
    "trace",
    "audit",
    "agree",
    "surface",
    "new-study",
    "check",
    "preview",
    "diff",
    "schema",
    "replicate",
    "submit",
    "verify",
    "rollback",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0 when it did what it says."""
    parser = argparse.ArgumentParser(prog="pilotcity", description="City pilot policies in China: raw files to report.")
    parsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    modules = {name: import_module(f"dagster_project.commands.{name.replace('-', '_')}") for name in COMMANDS}
    for name, module in modules.items():
        module.arguments(parsers.add_parser(name, help=module.HELP))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that knows no Chinese is shown escapes
            stream.reconfigure(errors="backslashreplace")
    options = parser.parse_args(arguments)
    # the matrices are small: threads of the linear algebra library cost more than they save, and one gives one answer
    for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    try:
        with signals.known():
            return modules[options.command].main(Paths.from_environment(), options)
    except KeyboardInterrupt:
        print("\npilotcity: stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # whoever reads the output has seen enough, as `head` does; what is still buffered goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (RuntimeError, FileNotFoundError, ValueError) as error:
        print(f"pilotcity: {error}", file=sys.stderr)
        # nobody can act on what numpy says of a wrong call
        if isinstance(error, ValueError) and _out_of_a_library(error):
            print("This was not foreseen; please report it with the lines below.", file=sys.stderr)
            traceback.print_exception(error)
        return 1


def _out_of_a_library(error: BaseException) -> bool:
    """Whether an error was raised by a line of another package, and so is no sentence of ours."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_globals.get("__name__", "").partition(".")[0] not in ("analysis", "dagster_project", "expectations")


if __name__ == "__main__":
    raise SystemExit(main())

"""A workbook's cells, read in a process of its own with bounded memory: a damaged or hostile file may ask its reader
for any amount of it, or end the process that reads it.

Run as a program it forks such a process for each file that it is asked for, so that Python and the readers are started
once; `sheets` is its other end.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from dagster_project import signals

#: Address space of the process that reads, and cells of a sheet, blank ones counted.
MEMORY = 3 * 1024**3
MOST_CELLS = 50_000_000
MOST_COLUMNS = 16_384
SECONDS = 600
REFUSED, DAMAGED = 3, 4

#: Name, merged ranges ((top, left), (bottom, right)), and rows of cells as the workbook holds them.
RawSheet = tuple[str, list[tuple[tuple[int, int], tuple[int, int]]], list[list[Any]]]


class Unreadable(ValueError):
    """The workbook cannot be read; the message says why, without a subject."""


def sheets(path: Path) -> list[RawSheet]:
    """The sheets of a workbook. Raises Unreadable, and ValueError with the reader's own words for a damaged file."""
    code, content = _reader.read(path)
    if code == -signal.SIGALRM:
        raise Unreadable(f"takes longer than {SECONDS // 60} minutes to read")
    if code == REFUSED:
        raise Unreadable(content.decode(errors="replace"))
    if code == DAMAGED:
        raise ValueError(content.decode(errors="replace"))
    if code:
        raise Unreadable(f"cannot be read in {MEMORY / 1024**3:.0f} GiB of memory, or its reader fails on it")
    found: list[RawSheet] = pickle.loads(content)
    return found


class _Reader:
    """The program that forks, started when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def read(self, path: Path) -> tuple[int, bytes]:
        """The exit code of the process that read a file, and what it said."""
        with self._lock:
            for _ in range(2):  # it ends with the thread that started it, and is started again
                asked, answers = self._pipes()
                with suppress(BrokenPipeError, ValueError):
                    asked.write(json.dumps(str(path.absolute())).encode() + b"\n")
                    asked.flush()
                    code, length = map(int, answers.readline().split())
                    content = answers.read(length)
                    if len(content) == length:
                        return code, content
                self.end()
        return 1, b""

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        if self._process is None or self._owner != os.getpid():  # a fork of ours asks a reader of its own
            root = str(Path(__file__).resolve().parent.parent.parent)
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__],
                cwd=root,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            self._owner = os.getpid()
        assert self._process.stdin and self._process.stdout
        return self._process.stdin, self._process.stdout

    def end(self) -> None:
        if self._process and self._owner == os.getpid():
            self._process.kill()
            self._process.communicate()
        self._process = None


_reader = _Reader()
end = _reader.end
atexit.register(end)


def _read(path: Path) -> list[RawSheet]:
    import python_calamine

    from dagster_project.ingest import marks

    # by its content, whatever the suffix says: workbooks are often renamed from xlsx to xls
    book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(path.read_bytes()))
    found = []
    for name in book.sheet_names:
        sheet = book.get_sheet_by_name(name)
        if sheet.total_width > MOST_COLUMNS:
            raise Unreadable(f"has {sheet.total_width:,} columns; a table may have {MOST_COLUMNS:,}")
        if sheet.total_width * sheet.total_height > MOST_CELLS:
            raise Unreadable(f"has a sheet of {sheet.total_height:,} x {sheet.total_width:,} cells, too large to read")
        found.append((name, list(sheet.merged_cell_ranges or []), sheet.to_python(skip_empty_area=False)))
    seen_otherwise = marks.marks(path)
    for name, _, rows in found:
        for (row, column), mark in seen_otherwise.get(name, {}).items():
            if row < len(rows) and column < len(rows[row]):
                rows[row][column] = marks.as_shown(rows[row][column], mark)
    return found


def _told(path: Path) -> tuple[int, bytes]:
    """Exit code and content of the process that reads one file, which is this one."""
    signals.begin_child()
    signal.alarm(SECONDS)
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    except (ImportError, ValueError, OSError):  # no such limit on this system, or one that is stricter
        pass
    try:
        return 0, pickle.dumps(_read(path))
    except Unreadable as error:
        return REFUSED, str(error).encode()
    except MemoryError:
        return 1, b""
    except Exception as error:
        return DAMAGED, str(error).encode()


def _forked(path: Path) -> tuple[int, bytes]:
    read, write = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            code, content = _told(path)
            with os.fdopen(write, "wb") as answer:
                answer.write(content)
        finally:
            os._exit(code)
    os.close(write)
    with os.fdopen(read, "rb") as answer:
        content = answer.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code, content


def main() -> None:
    """Read each file named on a line of standard input, and answer with exit code, length and content."""
    signals.begin_child()
    import python_calamine  # noqa: F401, before it is needed in each fork

    from dagster_project.ingest import marks  # noqa: F401

    for line in sys.stdin:
        code, content = _forked(Path(json.loads(line)))
        sys.stdout.buffer.write(f"{code} {len(content)}\n".encode() + content)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()

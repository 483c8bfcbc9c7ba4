"""A workbook's cells, read in a process of its own with bounded memory: a damaged or hostile file may ask its reader
for any amount of it, or end the process that reads it.

Run as a program it writes the sheets of the file it is given to its standard output; `sheets` is its other end.
"""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

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
    command = [sys.executable, "-m", __name__, str(path)]
    root = str(Path(__file__).resolve().parent.parent.parent)
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise Unreadable(f"takes longer than {SECONDS // 60} minutes to read") from None
    if done.returncode == REFUSED:
        raise Unreadable(done.stdout.decode(errors="replace"))
    if done.returncode == DAMAGED:
        raise ValueError(done.stdout.decode(errors="replace"))
    if done.returncode:
        raise Unreadable(f"cannot be read in {MEMORY / 1024**3:.0f} GiB of memory, or its reader fails on it")
    found: list[RawSheet] = pickle.loads(done.stdout)
    return found


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


def main() -> int:
    """Read the file named by the first argument."""
    signals.begin_child()
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    except (ImportError, ValueError, OSError):  # no such limit on this system, or one that is stricter
        pass
    try:
        content = pickle.dumps(_read(Path(sys.argv[1])))
    except Unreadable as error:
        sys.stdout.write(str(error))
        return REFUSED
    except MemoryError:
        return 1
    except Exception as error:
        sys.stdout.write(str(error))
        return DAMAGED
    sys.stdout.buffer.write(content)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

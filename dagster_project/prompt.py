"""The SQL prompt: queries, and words with a dot that explain tables and export answers; a terminal completes names.

What tables mean and how an answer is written are in `answers`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from dagster_project import answers

if TYPE_CHECKING:
    import duckdb

HELP = {
    ".tables": "every table and view, and what a row is",
    ".describe TABLE": "its columns with type, unit and meaning (describe TABLE; does the same)",
    ".schema [TABLE]": "the statement that made it, or all",
    ".export FILE": f"the last answer, to a file that ends in {', '.join(answers.FORMATS)}",
    ".help": "this",
    ".quit": "leave, as Ctrl-D does",
}
WORDS = (
    "select from where group by order by having limit distinct left join inner join using on as and or not in is null "
    "case when then else end with union all count avg sum min max median stddev corr quantile_cont round coalesce "
    "describe summarize pivot unpivot"
)
_DESCRIBE = re.compile(r"^\s*desc(?:ribe)?\s+(?:table\s+)?([\w.\"]+)\s*;?\s*$", re.IGNORECASE)
#: Rows of an answer that are printed.
ROWS = 60


class Left(Exception):
    """The prompt is to be left."""


class Prompt:
    """A conversation with the published database."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self._last: tuple[str, pd.DataFrame] | None = None

    def answer(self, text: str) -> str:
        """What to print for a query or a word with a dot.

        Raises
        ------
        ValueError
            What is wrong with it, in a sentence.
        Left
            On .quit.
        """
        described = _DESCRIBE.match(text)
        if described and described[1].lower() not in ("select", "from"):
            return self._describe(described[1])
        if text.lstrip().startswith("."):
            return self._word(text.strip().rstrip(";"))
        sql = text.strip().rstrip(";")
        found = answers.ask(self.connection, sql)
        self._last = (sql, found)
        return found.to_string(index=False, max_rows=ROWS, max_colwidth=60)

    def _word(self, text: str) -> str:
        word, _, rest = text.partition(" ")
        rest = rest.strip()
        match word:
            case ".tables":
                return "\n".join(
                    f"{name:<40} {_first(about)}" for name, about in answers.tables(self.connection).items()
                )
            case ".describe" if rest:
                return self._describe(rest)
            case ".schema":
                return self._schema(rest)
            case ".export" if rest:
                return self._export(Path(rest.strip("'\"")))
            case ".help":
                return "\n".join(f"{name:<18} {about}" for name, about in HELP.items())
            case ".quit" | ".exit":
                raise Left
        raise ValueError(f"{text}: write one of {', '.join(HELP)}.")

    def _describe(self, name: str) -> str:
        table = answers.table_named(self.connection, name)
        about = answers.tables(self.connection)[table]
        columns = answers.described(self.connection, table)
        rows = [list(columns.columns), *columns.to_numpy().tolist()]
        widths = [max(len(row[place]) for row in rows) for place in range(3)]
        lines = [
            "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
            for row in rows
        ]
        return "\n".join([f"{table}: {about}", "", *lines])

    def _schema(self, name: str) -> str:
        wanted = answers.table_named(self.connection, name) if name else ""
        made = self.connection.execute(
            "select schema_name || '.' || table_name, sql from duckdb_tables() where not internal "
            "union all select schema_name || '.' || view_name, sql from duckdb_views() where not internal order by all"
        ).fetchall()
        return "\n".join(sql for table, sql in made if not wanted or table == wanted)

    def _export(self, path: Path) -> str:
        if self._last is None:
            raise ValueError("There is no answer yet: ask something, then .export it.")
        sql, found = self._last
        return answers.write(self.connection, found, path, sql)

    def words(self) -> dict[str, str]:
        """What can be completed -> what it means."""
        found = {**dict.fromkeys(WORDS.split(), ""), **{name.split()[0]: about for name, about in HELP.items()}}
        for row in answers.columns(self.connection).to_dict("records"):
            found.setdefault(row["column_name"], row["comment"])
        return {**found, **answers.tables(self.connection)}


def talk(prompt: Prompt, history: Path) -> None:
    """Read queries until Ctrl-D or .quit; each ends with a semicolon, words with a dot with their line."""
    read = _terminal(prompt, history) if sys.stdin.isatty() and sys.stdout.isatty() else _lines
    while True:
        try:
            text = read()
            if text.strip(" \n;"):
                print(prompt.answer(text))
        except KeyboardInterrupt:
            print()
        except (EOFError, Left):
            return
        except ValueError as error:
            print(error)


def complete(text: str) -> bool:
    """Whether what was typed can be answered: a word with a dot, or a statement up to its semicolon."""
    return text.lstrip().startswith(".") or text.rstrip().endswith(";") or not text.strip()


def _lines() -> str:
    """The same where no terminal is there: a pipe, a file."""
    lines: list[str] = []
    while not lines or not complete("\n".join(lines)):
        lines.append(input("sql> " if not lines else "...> "))
    return "\n".join(lines)


def _terminal(prompt: Prompt, history: Path) -> Callable[[], str]:
    """Reads a statement in a terminal, with completion, history over sessions and colours."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import WordCompleter
    from prompt_toolkit.filters import Condition
    from prompt_toolkit.history import FileHistory
    from prompt_toolkit.key_binding import KeyBindings
    from prompt_toolkit.lexers import PygmentsLexer
    from pygments.lexers.sql import SqlLexer  # type: ignore[import-untyped]

    words = prompt.words()
    keys = KeyBindings()
    history.parent.mkdir(parents=True, exist_ok=True)
    session: Any = PromptSession(
        history=FileHistory(str(history)),
        completer=WordCompleter(list(words), ignore_case=True, meta_dict=words, pattern=re.compile(r"[\w.]+")),
        complete_while_typing=True,
        lexer=PygmentsLexer(SqlLexer),
        multiline=True,
        key_bindings=keys,
        prompt_continuation="...> ",
    )

    @keys.add("enter", filter=Condition(lambda: complete(session.default_buffer.text)))
    def accept(event: Any) -> None:
        event.current_buffer.validate_and_handle()

    return lambda: session.prompt("sql> ")


def _first(text: str) -> str:
    """The first sentence of what a table is."""
    return re.split(r"(?<=\.) ", text.removeprefix("SAMPLE DATA. "), maxsplit=1)[0]

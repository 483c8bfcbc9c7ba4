"""An installation of the tiny graph: what its raw folder holds, how it is run, what its readers see."""

from __future__ import annotations

import datetime
import hashlib
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import xlsxwriter

from dagster_project.paths import ROOT, Paths

HERE = Path(__file__).parent
#: There is no dbt in the tiny graph, and to import it takes longer than everything else together.
WITHOUT_DBT = """
import sys, types
without = types.ModuleType("dagster_dbt")
for name in ("DagsterDbtTranslatorSettings", "DbtCliResource", "DbtProject"):
    setattr(without, name, type(name, (), {"__init__": lambda self, **settings: None}))
sys.modules["dagster_dbt"] = without
import tiny
"""


class Tiny:
    """An installation of the tiny graph in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        raw = folder / "raw"
        self.paths = Paths(folder / "data", raw, is_sample=False)
        (raw / "patents").mkdir(parents=True)
        for year in (2010, 2011, 2012):
            self.write_patents(year, 4000)
        with xlsxwriter.Workbook(raw / "汇率.xlsx") as book:
            book.set_properties({"created": datetime.datetime(2020, 1, 1)})  # the same bytes every time
            sheet = book.add_worksheet("Sheet1")
            sheet.write_row(0, 0, ["年份", "1美元兑人民币（元）"])
            sheet.write_row(1, 0, [2010, 6.77])
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PILOTCITY_", "DAGSTER_"))}
        self.environment = kept | {
            "PILOTCITY_DATA": str(self.paths.data),
            "PILOTCITY_RAW": str(raw),
            "PYTHONPATH": str(ROOT),
        }

    def write_patents(self, year: int, rows: int) -> Path:
        path = self.paths.raw / "patents" / f"{year}.csv"
        lines = ["申请号,专利类型,申请日,授权公告日,IPC分类号,申请人,地址"]
        lines += [f"CN{year}{row},发明,{year}-03-04,,H02J3/38,某公司,北京市{row % 7}号" for row in range(rows)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def start(
        self, *arguments: str, before: str = "", limit: int | None = None, deaf: bool = False
    ) -> subprocess.Popen[str]:
        """`pilotcity run --force` in the background; ``before`` is code that comes first, ``limit`` a largest file.

        ``deaf``: by a parent that ignores Ctrl-C, as nohup, cron and CI do.
        """

        def prepare() -> None:
            if limit:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            if deaf:
                signal.signal(signal.SIGINT, signal.SIG_IGN)

        program = f"{WITHOUT_DBT}\n{before}\nsys.exit(tiny.main())"
        return subprocess.Popen(
            [sys.executable, "-c", program, *(arguments or ("run", "--force"))],
            cwd=ROOT,
            env=self.environment | {"PYTHONPATH": f"{ROOT}{os.pathsep}{HERE}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=deaf,
            preexec_fn=prepare,
        )

    def run(self, *arguments: str, before: str = "", limit: int | None = None) -> tuple[int, str]:
        process = self.start(*arguments, before=before, limit=limit)
        out, err = process.communicate(timeout=300)
        return process.returncode, out + err

    def seen(self) -> dict[str, str]:
        """What readers see, opened as they open it: every file's hash; the database must answer."""
        published = self.paths.published.resolve()
        assert (self.paths.reports / "index.html").read_text() == "the report"
        with duckdb.connect(str(published / "pilotcity.duckdb"), read_only=True) as connection:
            assert connection.execute("select sum(patents) from panels.city_year").fetchall()[0][0]
        # records of inputs name the raw folder's content, which a fault may change on purpose, and the code
        inputs = {"fingerprint.json", "checksums.json", "versions.json"}
        files = [path for path in published.rglob("*") if path.is_file() and path.name not in inputs]
        return {str(path.relative_to(published)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    def recovers(self, undisturbed: dict[str, str]) -> None:
        """Readers see the last publication whole; the next run succeeds and publishes the same bytes."""
        assert self.seen() == undisturbed
        code, said = self.run()
        assert code == 0, said
        assert "Traceback" not in said
        assert self.seen() == undisturbed

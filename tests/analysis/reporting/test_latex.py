"""LaTeX that fits its page, whatever is long or wide, and compiles without a complaint."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from analysis.printing.table import Line, Panel, Table
from analysis.reporting.latex import latex
from analysis.reporting.tables import exhibit_table

DOCUMENT = r"""\documentclass{{article}}
\usepackage{{{packages}}}
\begin{{document}}
{table}
\end{{document}}
"""


def table(rows: int, columns: int, label: str = "Pilot cluster (did)", notes: int = 2) -> Table:
    heads = tuple(f"({number})" for number in range(1, columns + 1))
    lines = []
    for _ in range(rows // 2):
        lines += [Line(label, ("-0.5315***",) * columns, "estimate"), Line("", ("(0.0321)",) * columns, "se")]
    body = (Panel(None, tuple(lines)), Panel("As published", (Line("δ ≤ 1 × 2 & 100%", ("4,496†",) * columns),)))
    note = "A sentence on what was done to the data on the way to these numbers, which takes about a line. " * 2
    return Table(
        caption="Table 4. Baseline",
        headers=(heads,),
        first_heading="",
        panels=body,
        notes=(note,) * notes,
        is_sample=True,
        title="Baseline",
        name="s:table_4",
    )


LONG = "Pilot cluster times municipality or provincial capital, a label longer than a column should be"
SHAPES = {
    "small": (table(6, 4), ["{table}"]),
    "a long label": (table(6, 4, LONG), ["{table}", "p{"]),
    "wide": (table(6, 12), ["{sidewaystable}"]),
    "long": (table(90, 3), ["{longtable}", "\\endhead"]),
    "long and wide": (table(60, 11, LONG, notes=9), ["{longtable}", "{landscape}"]),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_shape_of_a_table_decides_how_it_is_set(shape):
    made, words = SHAPES[shape]
    text = latex(made)
    for word in words:
        assert word in text
    assert ("sideways" in text) == (shape == "wide") and ("landscape" in text) == (shape == "long and wide")


def test_a_caption_leaves_the_number_to_the_document_and_can_be_referred_to(results, study, printed):
    text = latex(exhibit_table(results["table_2"], study, printed=printed))
    assert "\\caption{Baseline" in text and "\\caption{Table" not in text
    assert f"\\label{{tab:{study.name}:table_2}}" in text


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="LaTeX is not installed")
def test_every_shape_compiles_and_fits(tmp_path, results, study, printed, truth):
    tables = [made for made, _ in SHAPES.values()]
    tables += [exhibit_table(result, study, printed=printed, truth=truth) for result in results.values()]
    texts = [latex(made) for made in tables]
    said = {name for text in texts for name in re.findall(r"usepackage\{([^}]*)\}", text)}
    packages = ",".join(sorted({one for names in said for one in names.split(",")}))
    parts = "\n\\clearpage\n".join(texts)
    (tmp_path / "t.tex").write_text(DOCUMENT.format(packages=packages, table=parts), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "t.tex"]
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=120)
    log = (tmp_path / "t.log").read_text(encoding="utf-8", errors="replace")
    assert made.returncode == 0, log[-2000:]
    assert not re.search(r"(?m)^(!|Overfull|.*Float too large|.*Undefined)", log), log[-3000:]

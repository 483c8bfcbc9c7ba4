"""A table as LaTeX that fits its page: turned where it is wide, split over pages where it is long.

What stands in a table is decided where it is made. It is plain enough for any class, and comments say what to load.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from analysis.printing.table import SAMPLE, Table

#: Points of a page of the class article that a table may take: across, down, and down below another text.
ACROSS, DOWN = 345.0, 530.0
#: Points of a character, of the gap between two columns, and of a line, in the class's own size.
CHARACTER, GAP, LINE = 4.9, 12.0, 12.2
#: Characters of the first column from which its labels are broken.
BROKEN = 42
#: How much smaller than the text a table may be set before it is turned.
SMALLEST = 0.72
_TEX = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "²": "$^2$",
    "†": "$^\\dagger$",
    "×": "$\\times$",
    "∞": "$\\infty$",
    "−": "$-$",
    "≤": "$\\le$",
    "≥": "$\\ge$",
    "δ": "$\\delta$",
    "ρ": "$\\rho$",
    "λ": "$\\lambda$",
    "χ": "$\\chi$",
    "…": "\\ldots{}",
}
_SIZES = {1.0: "", 0.9: "\\small", 0.8: "\\footnotesize", 0.7: "\\scriptsize"}


def latex(table: Table, *, chinese: bool = False) -> str:
    """The table as a LaTeX float, or as a longtable where it is longer than a page; both have a caption and a label."""
    wide, first = _width(table)
    column = f">{{\\raggedright\\arraybackslash}}p{{{first:.0f}pt}}" if first else ""
    turned = wide * SMALLEST > ACROSS
    across, down = (DOWN, ACROSS) if turned else (ACROSS, DOWN)
    scale = min(1.0, across / wide)
    lines = len(table.headers) + sum(len(panel.lines) + (panel.title is not None) for panel in table.panels)
    below = sum(1 + len(note) // int(across / 3.9) for note in table.notes) * 9.6
    long = lines * LINE * scale + below + 50 > down
    packages = ["booktabs", *(["longtable"] if long else ["adjustbox"]), *(["array"] if column else [])]
    packages += [("pdflscape" if long else "rotating")] if turned else []
    packages += ["ctex"] if chinese else []
    made = _long(table, first, (wide, across), turned) if long else _float(table, column, turned)
    head = [f"% needs \\usepackage{{{','.join(packages)}}}", f"% {_tex(table.caption)}"]
    return "\n".join([*head, *([f"% {SAMPLE}"] if table.is_sample else []), *made, ""])


def _float(table: Table, column: str, turned: bool) -> list[str]:
    kind = "sidewaystable" if turned else "table"
    return [
        f"\\begin{{{kind}}}[htbp]",
        "\\centering",
        *_sample(table),
        f"\\caption{{{_tex(table.title or table.caption)}}}",
        *_label(table),
        "\\begin{adjustbox}{max width=\\linewidth}",
        f"\\begin{{tabular}}{{{column or 'l'}*{{{len(table.headers[0])}}}{{c}}}}",
        "\\toprule",
        *_head(table),
        *_body(table),
        "\\bottomrule",
        "\\end{tabular}",
        "\\end{adjustbox}",
        *_notes(table),
        f"\\end{{{kind}}}",
    ]


def _long(table: Table, first: float, fit: tuple[float, float], turned: bool) -> list[str]:
    """A table over pages, whose head is repeated; it cannot be scaled, so its type is as small as it has to be."""
    wide, across = fit
    gaps = GAP * (len(table.headers[0]) + 1)
    gap = 6.0 if wide <= across else 2.0
    scale = (across - gaps * gap / 6) / (wide - gaps)
    size = next((step for step in _SIZES if step <= scale), 0.5)
    column = f">{{\\raggedright\\arraybackslash}}p{{{first * size:.0f}pt}}" if first else "l"
    columns = len(table.headers[0])
    head = ["\\toprule", *_head(table)]
    inside = [
        "{" + _SIZES.get(size, "\\tiny"),
        f"\\setlength{{\\tabcolsep}}{{{gap:g}pt}}",
        f"\\begin{{longtable}}{{{column}*{{{columns}}}{{c}}}}",
        f"\\caption{{{_tex(table.title or table.caption)}}}{''.join(_label(table))}\\\\",
        *head,
        "\\midrule\\endfirsthead",
        *head,
        "\\midrule\\endhead",
        f"\\midrule\\multicolumn{{{columns + 1}}}{{r}}{{\\textit{{{'续下页' if _is_chinese(table) else 'continued'}}}}}"
        "\\\\\\endfoot",
        "\\bottomrule\\endlastfoot",
        *_body(table)[1:],
        "\\end{longtable}",
        "}",
        *_notes(table, box=False),
    ]
    made = [*_sample(table), *inside]
    return ["\\begin{landscape}", *made, "\\end{landscape}"] if turned else made


def _width(table: Table) -> tuple[float, float]:
    """Points that the table takes as it is, and those of the first column where its labels are broken, else 0."""
    labels = [line.label for panel in table.panels for line in panel.lines]
    cells = [line.cells for panel in table.panels for line in panel.lines]
    columns = zip(*table.headers, *cells, strict=True)
    others = sum(max(map(len, column)) * CHARACTER + GAP for column in columns)
    longest = max(map(len, labels), default=0)
    broken = BROKEN * CHARACTER * 0.8 if longest > BROKEN else 0.0
    return (broken or longest * CHARACTER) + GAP + others, broken


def _sample(table: Table) -> list[str]:
    return [f"\\textbf{{{SAMPLE}}}\\par"] if table.is_sample else []


def _label(table: Table) -> list[str]:
    return [f"\\label{{tab:{table.name}}}"] if table.name else []


def _head(table: Table) -> list[str]:
    return [_row((table.first_heading if at == 0 else "", *header)) for at, header in enumerate(table.headers)]


def _body(table: Table) -> list[str]:
    rows = []
    for panel in table.panels:
        rows.append("\\midrule")
        if panel.title:
            rows.append(f"\\multicolumn{{{len(table.headers[0]) + 1}}}{{l}}{{\\textit{{{_tex(panel.title)}}}}} \\\\")
        rows += [_row((line.label, *line.cells)) for line in panel.lines]
    return rows


def _notes(table: Table, box: bool = True) -> list[str]:
    written = [f"{_tex(note)}\\par" for note in table.notes]
    if not written:
        return []
    if box:
        return ["\\par\\medskip\\begin{minipage}{\\linewidth}\\footnotesize\\raggedright", *written, "\\end{minipage}"]
    return ["{\\footnotesize\\noindent\\raggedright", *written, "}"]


def _is_chinese(table: Table) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in table.caption)


def _tex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in " ".join(text.split()))


def _row(cells: Iterable[str]) -> str:
    shown = []
    for cell in cells:
        found = re.fullmatch(r"(-?[\d.,]+(?:e-?\d+)?)(\**)(†?)", cell)
        if found:
            value, asterisks, dagger = found.groups()
            # The comma of thousands would be spaced as punctuation in math mode.
            cell = value.replace("-", "$-$", 1) if value.startswith("-") else value
            above = asterisks + ("\\dagger" if dagger else "")
            shown.append(cell + (f"$^{{{above}}}$" if above else ""))
        else:
            # A bracket after \\ would be read as its optional argument.
            shown.append(_tex(cell).replace("[", "{[}").replace("]", "{]}"))
    return " & ".join(shown) + " \\\\"

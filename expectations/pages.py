"""The pages of Data Docs that a person reads first: what was checked, in words, what failed, and on which rows.

Knows the kept outcomes only; Great Expectations' own pages, one a suite, lie beside these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

#: Layers in the order in which the data flow.
LAYERS = {
    "raw": "Raw files",
    "staging": "Staging: text made into numbers, dates and places",
    "intermediate": "One geography over time",
    "panels": "Panels",
}
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title></head>
<body>
{body}
</body></html>
"""


def write(suites: Sequence[Mapping[str, Any]], output: Path, report: str = "") -> None:
    """index.html and a page a suite (``<name>.html``) in ``output``, from what `runner.kept` returns.

    ``report`` is the page, as seen from ``output``, that the first page leads back to.
    """
    for suite in suites:
        (output / f"{suite['name']}.html").write_text(_suite(suite, output), encoding="utf-8")
    (output / "index.html").write_text(_index(suites, report), encoding="utf-8")


def _index(suites: Sequence[Mapping[str, Any]], report: str) -> str:
    every = [rule for suite in suites for rule in suite["rules"]]
    failed = sum(not rule["passed"] and rule["blocking"] for rule in every)
    warned = sum(not rule["passed"] and not rule["blocking"] for rule in every)
    parts = [
        "<h1>Data checks</h1>",
        f'<p><a href="{escape(report)}">Back to the report</a></p>' if report else "",
        f"<p>{len(every)} rules in {len(suites)} suites: {len(every) - failed - warned} hold, {warned} warn, "
        f"<strong>{failed} failed</strong>. A rule that blocks stops the publication when it fails; one that warns "
        "says what deserves a look.</p>",
    ]
    parts += _open_questions(suites)
    layers = [*LAYERS, *sorted({_layer(suite) for suite in suites} - set(LAYERS))]
    for layer in layers:
        mine = [suite for suite in suites if _layer(suite) == layer]
        if mine:
            rows = [_summary(suite) for suite in mine]
            heads = ("checked", "what a row is", "rows", "rules", "warnings", "failed")
            parts += [f"<h2>{escape(LAYERS.get(layer, layer))}</h2>", _table(heads, rows)]
    return PAGE.format(title="Data checks", body="\n".join(parts))


def _open_questions(suites: Sequence[Mapping[str, Any]]) -> list[str]:
    """Every rule that does not hold, those that block first: where, what was seen, what to do."""
    broken = [(suite, rule) for suite in suites for rule in suite["rules"] if not rule["passed"]]
    layers = list(LAYERS)
    broken.sort(key=lambda found: (not found[1]["blocking"], [*layers, _layer(found[0])].index(_layer(found[0]))))
    if not broken:
        return []
    rows = [
        [
            _verdict(rule),
            f'<a href="{escape(suite["name"])}.html">{escape(suite["name"])}</a>',
            escape(rule["rule"]),
            escape(rule["observed"]),
            escape(rule["advice"]),
        ]
        for suite, rule in broken
    ]
    return ["<h2>What does not hold</h2>", _table(("", "checked", "rule", "what was seen", "what to do"), rows)]


def _summary(suite: Mapping[str, Any]) -> list[str]:
    broken = [rule for rule in suite["rules"] if not rule["passed"]]
    failed = [rule for rule in broken if rule["blocking"]]
    name = escape(suite["name"])
    return [
        f'<a href="{name}.html">{name}</a>',
        escape(suite["about"]),
        f"{suite['rows']:,}",
        str(len(suite["rules"])),
        str(len(broken) - len(failed)) if len(broken) > len(failed) else "none",
        f"<strong>{len(failed)}</strong>" if failed else "none",
    ]


def _suite(suite: Mapping[str, Any], output: Path) -> str:
    name = escape(suite["name"])
    parts = [
        f"<h1>{name}</h1>",
        '<p><a href="index.html">All data checks</a></p>',
        f"<p>{escape(suite['about'])} {suite['rows']:,} rows were checked.</p>",
    ]
    order = sorted(suite["rules"], key=lambda rule: (rule["passed"], not rule["blocking"]))
    rows = [
        [_verdict(rule), escape(rule["rule"]), "blocks" if rule["blocking"] else "warns", escape(rule["observed"])]
        for rule in order
    ]
    parts.append(_table(("", "rule", "if it fails it", "what was seen"), rows))
    for rule in order:
        if not rule["passed"]:
            parts += _broken(rule)
    own = next((output / "validations" / Path(*suite["name"].split("."))).rglob("*.html"), None)
    if own:
        link = escape(own.relative_to(output).as_posix())
        parts.append(f'<p><a href="{link}">The same in Great Expectations\' own words</a></p>')
    return PAGE.format(title=name, body="\n".join(parts))


def _broken(rule: Mapping[str, Any]) -> list[str]:
    parts = [f"<h2>{_verdict(rule)} {escape(rule['rule'])}</h2>"]
    if rule["advice"]:
        parts.append(f"<p>{escape(rule['advice'])}</p>")
    failing = rule["failing"]
    if failing["data"]:
        shown = len(failing["data"])
        if rule["broken"] > shown:
            parts.append(f"<p>The first {shown} of {rule['broken']:,} rows:</p>")
        heads = [str(column).replace("_", " ") for column in failing["columns"]]
        parts.append(_table(heads, [[escape(text(value)) for value in row] for row in failing["data"]]))
    return parts


def _verdict(rule: Mapping[str, Any]) -> str:
    if rule["passed"]:
        return '<span class="text-success">✓ holds</span>'
    return f'<span class="text-danger">✗ {"Failed" if rule["blocking"] else "Warning"}</span>'


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    body = "\n".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<table class="checks"><thead><tr>{top}</tr></thead><tbody>\n{body}\n</tbody></table>'


def text(value: Any) -> str:
    """A value as a reader sees it: whole from a thousand on, else four digits; nothing where it is missing."""
    if value is None or value != value:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)


def _layer(suite: Mapping[str, Any]) -> str:
    return str(suite["name"].split(".")[0])

"""What changed from one publication to the next, as one long table: files, cells, values, estimates, findings, checks.

Publications are handed in as `Snapshot`; where their tables lie is the caller's. Why estimates moved is found in
`causes`; how a change reads in words stands in `wording`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from analysis.comparison import wording
from analysis.comparison.causes import Reason, explain, undoing
from analysis.comparison.panels import KINDS, changed_rows, changed_values
from analysis.lineage.needs import Formulas, behind
from analysis.names import ADOPTION, TIME, UNIT
from analysis.results import stars
from analysis.studies.file_panel import keyed
from analysis.studies.records import Exhibit, Label, Model, Study
from analysis.studies.result import OK

#: Columns of the table of changes -> what they are.
COLUMNS = {
    "publication": "version of the publication, as in panels.publication",
    "before": "version of the publication that it is compared with",
    "part": "file, cell, value, estimate, reason, finding, check, count or note",
    "change": "how: new, removed, changed, measured, filled, set aside, back, moved, newly broken, mended, ...",
    "study": "study, panel, source of a file, or layer of a check",
    "item": "indicator, column of a panel, exhibit, code of a finding, rule of a check",
    "model": "column of the exhibit",
    "term": "of the model",
    "file": "raw file",
    "sheet": "of the file",
    "row": "of the sheet, from 1, as it is now",
    "column": "of the sheet",
    "city_code": "city or unit",
    "year": "year or period",
    "old": "number before: a value, an estimate, failing rows, cells of a file",
    "new": "number now",
    "old_text": "the same as the file writes it; of an estimate with stars and standard error",
    "new_text": "the same now",
    "of": "of a city, year or value within a reason: the cause that it belongs to",
    "contribution": "of a reason: its part of the change (a level adds up); of an estimate: that in standard errors",
    "headline": "whether the estimate is the policy's effect in the study's first regression table",
    "message": "in words",
    "message_zh": "in Chinese",
}
_NUMBERS = ("old", "new", "contribution")
_WHOLE = ("row", "year")
#: Rows of a part that are listed one by one; the counts are of all of them.
LISTED = 5_000


@dataclass(frozen=True)
class Snapshot:
    """A publication as the comparison reads it.

    Attributes
    ----------
    version : of the publication; names the same inputs and code always.
    read : a table by name, such as "quality.files"; of "lineage.cells" and "lineage.records" the rows of some files.
        An absent table is a frame without rows.
    findings : ``study``, ``severity``, ``code``, ``exhibit``, ``model``, ``variable``, ``title``, ``evidence``.
    checks : ``layer``, ``rule``, ``blocking``, ``passed``, ``failing``, ``rows``.
    """

    version: str
    is_sample: bool
    read: Callable[[str, Collection[str] | None], pd.DataFrame]
    findings: pd.DataFrame
    checks: pd.DataFrame


@dataclass(frozen=True)
class Comparison:
    """The table of changes with the columns `COLUMNS`, and why headline estimates moved."""

    table: pd.DataFrame
    reasons: tuple[Reason, ...] = ()

    def part(self, name: str) -> pd.DataFrame:
        """The rows of one part."""
        return self.table[self.table["part"].eq(name)]

    @property
    def sentence(self) -> Label:
        """What changed, in one line."""
        return wording.overview(self.table)


@dataclass
class _Rows:
    """Gathers rows of the table."""

    publication: str
    before: str
    parts: list[pd.DataFrame] = field(default_factory=list)

    def add(self, part: str, frame: pd.DataFrame) -> None:
        if len(frame):
            self.parts.append(frame.assign(part=part).head(LISTED))
        if len(frame) > LISTED:
            text = f"{len(frame) - LISTED:,} further rows of the part {part!r} are counted and not listed."
            self.say(text, f"“{part}”部分另有{len(frame) - LISTED:,}行只计数，未列出。")

    def count(self, item: str, frame: pd.DataFrame, by: Sequence[str]) -> None:
        if len(frame):
            counts = frame.groupby(list(by), sort=False).size().rename("new").reset_index()
            self.parts.append(counts.assign(part="count", item=item))

    def say(self, english: str, chinese: str) -> None:
        self.parts.append(pd.DataFrame([{"part": "note", "message": english, "message_zh": chinese}]))

    def table(self) -> pd.DataFrame:
        return shaped(pd.concat(self.parts, ignore_index=True) if self.parts else pd.DataFrame()).assign(
            publication=self.publication, before=self.before
        )


def shaped(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the table of changes with all of its columns, in their types."""
    rows = rows.reindex(columns=list(COLUMNS))
    kinds: dict[str, Any] = {name: "string" for name in COLUMNS if name not in (*_NUMBERS, *_WHOLE, "headline")}
    kinds |= dict.fromkeys(_NUMBERS, "float64") | dict.fromkeys(_WHOLE, "Int64") | {"headline": "boolean"}
    return rows.astype(kinds)


def headline(study: Study) -> Exhibit | None:
    """The exhibit whose effects of the policy stand for the study: its first regression table."""
    return next((exhibit for exhibit in study.exhibits if exhibit.kind == "regression"), None)


def headline_effects(studies: Iterable[Study]) -> set[tuple[str, str, str, str]]:
    """The study, exhibit, model and term of each effect that a headline exhibit reports."""
    return {
        (study.name, exhibit.name, model.label, term)
        for study in studies
        if (exhibit := headline(study))
        for model in exhibit.models
        for term in model.treatments
    }


def compare(before: Snapshot, now: Snapshot, studies: Sequence[Study], cities: pd.DataFrame) -> Comparison:
    """Everything that differs between two publications.

    Parameters
    ----------
    studies
        Those that are computed now.
    cities
        data/reference/cities.csv.
    """
    rows = _Rows(now.version, before.version)
    if before.is_sample != now.is_sample:
        rows.say(
            "One of the two publications is of sample data and the other is not: nothing is compared.",
            "两次发布中一次为样本数据，另一次不是：不作比较。",
        )
        return Comparison(rows.table())
    files = _files(before, now)
    rows.add("file", files)
    rows.count("file", files, ["change"])
    cells = _cells(before, now, files["file"].tolist())
    of_panels = [_panel_cells(before, now, study, files) for study in studies if study.panel is not None]
    listed = pd.concat([part for part in (cells, *of_panels) if len(part)] or [cells], ignore_index=True)
    rows.add("cell", listed)
    rows.count("cell", listed, ["change"])
    aside = _aside(before), _aside(now)
    panels = _panels(before, now, studies)
    changed = {name: _values(name, *frames, *aside) for name, frames in panels.items()}
    for found in changed.values():
        rows.add("value", found)
        rows.count("value", found, ["change", "study"])
    estimates = _estimates(before, now, studies)
    rows.add("estimate", estimates)
    rows.count("estimate", estimates, ["change", "study"])
    words = wording.Words(files, cells, cities, _indicators(now))
    reasons = tuple(_reasons(now, studies, panels, cells, estimates, cities))
    rows.add("reason", _told(reasons, words))
    findings = _findings(before, now)
    rows.add("finding", findings)
    checks = _checks(before.checks, now.checks)
    rows.add("check", checks)
    return Comparison(rows.table(), reasons)


def _beside(before: pd.DataFrame, now: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Rows of both by their keys: other columns end in _old and _new, ``side`` says which of them has the row."""
    pair = [frame.astype(dict.fromkeys(keys, object)) for frame in (before, now)]
    return pair[0].merge(pair[1], on=keys, how="outer", suffixes=("_old", "_new"), indicator="side")


def _files(before: Snapshot, now: Snapshot) -> pd.DataFrame:
    """One row a raw file that is new, changed or removed."""
    keys = ["source", "file"]
    one, other = (snapshot.read("quality.files", None) for snapshot in (before, now))
    kept = [*keys, "sha256", "rows", "cells"]
    both = _beside(one.reindex(columns=kept), other.reindex(columns=kept), keys)
    both["change"] = both["side"].astype(str).map({"left_only": "removed", "right_only": "new", "both": "changed"})
    both = both[both["side"].ne("both") | both["sha256_old"].ne(both["sha256_new"])].sort_values(keys)
    return pd.DataFrame(
        {
            "change": both["change"],
            "study": both["source"],
            "file": both["file"],
            "old": both["cells_old"].astype(float),
            "new": both["cells_new"].astype(float),
            "old_text": [_rows_said(value) for value in both["rows_old"]],
            "new_text": [_rows_said(value) for value in both["rows_new"]],
        }
    ).reset_index(drop=True)


def _rows_said(rows: Any) -> str | None:
    return None if pd.isna(rows) else f"{int(rows):,} rows"


_CELL = ["file", "sheet", "indicator", "header", "city_code", "unit_code", "year", "occurrence"]


def _cells(before: Snapshot, now: Snapshot, files: Sequence[str]) -> pd.DataFrame:
    """One row a cell of a changed file that is not what it was, and a record count of a city and year that is not."""
    if not files:
        return pd.DataFrame(columns=["change", "file", "item", "city_code", "year", "old", "new"])
    one, other = (_numbered(snapshot.read("lineage.cells", files)) for snapshot in (before, now))
    both = _beside(one, other, _CELL)
    same = both["text_old"].fillna("").eq(both["text_new"].fillna("")) & both["side"].eq("both")
    same &= both["rule_old"].fillna("").eq(both["rule_new"].fillna(""))
    both = both[~same]
    place = {
        name: both[f"{name}_new"].where(both["side"].ne("left_only"), both[f"{name}_old"]) for name in ("row", "column")
    }
    aside = both["rule_new"].notna() & both["rule_old"].isna() & both["side"].eq("both")
    back = both["rule_old"].notna() & both["rule_new"].isna() & both["side"].eq("both")
    change = np.select(
        [both["side"].eq("left_only"), both["side"].eq("right_only"), aside, back],
        ["removed", "new", "set aside", "back"],
        default="changed",
    )
    cells = pd.DataFrame(
        {
            "change": change,
            "file": both["file"],
            "sheet": both["sheet"],
            **place,
            "item": both["indicator"],
            "city_code": both["city_code"],
            "year": both["year"],
            "old": both["value_old"],
            "new": both["value_new"],
            "old_text": both["text_old"],
            "new_text": both["text_new"],
            "message": both["message_new"].where(aside, both["message_old"].where(back)),
        }
    )
    # records of patents and cases have no cell of their own: how many of a city and year count
    keys = ["file", "measure", "city_code", "year"]
    counts = [_counted(snapshot.read("lineage.records", files), keys) for snapshot in (before, now)]
    number = _beside(counts[0], counts[1], keys).drop(columns="side")
    number = number[number["records_old"].fillna(0).ne(number["records_new"].fillna(0))]
    number = number.rename(columns={"measure": "item", "records_old": "old", "records_new": "new"})
    tables = [table for table in (cells, number.assign(change="changed")) if len(table)]
    if not tables:
        return cells
    return pd.concat(tables, ignore_index=True).sort_values(
        ["file", "item", "city_code", "year"], kind="stable", ignore_index=True
    )


def _panel_cells(before: Snapshot, now: Snapshot, study: Study, files: pd.DataFrame) -> pd.DataFrame:
    """The same of the file that a study's panel comes from, in the columns that both publications draw on."""
    assert study.panel is not None
    found = []
    keys = [study.panel.unit, study.panel.time]
    changed = files.loc[files["study"].eq(study.name) & files["change"].eq("changed"), "file"]
    one, other = (snapshot.read(f"lineage.panel_{study.name}", None) for snapshot in (before, now))
    if changed.empty or not all({*keys, "file_row"} <= set(frame.columns) for frame in (one, other)):
        return pd.DataFrame()
    drawn = [name for name in other.columns if name in one.columns and name not in (*keys, "file_row")]
    both = _beside(one[[*keys, "file_row", *drawn]], other[[*keys, "file_row", *drawn]], keys)
    gone, fresh = both["side"].eq("left_only"), both["side"].eq("right_only")
    for name in drawn:
        was, is_now = both[f"{name}_old"], both[f"{name}_new"]
        rows = both[was.fillna("").ne(is_now.fillna(""))]
        found.append(
            pd.DataFrame(
                {
                    "change": np.select([gone[rows.index], fresh[rows.index]], ["removed", "new"], default="changed"),
                    "file": changed.iloc[0],
                    "sheet": study.panel.sheet,
                    "row": rows["file_row_new"].where(~gone[rows.index], rows["file_row_old"]).astype("Int64"),
                    "item": name,
                    "city_code": rows[keys[0]].astype(str),
                    "year": pd.to_numeric(rows[keys[1]], errors="coerce").astype("Int64"),
                    "old": pd.to_numeric(was[rows.index], errors="coerce"),
                    "new": pd.to_numeric(is_now[rows.index], errors="coerce"),
                    "old_text": was[rows.index],
                    "new_text": is_now[rows.index],
                }
            )
        )
    held = [part for part in found if len(part)]
    return pd.concat(held, ignore_index=True) if held else pd.DataFrame()


def _numbered(cells: pd.DataFrame) -> pd.DataFrame:
    """Cells with their occurrence among those that say the same, so that a row put in between moves none of them."""
    columns = [*_CELL[:-1], "row", "column", "text", "value", "rule", "message"]
    cells = cells.reindex(columns=columns).sort_values(["file", "sheet", "row", "column"], kind="stable")
    return cells.assign(occurrence=cells.groupby(_CELL[:-1], dropna=False).cumcount())


def _counted(records: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    records = records.reindex(columns=[*keys, "rule", "records"])
    counted = records[records["rule"].fillna("").eq("")]
    sums = counted.groupby(keys)["records"].sum().astype("float64")
    return sums.reset_index()


def _aside(snapshot: Snapshot) -> set[tuple[str, int]]:
    """Cities and years of which a cell is set aside."""
    rejects = snapshot.read("quality.rejects", None)
    if not {"city_code", "year"} <= set(rejects.columns):
        return set()
    known = rejects.dropna(subset=["city_code", "year"])
    return set(zip(known["city_code"].astype(str), known["year"].astype(int), strict=True))


def _panels(before: Snapshot, now: Snapshot, studies: Sequence[Study]) -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
    """Panels that both publications have, under the names by which studies are estimated."""
    by_name = {study.name: study for study in studies}
    names = ["city_year", *(name for study in studies for name in (study.name, *study.other_panels))]
    found = {}
    for name in dict.fromkeys(names):
        pair = [snapshot.read(f"panels.{name}", None) for snapshot in (before, now)]
        if name in by_name:
            pair = [keyed(by_name[name], panel) if len(panel) else panel for panel in pair]
        if all(len(panel) and {UNIT, TIME} <= set(panel.columns) for panel in pair):
            found[name] = pair[0], pair[1]
    return found


def _values(
    name: str,
    before: pd.DataFrame,
    now: pd.DataFrame,
    aside_before: set[tuple[str, int]],
    aside_now: set[tuple[str, int]],
) -> pd.DataFrame:
    found = changed_values(before, now, [UNIT, TIME], aside_before=aside_before, aside_now=aside_now)
    found = found[~found["rounding"].astype(bool)].drop(columns="rounding")
    order = {kind: at for at, kind in enumerate(KINDS)}
    found = found.sort_values("change", key=lambda change: change.map(order), kind="stable")
    table = pd.concat([changed_rows(before, now, [UNIT, TIME]), found.rename(columns={"column": "item"})])
    return table.assign(study=name).reset_index(drop=True)


_ESTIMATE = ["study", "exhibit", "model", "term"]


def _estimates(before: Snapshot, now: Snapshot, studies: Sequence[Study]) -> pd.DataFrame:
    """One row an estimate whose number, standard error, p or status is not what it was."""
    columns = [*_ESTIMATE, "estimate", "se", "p", "status", "reason"]
    one, other = (
        snapshot.read("estimates.estimates", None).reindex(columns=columns).drop_duplicates(_ESTIMATE)
        for snapshot in (before, now)
    )
    both = _beside(one, other, _ESTIMATE)
    was, is_now = both["status_old"].eq(OK), both["status_new"].eq(OK)
    number = _differs(both, "estimate") | _differs(both, "se")
    moved = was & is_now & (number | _differs(both, "p"))
    change = np.select(
        [both["side"].eq("right_only"), both["side"].eq("left_only"), moved, is_now & ~was, was & ~is_now],
        ["new", "removed", "moved", "computed", "no longer computed"],
        default="",
    )
    both = both.assign(change=change, with_p=moved & ~number)[change != ""]
    effects = headline_effects(studies)
    order = {study.name: at for at, study in enumerate(studies)}
    table = pd.DataFrame(
        {
            "change": both["change"],
            "study": both["study"],
            "item": both["exhibit"],
            "model": both["model"],
            "term": both["term"],
            "old": both["estimate_old"],
            "new": both["estimate_new"],
            "old_text": [
                _printed(*row) for row in both[["estimate_old", "se_old", "p_old", "with_p"]].to_numpy(dtype=float)
            ],
            "new_text": [
                _printed(*row) for row in both[["estimate_new", "se_new", "p_new", "with_p"]].to_numpy(dtype=float)
            ],
            "contribution": _far(both),
            "headline": [key in effects for key in zip(*(both[name] for name in _ESTIMATE), strict=True)],
            "message": both["reason_new"].where(both["change"].eq("no longer computed")),
        }
    )
    at = table["study"].map(order).fillna(len(order))
    return (
        table.assign(at=at).sort_values(["at", "headline"], ascending=[True, False], kind="stable").drop(columns="at")
    )


def _differs(both: pd.DataFrame, name: str) -> pd.Series:
    one, other = both[f"{name}_old"].astype(float), both[f"{name}_new"].astype(float)
    near = (one - other).abs() <= 1e-9 * pd.concat([one.abs(), other.abs()], axis=1).max(axis=1)
    return ~(near | (one.isna() & other.isna()))


def _far(both: pd.DataFrame) -> pd.Series:
    """How far an estimate moved, in standard errors of the earlier one."""
    return (both["estimate_new"] - both["estimate_old"]) / both["se_old"].where(both["se_old"] > 0)


def _printed(estimate: float, se: float, p: float, with_p: float) -> str | None:
    if np.isnan(estimate):
        return None
    error = "" if np.isnan(se) else f" ({se:.4f})"
    return f"{estimate:.4f}{stars(p)}{error}" + (f", p = {p:.4g}" if with_p and not np.isnan(p) else "")


def _reasons(
    now: Snapshot,
    studies: Sequence[Study],
    panels: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]],
    cells: pd.DataFrame,
    estimates: pd.DataFrame,
    cities: pd.DataFrame,
) -> list[Reason]:
    """Why each headline estimate that moved did so."""
    raw = _raw(cells)
    formulas = Formulas.of(now.read("lineage.formulas", None).to_dict("records"))
    moved = estimates[estimates["headline"].astype(bool) & estimates["change"].eq("moved")]
    reasons = []
    for study in studies:
        own = moved[moved["study"].eq(study.name)]
        exhibit = headline(study)
        if own.empty or exhibit is None or study.name not in panels:
            continue
        before, after = panels[study.name]
        change = undoing(before, after, *_fed(study, after, raw, cells, formulas), _fixed(study))
        models = {model.label: model for model in exhibit.models}
        others = {name: panels[name][1] for name in study.other_panels if name in panels}
        for model, term, old, new in own[["model", "term", "old", "new"]].itertuples(index=False):
            told: Model = models[model]
            if told.panel is not None:
                note = "It is estimated on a panel over other years: its change is not split."
                reasons.append(Reason(study.name, exhibit.name, model, term, old, new, note=note))
                continue
            if old == new:
                continue
            sample = now.is_sample and study.panel is None
            reasons.append(
                explain(study, exhibit, told, term, change, (old, new), cities=cities, panels=others, is_sample=sample)
            )
    return reasons


def _raw(cells: pd.DataFrame) -> pd.DataFrame:
    """What of the raw files changed, as attribution reads it; records by their kind."""
    table = cells.reindex(columns=["file", "item", "city_code", "year"]).rename(columns={"item": "name"})
    kinds = {"ip_cases": "cases", "national_cases": "cases", "concluded_cases": "cases"}
    names = table["name"].astype(str)
    patents = names.str.startswith(("green_invention", "green_utility", "patent_"))
    return table.assign(name=np.where(patents, "patents", names.replace(kinds))).dropna(subset=["city_code", "year"])


def _fed(
    study: Study, panel: pd.DataFrame, raw: pd.DataFrame, cells: pd.DataFrame, formulas: Formulas
) -> tuple[pd.DataFrame, dict[str, set[str]]]:
    """What feeds each column of a study's panel; a panel from a file has that file alone behind every value."""
    columns = [str(column) for column in panel.columns]
    if study.panel is None:
        return raw, {column: behind(study, column, formulas) for column in columns}
    name = f"panels/{study.panel.path.name}" if study.panel.file.startswith("panels/") else study.panel.file
    own = pd.DataFrame([{"file": name, "name": study.name, "city_code": "", "year": 0}])
    return own, {column: {study.name} for column in columns}


def _fixed(study: Study) -> dict[str, str]:
    """Columns that come from lists of pilots."""
    if study.panel is not None:
        return {}
    lists = {study.treatment: study.policy, ADOPTION: study.policy}
    lists |= {policy.name: policy.policy for policy in study.policies}
    return {column: wording.LIST.format(policy) for column, policy in lists.items()}


def _indicators(snapshot: Snapshot) -> dict[str, Label]:
    """Names of indicators and columns in both languages, as far as the publication has them."""
    formulas = snapshot.read("lineage.formulas", None)
    dictionary = snapshot.read("panels.data_dictionary", None)
    found: dict[str, Label] = {}
    if {"layer", "name", "description"} <= set(formulas.columns):
        for row in formulas[formulas["layer"].eq("indicator")].to_dict("records"):
            found[row["name"]] = wording.label_of(str(row["description"]))
    if {"column_name", "label_en", "label_zh"} <= set(dictionary.columns):
        for row in dictionary.to_dict("records"):
            found.setdefault(str(row["column_name"]), Label(str(row["label_en"]), str(row["label_zh"])))
    return found


def _told(reasons: Sequence[Reason], words: wording.Words) -> pd.DataFrame:
    """The parts of every reason, with words; a reason that could not be split is one row."""
    rows = []
    for reason in reasons:
        about: dict[str, Any] = {
            "study": reason.study,
            "item": reason.exhibit,
            "model": reason.model,
            "term": reason.term,
        }
        about |= {"old": reason.before, "new": reason.now}
        if reason.note:
            note = words.note(reason.note)
            rows.append({**about, "change": "not split", "message": note.en, "message_zh": note.zh})
        for part in reason.parts:
            said = words.group(part)
            row = {**about, "change": part.level, "of": part.of or None, "contribution": part.part}
            row |= {"old_text": part.group, "new_text": part.method, "message": said.en, "message_zh": said.zh}
            if part.level == "city":
                row["city_code"] = part.group
            if part.level == "year" and part.group.isdigit():
                row["year"] = int(part.group)
            rows.append(row)
    return pd.DataFrame(rows)


_FINDING = ["study", "code", "exhibit", "model", "variable"]


def _findings(before: Snapshot, now: Snapshot) -> pd.DataFrame:
    """One row a finding of an audit that only one of the publications has."""
    one, other = (snapshot.findings.drop_duplicates(_FINDING) for snapshot in (before, now))
    both = _beside(one, other, _FINDING)
    both = both[both["side"].ne("both")]
    new = both["side"].eq("right_only")

    def either(name: str) -> pd.Series:
        return both[f"{name}_new"].where(new, both[f"{name}_old"])

    where = both[["exhibit", "model", "variable"]].apply(lambda row: ", ".join(filter(None, row)), axis=1)
    return pd.DataFrame(
        {
            "change": np.where(new, "new", "gone"),
            "study": both["study"],
            "item": both["code"],
            "model": where if len(both) else None,
            "old_text": either("severity").where(~new),
            "new_text": either("severity").where(new),
            "message": either("title"),
            "message_zh": either("title_zh"),
        }
    )


def _checks(before: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """One row a rule that holds no longer, holds again, or whose failing rows are more or fewer."""
    keys = ["layer", "rule"]
    both = _beside(before, now, keys)
    was, is_now = both["passed_old"].eq(True), both["passed_new"].eq(True)
    there = both["side"].eq("both")
    change = np.select(
        [
            there & was & ~is_now,
            there & ~was & is_now,
            there & ~was & ~is_now & both["failing_old"].ne(both["failing_new"]),
            both["side"].eq("right_only") & ~is_now,
            both["side"].eq("left_only") & ~was,
        ],
        ["newly broken", "mended", "still broken", "newly broken", "no longer checked"],
        default="",
    )
    both = both.assign(change=change)[change != ""]
    return pd.DataFrame(
        {
            "change": both["change"],
            "study": both["layer"],
            "item": both["rule"],
            "old": both["failing_old"].astype(float),
            "new": both["failing_new"].astype(float),
        }
    ).sort_values(["change", "study", "item"])

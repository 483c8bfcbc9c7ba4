"""The static site: a page a study, one for the warehouse, and the files that readers take away. Offline, in English and
Chinese.

Pages say only what the frames handed in say; nothing is estimated or counted here beyond totals.
"""

from __future__ import annotations

import hashlib
import pickle
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import pandas as pd
from markupsafe import Markup, escape

from analysis.names import IMPUTED, UNIT
from analysis.printing.canvas import FORMATS
from analysis.printing.table import SAMPLE, display_name
from analysis.reporting import all_estimates, explorer
from analysis.reporting.argument import PARTS, baseline, effects, part
from analysis.reporting.audit_page import audit_page, page_name
from analysis.reporting.changes_page import PAGE as CHANGES
from analysis.reporting.changes_page import ChangesReport, changes_page
from analysis.reporting.checks_page import Outcomes, checks_page
from analysis.reporting.doors import doors
from analysis.reporting.explorer import Tables
from analysis.reporting.figures import describe, in_chinese, inline, write_figure
from analysis.reporting.guides import guides
from analysis.reporting.language import Chinese, study_labels
from analysis.reporting.listing import listing
from analysis.reporting.overview import card, overview
from analysis.reporting.page import ASSETS, TEMPLATES, render
from analysis.reporting.report import PendingReport, StudyReport, WarehouseReport, coverage
from analysis.reporting.tables import exhibit_table, safe_csv, write_table
from analysis.reporting.year_map import HEIGHT, WIDTH, picture
from analysis.studies.kinds import KINDS
from analysis.studies.published import published
from analysis.studies.records import Exhibit, Study
from analysis.studies.result import NOT_COMPUTED, NOT_IDENTIFIED, ExhibitResult

#: Rows of each rule's rejects that the page shows; the file holds them all.
REJECTS_SHOWN = 5
#: Bytes up to which a picture stands within the page, where its marks say their values.
INLINE = 60_000


#: Stand in kept pages for what is only known when they are published; no text has these characters.
UNSAID = {name: f"\ue000{name[:4]}\ue001" for name in ("version", "refreshed", "code_sha256")}
#: Characters of them that are shown.
_CUT = {"code_sha256": 12}
#: Beside the files of a piece: what other pages need of it.
HIDDEN = ".hidden.pickle"

__all__ = ["UNSAID", "PendingReport", "StudyReport", "WarehouseReport", "build", "coverage"]


class Keep(Protocol):
    """Keeps pieces of a site by what decides them."""

    def __call__(self, name: str, inputs: Mapping[str, Any], make: Callable[[Path], object]) -> Path:
        """The folder of a piece, which ``make`` writes into an empty one unless it is kept from the same inputs."""


#: The pages of the data checks: ours, and Great Expectations' own.
CHECKS, DATA_DOCS = "checks.html", "data_docs/index.html"


def build(
    output: Path,
    *,
    studies: Sequence[StudyReport | PendingReport],
    warehouse: WarehouseReport,
    publication: Mapping[str, Any],
    dictionary: pd.DataFrame | None = None,
    docs: Path | None = None,
    tables: Tables | None = None,
    checks: Outcomes | None = None,
    changes: ChangesReport | None = None,
    keep: Keep | None = None,
    contents: Mapping[str, Any] | None = None,
) -> None:
    """Write index.html, a page a study, warehouse.html, dictionary.html and the files they link to into ``output``.

    The same inputs give the same bytes. Files that an earlier site left in ``output`` stay: hand in a new folder.

    Parameters
    ----------
    publication
        ``version`` and ``refreshed`` (text), shown on every page; anything else is listed on the first page.
    dictionary
        As `analysis.reporting.dictionary.complete` makes it; without it there is no page of it.
    tables
        Tables of the publication by name (``panels.city_year``, ``lineage.cells``): what the pages of cities and
        variables are made from; without them there are none, and numbers lead nowhere.
    checks
        What every rule of the data checks found, as `checks_page.checks_page` takes it; None without such a page.
    docs
        The folder of guides in Markdown that become the pages *Help*; without it there are none.
    changes
        What changed since the publication before; without it there is no page of it and no line on the first page.
    keep
        Keeps what pages are made of; without it all of them are made now.
    contents
        What decides ``tables``, for ``keep``.

    Raises
    ------
    ValueError
        Rejects without a column ``rule``.
    """
    rejects = warehouse.rejects
    if len(rejects) and "rule" not in rejects.columns:
        raise ValueError(f"The rejects need a column 'rule'; they have {', '.join(map(str, rejects.columns))}.")
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    (output / "assets").mkdir(exist_ok=True)
    for name in ASSETS:
        (output / "assets" / name).write_bytes((TEMPLATES / name).read_bytes())
    reports = [report if isinstance(report, PendingReport) else PendingReport.of(report) for report in studies]
    with TemporaryDirectory() as aside:
        kept = keep or partial(_made_now, Path(aside))
        _build(output, reports, warehouse, publication, dictionary, docs, tables, checks, changes, kept, contents or {})


def _made_now(aside: Path, name: str, inputs: Mapping[str, Any], make: Callable[[Path], object]) -> Path:
    folder = aside / name / "made"
    folder.mkdir(parents=True)
    make(folder)
    return folder


def _build(
    output: Path,
    reports: Sequence[PendingReport],
    warehouse: WarehouseReport,
    publication: Mapping[str, Any],
    dictionary: pd.DataFrame | None,
    docs: Path | None,
    tables: Tables | None,
    checks: Outcomes | None,
    changes: ChangesReport | None,
    keep: Keep,
    contents: Mapping[str, Any],
) -> None:
    told = {mark: str(publication[key])[: _CUT.get(key)] for key, mark in UNSAID.items() if key in publication}
    # what a page says of data changes with no table's words
    labels = _labels(replace(report.study, exhibits=()) for report in reports)
    files = [report.study.name for report in reports if report.study.panel is not None]
    explored: dict[str, list[str]] = {}
    if tables is not None:
        made = keep(
            "explored",
            {"tables": contents, "labels": labels, "without": files},
            lambda folder: _hide(folder, explorer.write(folder, tables, Chinese(labels), without=files)),
        )
        explored = _hidden(made)
        _place(made, output, told)
    helps = sorted(docs.glob("*.md")) if docs is not None else []
    shared: dict[str, Any] = {
        "is_sample": warehouse.is_sample or any(report.is_sample for report in reports),
        "version": UNSAID["version"] if "version" in publication else "not published",
        "refreshed": UNSAID["refreshed"] if "refreshed" in publication else "date not recorded",
        "menu": [("index.html", "Overview")]
        + [(f"{report.study.name}.html", report.study.title.en) for report in reports]
        + ([("dictionary.html", "Data dictionary")] if dictionary is not None else [])
        + ([("cities.html", "City pages")] if explored else [])
        + [(CHANGES, "What changed")] * (changes is not None)
        + [("warehouse.html", "Warehouse"), (CHECKS if checks is not None else DATA_DOCS, "Data checks")]
        + [("help.html", "Help")] * bool(helps),
    }

    def written(name: str, inputs: Mapping[str, Any], make: Callable[[Path], Mapping[str, Mapping[str, Any]]]) -> None:
        """Pages of data, kept together: name -> values of its template."""

        def pages(folder: Path) -> None:
            for page, values in make(folder).items():
                _page(folder, page, values, labels, shared)

        _place(keep(name, {**inputs, "labels": labels, "shared": shared, "explored": explored}, pages), output, told)

    cards, missing = [], []
    for report in reports:
        card, without = _study(report, keep, output, told, explored.get(report.study.name, ()), labels, shared)
        cards.append(card)
        missing.append(without)
    every = labels | _labels(report.study for report in reports)
    first = overview(cards, warehouse, publication, CHECKS if checks is not None else "warehouse.html#checks")
    first["handed_out"] = [(report.study.title.en, _sizes(report, output)) for report in reports]
    with TemporaryDirectory() as aside:
        now = Path(aside)
        if changes is not None:
            titles = {report.study.name: report.study.title.en for report in reports}
            _page(now, CHANGES, changes_page(changes, titles, now, is_sample=shared["is_sample"]), every, shared)
            first |= {"news": changes.news.en, "labels": {changes.news.en: changes.news.zh}}
        _page(now, "index.html", first, every, shared)
        _place(now, output, told)
    frames = {field.name: getattr(warehouse, field.name) for field in fields(warehouse) if field.name != "is_sample"}
    absent = pd.concat([*missing, warehouse.not_computed], ignore_index=True)
    written(
        "warehouse",
        {"is_sample": warehouse.is_sample, "missing": _content(absent)} | {k: _content(v) for k, v in frames.items()},
        lambda folder: {"warehouse.html": _warehouse(absent, warehouse, folder) | {"labels": every}},
    )
    if dictionary is not None:
        titles = {report.study.name: report.study.title.en for report in reports}
        samples = any(report.is_sample for report in reports)
        written(
            "dictionary",
            {"dictionary": _content(dictionary), "titles": titles, "is_sample": samples},
            lambda folder: {"dictionary.html": _dictionary(dictionary, titles, samples, folder, explored)},
        )
    if checks is not None:
        written(
            "checks",
            {"tables": contents, "checks": checks},
            lambda folder: {CHECKS: checks_page(checks, tables, explored)},
        )
    if tables is not None:
        city: dict[str, Any] = {"template": "explore.html", "title": "City", "kind": "city"}
        variable: dict[str, Any] = {"template": "explore.html", "title": "Variable", "kind": "variable"}
        written(
            "cities",
            {"tables": contents},
            lambda folder: {"cities.html": _cities(tables, explored), "city.html": city, "variable.html": variable},
        )
    if helps:
        written("help", {path.name: path.read_text(encoding="utf-8") for path in helps}, lambda folder: _helps(docs))


def _sizes(report: PendingReport, output: Path) -> list[tuple[str, str, str]]:
    """What a study hands out that lies in the site: what it is, its path, and its size."""
    found = [(kind, output / path, path) for kind, path in report.decided.get("downloads", {}).items()]
    return [
        (_DOWNLOADS[kind], path, f"{max(file.stat().st_size / 1e6, 0.1):,.1f} MB")
        for kind, file, path in found
        if file.is_file() and kind in ("zip", "dta", "csv", "parquet")
    ]


def _labels(studies: Iterable[Study]) -> dict[str, str]:
    return {english: zh for study in studies for english, zh in study_labels(study).items()}


def _helps(docs: Path | None) -> dict[str, dict[str, Any]]:
    helps = guides(docs) if docs is not None else []
    shown = {"template": "help.html", "guides": helps}
    pages = {guide.page: {**shown, "title": guide.title, "body": guide.body} for guide in helps}
    return pages | {"help.html": {**shown, "title": "Help", "body": None}}


def _page(
    folder: Path, name: str, values: Mapping[str, Any], labels: Mapping[str, str], shared: Mapping[str, Any]
) -> None:
    """Render a page into a folder; ``labels`` are words in both languages beside those in its ``values``."""
    words = Chinese({**labels, **values.get("labels", {})})
    shown = {"contents": []} | dict(shared) | dict(values) | _title(values["title"], words, shared)
    text = render(values.get("template", name), **shown, page=name, words=words)
    (folder / name).write_text(text, encoding="utf-8", newline="\n")


def _content(frame: pd.DataFrame) -> str:
    """A hash of what a frame holds."""
    return hashlib.sha256(frame.to_csv(index=False).encode()).hexdigest()


def _hide(folder: Path, what: object) -> None:
    """Keep a value beside a piece of the site."""
    (folder / HIDDEN).write_bytes(pickle.dumps(what))


def _hide_section(pending: PendingReport, study: Study, name: str, folder: Path) -> None:
    _hide(folder, _section(pending.whole, study, name, folder))


def _hidden(folder: Path) -> Any:
    return pickle.loads((folder / HIDDEN).read_bytes())


def _place(folder: Path, output: Path, told: Mapping[str, str]) -> None:
    """Put a piece into the site, its pages with what is ``told`` of the publication."""
    for path in sorted(folder.rglob("*")):
        if path.name.startswith(".") or path.is_dir():
            continue
        target = output / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".html" and path.parent == folder:
            text = path.read_text(encoding="utf-8")
            for mark, value in told.items():
                text = text.replace(mark, str(escape(value)))
            target.write_text(text, encoding="utf-8", newline="\n")
        else:
            shutil.copyfile(path, target)


def _exhibits(report: StudyReport) -> list[tuple[str, Exhibit]]:
    """The exhibits of the page by name; of several with the same printed figures the first is the printed one."""
    return [(name, result.specification) for name, result in reversed(list(report.results.items()))]


def _title(title: str, words: Chinese, shared: Mapping[str, Any]) -> dict[str, str]:
    """The title of a page in both languages, with the mark of sample data."""
    mark = " (SAMPLE DATA)" if shared["is_sample"] else ""
    return {"title_en": title + mark, "title_zh": words(title) + mark}


def _not_computed(studies: Sequence[StudyReport]) -> pd.DataFrame:
    """One row for each exhibit and reason: the models (or variables) that have no number, and why."""
    columns = ["study", "exhibit", "model", "status", "reason"]
    frames = [result.estimates for report in studies for result in report.results.values()]
    estimates = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)
    missing = estimates[estimates["status"].isin([NOT_COMPUTED, NOT_IDENTIFIED])]
    grouped = missing.groupby(["study", "exhibit", "status", "reason"], sort=False)["model"]
    rows = grouped.agg(lambda models: ", ".join(dict.fromkeys(models))).reset_index()
    rows["exhibit"] = [display_name(exhibit) for exhibit in rows["exhibit"]]
    return rows[columns]


def _facts(report: StudyReport) -> str:
    first, last = report.study.years
    if report.study.panel is not None and not report.study.panel.cities:
        return f"{report.cities} units, {first}-{last}, {report.rows:,} rows, {report.treated_cities} treated units"
    return f"{report.cities} cities, {first}-{last}, {report.rows:,} rows, {report.treated_cities} pilot cities"


def _cities(tables: Tables, explored: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Every city of the roster, and since when it is a pilot of each study."""
    frame = tables["panels.city_year"][[UNIT, "name_en", "name_zh", "province_zh", "region"]].drop_duplicates(UNIT)
    frame = frame.assign(name_en=frame["name_en"] + " " + frame["name_zh"]).drop(columns="name_zh")
    treated = tables["lineage.treatments"]
    treated = treated[treated["is_treatment"] & treated["counts"]]
    for study in [name for name in explored if name in set(treated["study"])]:
        since = treated[treated["study"] == study].groupby("city_code")["adoption"].min()
        frame = frame.assign(**{f"{study} since year": frame[UNIT].map(since).astype("Int64")})
    shown = frame.rename(columns={UNIT: "code", "name_en": "city", "province_zh": "province"})
    shown = shown[["city", "code", *shown.columns[2:]]]

    def leads(column: str, value: Any, row: dict[str, Any]) -> str:
        return f"city.html#{row['code']}" if column == "city" else ""

    return {"title": "City pages", "cities": listing(shown, "City pages", leads)}


def _variable_page(panel: str, column: str, explored: Sequence[str]) -> str:
    """The page of a panel's column, or "" where it has none."""
    return f"variable.html#{panel}.{column}" if column in explored else ""


def _study(
    pending: PendingReport,
    keep: Keep,
    output: Path,
    told: Mapping[str, str],
    explored: Sequence[str],
    labels: Mapping[str, str],
    shared: Mapping[str, Any],
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Put a study's pages and files into ``output``; returns its card of the first page, and what is not computed."""
    study = pending.study
    # a panel from a file is no sample, whatever the warehouse beside it was made from
    mine = {**shared, "is_sample": shared["is_sample"] and pending.is_sample}
    own = replace(study, exhibits=(), citation=None, doi=None, note=None)
    pieces: dict[str, Path] = {}
    for name, decided in pending.exhibits.items():
        alone = replace(own, exhibits=(study.exhibit(name),))
        pieces[name] = keep(
            f"{study.name}/exhibits/{name}",
            {"study": alone, "is_sample": pending.is_sample, "exhibit": decided},
            partial(_hide_section, pending, alone, name),
        )
    effective = {name: of for name, of in pending.exhibits.items() if KINDS[study.exhibit(name).kind].is_effect}
    curve = keep(
        f"{study.name}/all_estimates",
        {"study": own, "is_sample": pending.is_sample, "exhibits": effective},
        lambda folder: _hide(folder, _all_estimates(pending.whole, folder)),
    )

    def page(folder: Path) -> None:
        report = pending.whole
        missing = _not_computed([report])
        sections = {name: _hidden(piece) for name, piece in pieces.items()}
        values = _study_page(report, sections, _hidden(curve), missing.drop(columns="study"), folder, explored)
        words = {**labels, **study_labels(study)}
        _page(folder, f"{study.name}.html", values, words, mine)
        if report.audit is not None and report.replication is not None:
            anchors = {exhibit.published or name: name for name, exhibit in _exhibits(report)}
            values = audit_page(study, report.audit, report.replication, folder, anchors)
            _page(folder, page_name(study), values, words, mine)
        _hide(folder, (card(report), missing))

    decided = {"report": pending.decided, "exhibits": pending.exhibits, "explored": explored, "at": _written_in(study)}
    whole = keep(f"{study.name}/page", {"study": study, **decided, "labels": labels, "shared": mine}, page)
    for piece in (*pieces.values(), curve, whole):
        _place(piece, output, told)
    return _hidden(whole)


def _study_page(
    report: StudyReport,
    sections: Mapping[str, dict[str, Any]],
    estimates: Mapping[str, Any],
    missing: pd.DataFrame,
    output: Path,
    explored: Sequence[str],
) -> dict[str, Any]:
    study = report.study

    def leads(column: str, value: Any, row: dict[str, Any]) -> str:
        return _variable_page(study.name, row["name"], explored) if column in ("name", "label", "Chinese") else ""

    parts = _parts(report, sections)
    printed = published(study.name, study.file.parent / "published")
    behind = doors(study, report.results, printed, Chinese(study_labels(study)), explored)
    (output / explorer.FOLDER).mkdir(parents=True, exist_ok=True)
    explorer.script(output / explorer.FOLDER / f"estimates_{study.name}.js", "estimates", study.name, behind)
    if report.map is not None:
        (output / "files" / study.name).mkdir(parents=True, exist_ok=True)
        (output / "files" / study.name / "pilots.svg").write_text(picture(report.map), encoding="utf-8", newline="")
    shown = _map(report)
    contents = _contents(parts)
    for anchor, words, of, there in (
        ("all_estimates", "All estimates", "robustness", estimates["all_estimates"]),
        ("map", "Map", "space", shown["map"]),
    ):
        if there:
            at = [
                place for place, (anchor_of, _, level) in enumerate(contents) if anchor_of == f"part-{of}" and not level
            ]
            after = next((i for i in range(at[0] + 1, len(contents)) if not contents[i][2]), len(contents))
            contents.insert(after, (anchor, words, 1))
    contents += [("missing", "What is missing", 0)] * bool(len(missing)) + [("variables", "Variables", 0)]
    contents += [("downloads", "Files of this study", 0)] * bool(report.downloads)
    return {
        "title": study.title.en,
        "template": "study.html",
        "study": study,
        "effects": effects(study, report.results),
        "facts": _facts(report),
        "specification": _written_in(study),
        "downloads": [(_DOWNLOADS[kind], path) for kind, path in report.downloads.items()],
        "citation": report.citation,
        "folder": f"files/{study.name}",
        **shown,
        **estimates,
        "audit": page_name(study) if report.audit is not None else None,
        "findings": len(report.audit.findings) if report.audit is not None else 0,
        "parts": parts,
        "contents": contents,
        "pages_of": {name: _variable_page(study.name, name, explored) for name in study.controls if name in explored},
        "missing": listing(missing, "Not computed or not identified, and why") if len(missing) else None,
        "variables": listing(report.variables.rename(columns={"label_zh": "Chinese"}), "Variables of the panel", leads),
    }


def _written_in(study: Study) -> str:
    """The file of a study as its page names it."""
    return "/".join(study.file.parts[-3:])


def _parts(report: StudyReport, sections: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The exhibits in the order of the argument; within a part, in that of the specification."""
    first = baseline(report.results)
    held: dict[str, list[dict[str, Any]]] = {name: [] for name in PARTS}
    for name, result in report.results.items():
        held[part(result.specification, report.study, first)].append(sections[name])
    # the map and the picture of all estimates stand in parts of their own even where nothing else does
    more = {"space": report.map is not None, "robustness": bool(report.results)}
    return [
        {"id": name, "title": title, "sections": held[name]}
        for name, title in PARTS.items()
        if held[name] or more.get(name)
    ]


def _section(report: StudyReport, study: Study, name: str, output: Path) -> dict[str, Any]:
    """An exhibit on the page of its study, which has no other here; writes its files."""
    result, folder = report.results[name], Path("files") / study.name
    printed = published(study.name, study.file.parent / "published")
    words = Chinese(study_labels(study))
    beside: Any = {"printed": printed, "truth": report.truth, "agreement": report.agreement}
    table = exhibit_table(result, study, **beside)
    paths = write_table(result, study, output / folder, **beside, table=table)
    figure = _figure(report, result, output / folder)
    shown = None
    if figure:
        drawn = figure["svg"].read_bytes()
        figure["svg Chinese"] = output / folder / f"{name}.zh.svg"
        figure["svg Chinese"].write_bytes(in_chinese(drawn, words))
        shown = Markup(inline(drawn, words, name)) if len(drawn) < INLINE else None
    return {
        "id": name,
        "name": display_name(name),
        "title": result.title,
        "table": table,
        "figure": bool(figure),
        "inline": shown,
        "alt": describe(result) if figure else "",
        "files": [(_called(key), (folder / path.name).as_posix()) for key, path in (paths | figure).items()],
        "methods": sorted({model.method for model in result.specification.models}),
    }


def _contents(parts: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, int]]:
    """Anchor, title and depth of every part and exhibit."""
    found = []
    for each in parts:
        found.append((f"part-{each['id']}", str(each["title"]), 0))
        found += [(s["id"], f"{s['name']}. {s['title'].en}", 1) for s in each["sections"]]
    return found


def _figure(report: StudyReport, result: ExhibitResult, folder: Path) -> dict[str, Path]:
    """The pictures of an exhibit in ``folder``: taken from where they are drawn already, else drawn."""
    made = {suffix: f"{result.exhibit}.{suffix}" for suffix in FORMATS}
    if report.drawn is None or not all((report.drawn / name).is_file() for name in made.values()):
        return write_figure(result, report.study, folder)
    for name in made.values():
        shutil.copyfile(report.drawn / name, folder / name)
    return {suffix: folder / name for suffix, name in made.items()}


def _all_estimates(report: StudyReport, output: Path) -> dict[str, Any]:
    """The picture of every estimate side by side; nothing where there are too few."""
    study, folder = report.study, Path("files") / report.study.name
    printed = published(study.name, study.file.parent / "published")
    paths, words = all_estimates.write(study, report.results, printed, output / folder, is_sample=report.is_sample)
    if paths:
        drawn = in_chinese(paths["svg"].read_bytes(), Chinese(study_labels(study)))
        paths["svg Chinese"] = output / folder / "all_estimates.zh.svg"
        paths["svg Chinese"].write_bytes(drawn)
    files = [(_called(suffix), (folder / path.name).as_posix()) for suffix, path in paths.items()]
    return {"all_estimates": files, "all_estimates_alt": words}


def _map(report: StudyReport) -> dict[str, Any]:
    """The map by year and what its script is given; nothing where there is none."""
    if report.map is None:
        return {"map": None}
    label = report.map.outcome
    column = [label.en, label.zh] if report.map.column else None
    return {"map": report.map, "payload": {**report.map.data, "column": column}, "width": WIDTH, "height": HEIGHT}


#: What the files of a whole study are called on its page.
_DOWNLOADS = {
    "zip": "The whole study in one file",
    "dta": "Panel for Stata",
    "parquet": "Panel as Parquet",
    "csv": "Panel as CSV",
    "citation": "Citation",
    "bib": "Citation as BibTeX",
    "ris": "Citation as RIS",
}
#: Columns of the dictionary that its page shows, by their headings; the file has them all.
_DICTIONARY = {
    "column_name": "column",
    "label_en": "label",
    "unit": "unit",
    "definition": "meaning",
    "share_imputed": "share filled in",
    "minimum": "minimum",
    "mean": "mean",
    "maximum": "maximum",
}


def _dictionary(
    dictionary: pd.DataFrame,
    titles: Mapping[str, str],
    is_sample: bool,
    output: Path,
    explored: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """A part a panel; the flags of what was filled in stand in the file only."""
    folder = output / "files"
    folder.mkdir(parents=True, exist_ok=True)
    is_sample = is_sample or bool(dictionary["is_sample"].any())
    marked = dictionary.assign(data=SAMPLE) if is_sample else dictionary
    (folder / "dictionary.csv").write_text(safe_csv(marked), encoding="utf-8", newline="")
    shown = dictionary[~dictionary["column_name"].str.endswith(IMPUTED)]
    parts = []
    for name, rows in shown.groupby("study", sort=False):
        title = titles.get(str(name), f"Panel {name}")
        table = rows[list(_DICTIONARY)].rename(columns=_DICTIONARY)

        def leads(column: str, value: Any, row: dict[str, Any], panel: str = str(name)) -> str:
            own = explored.get(panel, ()) if column in ("column", "label") else ()
            return _variable_page(panel, row["column"], own)

        parts.append({"id": str(name), "title": title, "table": listing(table, title, leads)})
    labels = dict(zip(dictionary["label_en"].astype(str), dictionary["label_zh"].astype(str), strict=True))
    chinese = {english: zh for english, zh in labels.items() if english != zh}
    contents = [(part["id"], part["title"], 0) for part in parts]
    return {"title": "Data dictionary", "parts": parts, "labels": chinese, "contents": contents}


def _called(key: str) -> str:
    """What a file is called where it is linked: its format in capitals, or what it holds."""
    if key.endswith(" Chinese"):
        return f"{key.removesuffix(' Chinese').upper()} 中文"
    return key if " " in key else key.upper()


def _warehouse(missing: pd.DataFrame, warehouse: WarehouseReport, output: Path) -> dict[str, Any]:
    """``missing``: exhibits and columns that could not be made, with reasons."""
    rejects = warehouse.rejects
    by_rule, shown = None, None
    if len(rejects):
        counts = rejects.groupby("rule", sort=True).size().rename("rejected").reset_index()
        by_rule = listing(counts.sort_values(["rejected", "rule"], ascending=[False, True]), "Rejected, by rule")
        first = rejects.groupby("rule", sort=True, group_keys=False).head(REJECTS_SHOWN)
        first = first.sort_values("rule", kind="stable")
        # A message names file, sheet, row, column and value already; the file to take away keeps them apart.
        told = ["message"] if "message" in first.columns else [c for c in first.columns if c != "rule"]
        shown = listing(first[["rule", *told]], "The first of each rule")
    folder = output / "files" / "warehouse"
    folder.mkdir(parents=True, exist_ok=True)
    frames = {"rejects": rejects, "checks": warehouse.checks, "files": warehouse.files, "not_computed": missing}
    frames |= {"layers": warehouse.layers} | ({"planted_faults": warehouse.planted} if len(warehouse.planted) else {})
    for name, frame in frames.items():
        marked = frame.assign(data=SAMPLE) if warehouse.is_sample else frame
        (folder / f"{name}.csv").write_text(safe_csv(marked), encoding="utf-8", newline="")
    return {
        "title": "The warehouse",
        "contents": [
            ("layers", "Rows", 0),
            ("checks", "Checks", 0),
            ("rejects", "Rejects", 0),
            *([("planted", "Planted faults", 0)] if len(warehouse.planted) else []),
            ("missing", "What is missing", 0),
            ("files", "Files", 0),
        ],
        "layers": listing(warehouse.layers, "Rows by table"),
        "checks": listing(warehouse.checks, "Checks"),
        "planted": listing(warehouse.planted, "Planted faults, by kind of file and rule")
        if len(warehouse.planted)
        else None,
        "by_rule": by_rule,
        "rejects": shown,
        "shown": REJECTS_SHOWN,
        "files": listing(warehouse.files, "Files read"),
        "missing": listing(missing, "Not computed or not identified, and why") if len(missing) else None,
    }

"""What a publication hands out beside its site: the completed data dictionary, the descriptor of its Parquet, and for
each study its panel in other formats, its citation and one zip that holds everything.

What these contain is decided in `analysis.reporting`; here the files are gathered and put in their places.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from dagster_project import drawn, overlay
from dagster_project.paths import REFERENCE, Paths

if TYPE_CHECKING:
    from analysis.reporting.dictionary import Origin
    from analysis.studies.spec import Study

#: Below the candidate: files of the site, so that a copied site is complete; a link beside the data leads there.
FOLDER = Path("site") / "exports"


def complete_dictionary(paths: Paths, candidate: Path, studies: Sequence[Study]) -> pd.DataFrame:
    """Replace the candidate's panels.data_dictionary by one that has every column of every panel."""
    from analysis.reporting.dictionary import complete

    folder = candidate / "data" / "panels"
    names = ["city_year", *(name for study in studies for name in (study.name, *study.other_panels))]
    panels = _panels(candidate, names)
    made = folder / "data_dictionary.parquet"
    base = pd.read_parquet(made) if made.exists() else pd.DataFrame(columns=["study", "position", "column_name"])
    table = complete(base, panels, studies, origin(paths, candidate), is_sample=paths.is_sample)
    table.to_parquet(folder / "data_dictionary.parquet", index=False)
    return table


def origin(paths: Paths, candidate: Path) -> Origin:
    """Where values come from: formulas of the dbt models, and contracts of which this publication read a file."""

    from analysis.reporting.dictionary import Origin
    from dagster_project.ingest import contracts

    formulas = candidate / "data" / "lineage" / "formulas.parquet"
    ledger = candidate / "data" / "quality" / "files.parquet"
    read = set(pd.read_parquet(ledger)["source"]) if ledger.exists() else set()
    sources: dict[str, set[str]] = {}
    publishers = {}
    for contract in overlay.contracts(paths).values():
        if contract.source not in read:
            continue
        publishers[contract.source] = contract.publisher
        for indicator, _ in contracts.indicators_of(contract):
            sources.setdefault(indicator, set()).add(contract.source)
        if contract.kind != "yearbook":
            sources.setdefault(contract.kind, set()).add(contract.source)
    found: dict[str, Any] = {"formulas": pd.read_parquet(formulas)} if formulas.exists() else {}
    return Origin(
        **found,
        sources={name: sorted(those) for name, those in sources.items()},
        publishers=publishers,
        columns=overlay.catalogue(paths).columns,
    )


def write_descriptor(candidate: Path) -> Path:
    """datapackage.json beside the candidate's Parquet."""
    import pyarrow.parquet as pq

    from analysis.reporting.dictionary import descriptor

    data = candidate / "data"
    tables = {}
    for path in sorted(data.rglob("*.parquet")):
        columns = [(field.name, _frictionless(str(field.type))) for field in pq.read_schema(path)]
        content = path.read_bytes()
        tables[path.relative_to(data).as_posix()] = (columns, len(content), hashlib.sha256(content).hexdigest())
    about = json.loads((candidate / "publication.json").read_text())
    described = descriptor(pd.read_parquet(data / "panels" / "data_dictionary.parquet"), tables, about)
    target = data / "datapackage.json"
    target.write_text(json.dumps(described, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return target


def _frictionless(arrow: str) -> str:
    """The Frictionless type of an Arrow type."""
    if arrow.startswith(("int", "uint")):
        return "integer"
    if arrow.startswith(("double", "float", "halffloat", "decimal")):
        return "number"
    return {"bool": "boolean", "date32[day]": "date"}.get(
        arrow, "datetime" if arrow.startswith("timestamp") else "string"
    )


#: What each file of a study is, by its ending.
KINDS = {
    "zip": "zip",
    "dta": "dta",
    "parquet": "parquet",
    "csv": "csv",
    "citation": "citation.txt",
    "bib": "bib",
    "ris": "ris",
}


def present(candidate: Path, study: str) -> dict[str, str]:
    """What of a study lies in the site's folder of exports: kind -> path below the site."""
    found = {kind: f"{FOLDER.name}/{study}.{suffix}" for kind, suffix in KINDS.items()}
    return {kind: path for kind, path in found.items() if (candidate / "site" / path).exists()}


def export_study(paths: Paths, candidate: Path, study: Study, dictionary: pd.DataFrame) -> dict[str, str]:
    """Write a study's panel, citation and zip; returns kind -> path below the site."""
    from analysis.reporting import panel_files
    from analysis.reporting.archive import pack
    from analysis.reporting.tables import safe_csv

    about = json.loads((candidate / "publication.json").read_text())
    sample = bool(about["is_sample"]) and study.panel is None
    panels = _panels(candidate, (study.name, *study.other_panels))
    own = dictionary[dictionary["study"].isin(list(panels))]
    panel, more = handed_out(study, panels[study.name])
    said = labels(dictionary, study.name) | more
    made = {
        **panel_in(("dta", "csv", "parquet"), panel, said, study, about, is_sample=sample),
        "citation.txt": citation(study, about).encode(),
        "bib": bibtex(study, about).encode(),
        "ris": ris(study, about).encode(),
    }
    files = _inputs(paths, study)
    if drawn.reads(study, [exhibit.name for exhibit in study.exhibits]):
        panels |= drawn.city_year(candidate, study)
    files |= {f"panels/{name}.parquet": panel_files.parquet(frame, is_sample=sample) for name, frame in panels.items()}
    files |= {f"panels/{study.name}.dta": made["dta"], "CITATION.txt": made["citation.txt"]}
    files |= {"dictionary.csv": safe_csv(own).encode()} | _results(candidate, study.name)
    code = {kind: about[kind] for kind in ("code_sha256", "lock_sha256", "raw_sha256")}
    software = {"pilotcity": version("pilotcity"), **{name: version(name) for name in ("numpy", "pandas", "scipy")}}
    made["zip"] = pack(
        study.name, files, {"is_sample": sample, "publication": about["version"], "code": code, "software": software}
    )
    folder = candidate / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, content in made.items():
        (folder / f"{study.name}.{suffix}").write_bytes(content)
    _link(candidate)
    return present(candidate, study.name)


def labels(dictionary: pd.DataFrame, panel: str) -> dict[str, str]:
    """Column of a panel -> its label with its unit in brackets."""
    own = dictionary[dictionary["study"] == panel]
    units = {None, "", "text", "0 or 1", "true or false", "year"}
    return {
        str(row["column_name"]): str(row["label_en"]) + ("" if row["unit"] in units else f" [{row['unit']}]")
        for row in own.to_dict("records")
    }


def handed_out(study: Study | None, panel: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """A panel as other programs get it, and labels of the columns that it gets: names of city, province and region, and
    the groups, leads and interactions of the study's models, so that a script needs nothing else."""
    from analysis.reporting.panel_files import NAMES, named
    from analysis.studies.estimation_sample import with_made

    cities = pd.read_csv(REFERENCE / "cities.csv", dtype={"city_code": str, "province_code": str})
    if study is None:
        wide, called = panel, {}
    elif study.panel is not None:
        # its columns have names of their own, which the models' do not always share
        return named(panel, cities) if study.panel.cities else panel, {}
    else:
        wide = with_made(study, panel, cities)
        called = {str(name): study.label(str(name)).en for name in wide.columns if name not in panel.columns}
    names = {"city_zh": "City, in Chinese", "city_en": "City, romanised", "region": "Region of China"}
    names |= {"province_zh": "Province, in Chinese", "province_en": "Province, romanised"}
    return named(wide, cities), called | {name: names[name] for name in NAMES}


def panel_in(
    formats: Sequence[str],
    panel: pd.DataFrame,
    meanings: dict[str, str],
    study: Study | None,
    about: dict[str, Any],
    *,
    is_sample: bool,
) -> dict[str, bytes]:
    """A panel in formats of other programs (dta, csv, parquet, xlsx) with labels and notes on where it comes from."""
    from analysis.reporting import panel_files

    title = study.title.en if study else "Cities of China by year: every variable, as measured"
    keys = (study.panel.unit, study.panel.time) if study and study.panel else ("city_code", "year")
    notes = [f"pilotcity, publication {about['version']}, raw files {str(about['raw_sha256'])[:12]}."]
    notes += ["Definitions, units and sources of the columns: panels.data_dictionary, dictionary.csv of the zip."]
    notes += [citation(study, about).strip().replace("\n", " ")] if study else []
    made: dict[str, bytes] = {}
    for kind in formats:
        match kind:
            case "dta":
                made[kind] = panel_files.stata(panel, meanings, title, is_sample=is_sample, keys=keys, notes=notes)
            case "csv":
                made[kind] = panel_files.csv(panel, is_sample=is_sample).encode()
            case "parquet":
                made[kind] = panel_files.parquet(panel, is_sample=is_sample)
            case "xlsx":
                columns = pd.DataFrame({"column": map(str, panel.columns)})
                columns["meaning"] = [meanings.get(name, name) for name in columns["column"]]
                made[kind] = panel_files.excel(panel, is_sample=is_sample, about=columns)
    return made


def _link(candidate: Path) -> None:
    """Let exports/ beside the data lead to the site's; a candidate copied from a publication holds a folder there."""
    outside = candidate / FOLDER.name
    if not outside.is_symlink():
        shutil.rmtree(outside, ignore_errors=True)
        outside.symlink_to(FOLDER)


def _panels(candidate: Path, names: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Those of the named panels that the candidate has."""
    found = {name: candidate / "data" / "panels" / f"{name}.parquet" for name in names}
    return {name: pd.read_parquet(path) for name, path in found.items() if path.exists()}


def _inputs(paths: Paths, study: Study) -> dict[str, bytes]:
    """The specification and what it refers to."""
    from analysis.catalogue import INDICATORS, VARIABLES

    files = {f"study/{study.name}.yaml": study.file.read_bytes()}
    printed = study.file.parent / "published" / study.file.name
    if printed.exists():
        files[f"study/published/{printed.name}"] = printed.read_bytes()
    files["data/reference/cities.csv"] = overlay.cities_csv(paths)
    lists = overlay.policy_files(paths)
    if study.panel is not None:
        files[f"source/{study.name}{study.panel.path.suffix}"] = study.panel.path.read_bytes()
        files["data/reference/city_names.csv"] = (REFERENCE / "city_names.csv").read_bytes()
        return files
    # what an own folder adds to the catalogue: a formula or a column of the study may be one of these
    for name in (INDICATORS, VARIABLES):
        if (paths.own / name).exists():
            files[f"data/own/{name}"] = (paths.own / name).read_bytes()
    for policy in sorted({study.policy, *(other.policy for other in study.policies)}):
        files[f"data/policies/{lists[policy].name}"] = lists[policy].read_bytes()
    return files


def _results(candidate: Path, study: str) -> dict[str, bytes]:
    """The study's estimates, tables and figures as the candidate holds them."""
    import io

    from analysis.reporting.tables import safe_csv

    table = pd.read_parquet(candidate / "data" / "estimates" / "estimates.parquet")
    table = table[table["study"] == study].reset_index(drop=True)
    file = io.BytesIO()
    table.to_parquet(file, index=False)
    files = {"estimates.parquet": file.getvalue(), "estimates.csv": safe_csv(table).encode()}
    folder = candidate / "exhibits" / study
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_file() and not path.name.endswith((".estimates.parquet", ".surface.parquet")):
            files[f"tables/{path.name}"] = path.read_bytes()
    return files


def citation(study: Study, about: dict[str, Any]) -> str:
    """What to cite for a study, as text."""
    from analysis.printing.table import SAMPLE_NOTE

    paper = [f"{study.citation}{f' https://doi.org/{study.doi}' if study.doi else ''}"] if study.citation else []
    own = (
        f"pilotcity {version('pilotcity')}, study {study.name} ({study.title.en}), publication {about['version']}, "
        f"code {str(about['code_sha256'])[:12]}."
    )
    sample = [SAMPLE_NOTE] if about["is_sample"] and study.panel is None else []
    return "\n".join([*paper, own, *sample, ""])


def bibtex(study: Study, about: dict[str, Any]) -> str:
    """The paper behind a study and this publication of it as BibTeX."""
    entries = []
    fields = _paper(study)
    if fields:
        entries.append(_entry("article", f"{study.name}_paper", fields))
    own = {
        "author": "{pilotcity}",
        "title": f"{{{study.title.en}}}" + ("{ (SAMPLE DATA)}" if _is_sample(study, about) else ""),
        "version": str(about["version"]),
        "note": f"pilotcity {version('pilotcity')}, study {study.name}, code {str(about['code_sha256'])[:12]}",
    }
    return "\n".join([*entries, _entry("misc", study.name, own)])


def ris(study: Study, about: dict[str, Any]) -> str:
    """The same in the RIS format."""
    names = {"author": "AU", "year": "PY", "title": "TI", "journal": "JO", "doi": "DO"}
    fields = _paper(study)
    paper = []
    if fields:
        authors = [("AU", name) for name in fields.get("author", "").split(" and ") if name]
        rest = [(tag, fields[name]) for name, tag in names.items() if name in fields and name != "author"]
        paper = [("TY", "JOUR"), *authors, *rest, ("N1", fields["note"]), ("ER", "")]
    mark = " (SAMPLE DATA)" if _is_sample(study, about) else ""
    own = [("TY", "DATA"), ("AU", "pilotcity"), ("TI", f"{study.title.en}{mark}")]
    own += [
        ("ET", str(about["version"])),
        ("N1", f"study {study.name}, code {str(about['code_sha256'])[:12]}"),
        ("ER", ""),
    ]
    return "".join(f"{tag}  - {text}\r\n" for tag, text in [*paper, *own])


def _is_sample(study: Study, about: dict[str, Any]) -> bool:
    return bool(about["is_sample"]) and study.panel is None


def _paper(study: Study) -> dict[str, str]:
    """What can be told apart in the citation of the paper: Authors (year). Title. Journal; all of it is the note."""
    import re

    if not study.citation:
        return {}
    text = " ".join(study.citation.split())
    fields = {"note": text, **({"doi": study.doi} if study.doi else {})}
    found = re.match(r"(?P<author>.+?)[,.]? \(?(?P<year>(?:19|20)\d\d)\)?[.,:]? (?P<rest>.+)", text)
    if not found:
        return {"title": text, **fields}
    title, _, journal = found["rest"].partition(". ")
    authors = re.sub(r",? (?:and|&) ", " and ", found["author"])
    fields |= {"author": authors, "year": found["year"], "title": title.strip(" ."), "journal": journal.strip(" .")}
    return {name: value for name, value in fields.items() if value}


def _entry(kind: str, key: str, fields: dict[str, str]) -> str:
    inside = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
    return f"@{kind}{{{key},\n{inside}\n}}\n"

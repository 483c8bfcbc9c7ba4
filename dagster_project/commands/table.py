"""`pilotcity table`: a published table in the form that a journal or a co-author wants."""

from __future__ import annotations

import argparse
import pickle
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster_project.paths import REFERENCE, Paths, shown

if TYPE_CHECKING:
    import pandas as pd

    from analysis.studies.records import Shown, Study
    from analysis.studies.result import ExhibitResult

HELP = "a published table as text, LaTeX, Word, Excel, HTML, CSV, or the R or Stata that computes it"
#: Word after --format -> what the file is called after the exhibit's name; text is printed.
FORMATS = {
    "text": "",
    "md": "md",
    "tex": "tex",
    "html": "html",
    "docx": "docx",
    "xlsx": "xlsx",
    "csv": "csv",
    "r": "R",
    "stata": "do",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", help="name of a study")
    parser.add_argument("exhibit", help="name of a table or figure, as table_4")
    parser.add_argument("--format", default="text", metavar=",".join(FORMATS), help="one, or several with commas")
    parser.add_argument(
        "--show",
        action="append",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="rows=did,N,R² decimals=3 errors=se|t|p|interval|bootstrap|none published=no truth=no notes=no; "
        "else as the study's YAML says under the exhibit's table",
    )
    parser.add_argument("--language", choices=("en", "zh"), default="en")
    parser.add_argument("-o", "--out", type=Path, default=Path(), metavar="FOLDER", help="where files are written")


def main(paths: Paths, options: argparse.Namespace) -> int:
    """Print a table, or write it and say where."""
    from analysis.reporting.language import Chinese, study_labels, translate
    from analysis.reporting.tables import exhibit_table, text
    from analysis.studies.published import published

    formats = [word.strip().lower() for word in options.format.split(",")]
    unknown = [word for word in formats if word not in FORMATS]
    if unknown:
        raise ValueError(f"--format {unknown[0]}: expected {', '.join(FORMATS)}.")
    study, result, truth = computed(paths, options.study, options.exhibit)
    wanted = choices(result.specification.shown, [word for words in options.show for word in words])
    if wanted.errors == "bootstrap":
        result = bootstrapped(paths, study, result)
    printed = published(study.name, study.file.parent / "published")
    table = exhibit_table(result, study, printed=printed, truth=truth, shown=wanted)
    if options.language == "zh":
        table = translate(table, Chinese(study_labels(study)))
    for word in formats:
        if word == "text":
            print(text(table))
            continue
        language = "zh." if options.language == "zh" and word in ("tex", "html", "docx", "xlsx", "md") else ""
        target = options.out / f"{study.name}_{result.exhibit}.{language}{FORMATS[word]}"
        options.out.mkdir(parents=True, exist_ok=True)
        target.write_bytes(_content(word, table, study, result, truth, printed, options.language))
        print(shown(target))
    return 0


def _content(
    word: str, table: Any, study: Study, result: ExhibitResult, truth: pd.DataFrame | None, printed: Any, language: str
) -> bytes:
    from analysis.reporting import latex, office, scripts, tables

    match word:
        case "tex":
            return latex.latex(table, chinese=language == "zh").encode()
        case "docx":
            return office.docx(table)
        case "xlsx":
            return office.xlsx(table)
        case "html":
            return tables.html_document(table, "zh-Hans" if language == "zh" else "en").encode()
        case "csv":
            return tables.csv(result, printed=printed, truth=truth).encode()
        case "r":
            return scripts.r(study, result.specification, is_sample=result.is_sample).encode()
        case "stata":
            return scripts.stata(study, result.specification, is_sample=result.is_sample).encode()
    return tables.markdown(table).encode()


def choices(usual: Shown, words: list[str]) -> Shown:
    """What is to be shown: what the study says, with what is asked for in its place.

    Raises
    ------
    ValueError
        A key or a value that there is not, with those that there are.
    """
    from analysis.printing.table import BELOW

    known = {field.name for field in fields(usual)}
    chosen: dict[str, Any] = {}
    for word in words:
        key, sign, value = word.partition("=")
        if not sign or key not in known:
            raise ValueError(f"--show {word}: expected KEY=VALUE with a key of {', '.join(sorted(known))}.")
        if key == "rows":
            chosen[key] = tuple(part.strip() for part in value.split(",") if part.strip())
        elif key == "decimals":
            if not value.isdigit() or int(value) > 8:
                raise ValueError(f"--show {word}: expected a whole number from 0 to 8.")
            chosen[key] = int(value)
        elif key == "errors":
            if value not in BELOW:
                raise ValueError(f"--show {word}: expected {', '.join(BELOW)}.")
            chosen[key] = value
        elif value in ("yes", "no"):
            chosen[key] = value == "yes"
        else:
            raise ValueError(f"--show {word}: expected yes or no.")
    return replace(usual, **chosen)


def computed(paths: Paths, name: str, exhibit: str) -> tuple[Study, ExhibitResult, pd.DataFrame | None]:
    """A study as its YAML stands, a published exhibit's result, and what its models ought to find in the sample world.

    The result is the one that the last publication was made from, where it is kept; else it is computed again from the
    published panel.
    """
    import pandas as pd

    from analysis.studies import run, spec
    from analysis.studies.truth import true_effects
    from dagster_project import overlay, state
    from dagster_project.fingerprint import fingerprint

    study = spec.load(overlay.study_file(paths, name), overlay.known(paths))
    specification = study.exhibit(exhibit)
    if not paths.published.exists():
        raise FileNotFoundError("Nothing is published yet: run `make run` first.")
    panel, others = panels(paths, study)
    cities = pd.read_csv(REFERENCE / "cities.csv", dtype={"city_code": str})
    sample = paths.is_sample and study.panel is None
    kept = state.read_json(paths.results / "of.json")
    stored = paths.results / study.name / f"{exhibit}.pickle"
    current = {"publication": paths.published.resolve().name, "code": fingerprint(paths)["code"]}
    if kept == current and stored.exists():
        result, truth = pickle.loads(stored.read_bytes())
        if replace(result.specification, shown=specification.shown) == specification:
            return study, replace(result, specification=specification), truth
    result = run.run_exhibit(study, exhibit, panel, is_sample=sample, cities=cities, panels=others)
    ledger = paths.raw / "_truth" / "truth.parquet"
    truth = None
    if sample and ledger.exists():
        truth = true_effects(study, specification, panel, pd.read_parquet(ledger), cities)
    return study, result, truth


def panels(paths: Paths, study: Study) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """A study's published panel, and those over other years."""
    import pandas as pd

    folder = paths.published / "data" / "panels"
    if not (folder / f"{study.name}.parquet").exists():
        raise FileNotFoundError(f"The publication holds no panel of {study.name}: pilotcity run --studies {study.name}")
    others = {name: folder / f"{name}.parquet" for name in study.other_panels}
    held = {name: pd.read_parquet(path) for name, path in others.items() if path.exists()}
    return pd.read_parquet(folder / f"{study.name}.parquet"), held


def bootstrapped(paths: Paths, study: Study, result: ExhibitResult) -> ExhibitResult:
    """The same estimates with p values of the wild cluster bootstrap where the model is a two-way regression.

    Raises
    ------
    ValueError
        No model of the exhibit is one.
    """
    import pandas as pd

    from analysis.studies import run
    from dagster_project.progress import Screen

    models = [model for model in result.specification.models if model.method == "two_way"]
    models = [model for model in models if model.treatments == (model.treatment,) and len(model.cluster) == 1]
    if not models:
        raise ValueError(
            f"{result.exhibit} has no two-way regression on the treatment alone with one level of clusters, so "
            "there is no wild cluster bootstrap for it."
        )
    panel, others = panels(paths, study)
    cities = pd.read_csv(REFERENCE / "cities.csv", dtype={"city_code": str})
    asked = tuple(replace(model, method="wild_bootstrap", options={}) for model in models)
    exhibit = replace(result.specification, models=asked, tests=())
    with Screen() as screen:
        screen.doing(f"999 draws for each of {len(models)} columns")
        found = run.run_exhibit(
            replace(study, exhibits=(exhibit,)),
            result.exhibit,
            panel,
            is_sample=result.is_sample,
            cities=cities,
            panels=others,
        ).estimates
    drawn = found.set_index(["model", "term"])["p"].to_dict()
    keys = list(zip(result.estimates["model"], result.estimates["term"], strict=True))
    treated = {(model.label, model.treatment) for model in models}
    estimates = result.estimates.assign(
        p=[
            drawn[key] if key in treated and key in drawn else p
            for key, p in zip(keys, result.estimates["p"], strict=True)
        ],
        bootstrapped=[key in treated and key in drawn for key in keys],
    )
    return replace(result, estimates=estimates)

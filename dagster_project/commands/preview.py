"""`pilotcity preview`: tables of a study as its YAML now stands, computed from the last publication's panel.

Nothing is published and nothing in the warehouse is touched. What only a run can make anew is said, not guessed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dagster_project.paths import Paths, shown

if TYPE_CHECKING:
    import pandas as pd

    from analysis.studies.differences import PanelChange
    from analysis.studies.records import Exhibit, Study

HELP = "a study's tables as its YAML now stands, from the last publication's panel; publishes nothing"
#: Seconds of work after which the other exhibits that have changed are named instead of computed.
PATIENCE = 2.0
#: Seconds between two looks at a file that is watched.
INTERVAL = 0.3


@dataclass(frozen=True)
class Basis:
    """What a preview is computed from.

    Attributes
    ----------
    panel, others : the study's panel, and those over other years by name.
    before : the study as it was when the panel was made, or None where that cannot be told.
    change : what of the panel is no longer as the specification says.
    said : what a reader must know of the panel.
    estimates : what the publication holds of the study.
    """

    panel: pd.DataFrame
    others: dict[str, pd.DataFrame]
    before: Study | None
    change: PanelChange
    said: tuple[str, ...]
    estimates: pd.DataFrame


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", help="name of a study, as its YAML is called")
    parser.add_argument(
        "exhibit", nargs="?", help="a table or figure; without it those that the YAML changed, or the main table"
    )
    parser.add_argument("--watch", action="store_true", help="again at each saving of the YAML, until Ctrl-C")


def main(paths: Paths, options: argparse.Namespace) -> int:
    """Print the tables, and where the pictures lie; 1 where something asked for needs a run."""
    from dagster_project import overlay

    file = overlay.study_file(paths, options.study)
    if not options.watch:
        return preview(paths, file, options.exhibit)
    last: Study | None = None
    for _ in savings(file):
        try:
            last = show(paths, file, options.exhibit, last)[1]
        except (ValueError, FileNotFoundError, RuntimeError) as error:
            print(f"pilotcity: {error}", flush=True)
        print(f"Watching {shown(file)}; Ctrl-C ends it.\n", flush=True)
    return 0


def preview(paths: Paths, file: Path, exhibit: str | None) -> int:
    """One look: the exit code is 1 where nothing asked for could be computed."""
    return 0 if show(paths, file, exhibit, None)[0] else 1


def savings(file: Path) -> Iterator[bytes]:
    """The content of a file now, and each time it is another one; one that is just being replaced is waited for."""
    held: bytes | None = None
    while True:
        try:
            content = file.read_bytes()
        except OSError:
            content = held or b""
        if content != held:
            held = content
            yield content
        time.sleep(INTERVAL)


def show(paths: Paths, file: Path, wanted: str | None, last: Study | None) -> tuple[int, Study]:
    """Print what is asked for; returns how many exhibits were computed, and the study as it was read.

    ``last`` is the study at the look before: what differs from it is shown first.
    """

    from analysis.studies import spec
    from dagster_project import overlay

    study = spec.load(file, overlay.known(paths))
    basis = _basis(paths, study)
    for sentence in basis.said:
        print(sentence)
    cities = overlay.cities(paths, dtype={"city_code": str})
    computed, started = 0, time.process_time()
    exhibits = _exhibits(study, basis, wanted, last)
    for at, exhibit in enumerate(exhibits):
        if at and time.process_time() - started > PATIENCE:
            left = ", ".join(exhibit.name for exhibit in exhibits[at:])
            print(f"Changed too, and not shown: {left}. See one with: pilotcity preview {study.name} {exhibit.name}\n")
            break
        reasons = basis.change.stands_in_the_way(study, exhibit)
        if reasons:
            print(f"{exhibit.name} needs a run, since {'; '.join(reasons)}: pilotcity run\n")
            continue
        _print(paths, study, exhibit, basis, cities)
        computed += 1
    return computed, study


def _basis(paths: Paths, study: Study) -> Basis:
    """The panel and what is known of it: from the file of the study where it has one, else from the publication."""
    import pandas as pd

    from analysis.studies.differences import PanelChange, panel_change
    from dagster_project import overlay

    folder = paths.published.resolve()
    number = folder.name
    held = folder / "data" / "estimates" / "estimates.parquet"
    estimates = pd.read_parquet(held, filters=[("study", "==", study.name)]) if held.exists() else pd.DataFrame()
    archive = _archive(folder, study.name)
    before = _as_published(study.name, archive)
    if study.panel is not None:
        from analysis.panel_from_file import assemble

        made = assemble(study, overlay.known(paths).places)
        said = (f"From {study.panel.file} as it now is; nothing is published by this.", *made.notes)
        return Basis(made.panel, {}, before, PanelChange((), {}, {}), said, estimates)
    panels = folder / "data" / "panels"
    if not paths.published.exists() or not (panels / f"{study.name}.parquet").exists():
        raise FileNotFoundError(
            f"No publication holds a panel of {study.name!r} yet, so this needs a run: "
            f"pilotcity run --studies {study.name}"
        )
    others = {name: panels / f"{name}.parquet" for name in study.other_panels}
    said = (f"From the panel of publication {number}; nothing is published by this.",)
    if paths.is_sample:
        said = ("SAMPLE DATA: no number below is a finding.", *said)
    change = panel_change(before, study) if before else PanelChange((), {}, {})
    change = _with_inputs(paths, folder, archive, study, change)
    if before is None:
        said += (f"Publication {number} does not say how its panel was made: changed variables are not noticed.",)
    return Basis(
        pd.read_parquet(panels / f"{study.name}.parquet"),
        {name: pd.read_parquet(path) for name, path in others.items() if path.exists()},
        before,
        change,
        said,
        estimates,
    )


def _archive(folder: Path, name: str) -> dict[str, bytes]:
    """What a publication's zip of a study holds: path -> contents; nothing where there is none that can be read."""
    from analysis.reporting.archive import unpack

    try:
        return dict(unpack((folder / "site" / "exports" / f"{name}.zip").read_bytes()).files)
    except (OSError, ValueError):
        return {}


def _as_published(name: str, archive: Mapping[str, bytes]) -> Study | None:
    """The study as it was when a publication was made; None where this code cannot read what was stated then."""
    from analysis.studies.recomputation import specification

    try:
        return specification(name, archive) if archive else None
    except ValueError:
        return None


def _with_inputs(
    paths: Paths, folder: Path, archive: Mapping[str, bytes], study: Study, change: PanelChange
) -> PanelChange:
    """Also what the study does not say itself: formulas of the catalogue and lists of pilots, other than published."""
    import pandas as pd

    from dagster_project import overlay

    columns, rows = dict(change.columns), change.rows
    declared = folder / "data" / "lineage" / "formulas.parquet"
    if declared.exists():
        keys = ["layer", "name"]
        old = pd.read_parquet(declared).set_index(keys)["formula"].to_dict()
        new = overlay.catalogue(paths).formulas_table().set_index(keys)["formula"].to_dict()
        for variable in study.variables:
            for source in variable.uses or (variable.source,):
                one, other = old.get(("panel", source)), new.get(("panel", source))
                if other is not None and one != other:
                    columns.setdefault(variable.name, f"the formula of {source!r} behind {variable.name!r} has changed")
    lists = overlay.policy_files(paths)
    for policy in sorted({study.policy, *(other.policy for other in study.policies)} - {""}):
        held = archive.get(f"data/policies/{lists[policy].name}")
        if held is not None and held != lists[policy].read_bytes():
            rows = (*rows, f"the list {lists[policy].name} has changed")
    return replace(change, rows=rows, columns=columns)


def _exhibits(study: Study, basis: Basis, wanted: str | None, last: Study | None) -> list[Exhibit]:
    from analysis.studies.differences import exhibits_changed
    from analysis.studies.reading import nearest

    named = {exhibit.name: exhibit for exhibit in study.exhibits}
    if wanted is not None:
        if wanted not in named:
            like = nearest(wanted, named)
            hint = f"did you mean {like!r}?" if like else f"it has {', '.join(named)}."
            raise ValueError(f"{study.name!r} has no table or figure {wanted!r}; {hint}")
        return [named[wanted]]
    before = last or basis.before
    changed = exhibits_changed(before, study) if before else ()
    if changed:
        return [named[name] for name in changed]
    tables = [exhibit for exhibit in study.exhibits if exhibit.kind == "regression"] or list(study.exhibits)
    return tables[:1]


def _print(paths: Paths, study: Study, exhibit: Exhibit, basis: Basis, cities: pd.DataFrame) -> None:
    from analysis.reporting import figures, tables
    from analysis.studies.published import published
    from analysis.studies.run import run_exhibit
    from dagster_project.drawn import city_year, reads

    started = time.process_time()
    is_sample = paths.is_sample and study.panel is None
    behind = city_year(paths.published, study) if reads(study, [exhibit.name]) else {}
    panels = basis.others | behind
    result = run_exhibit(study, exhibit.name, basis.panel, is_sample=is_sample, cities=cities, panels=panels)
    printed = published(study.name, study.file.parent / "published")
    print(f"\n{tables.text(tables.exhibit_table(result, study, printed=printed))}")
    for line in moved(basis.estimates, result.estimates, exhibit):
        print(line)
    if exhibit.is_drawn:
        drawn = figures.write_figure(result, study, paths.data / "preview" / study.name)
        for path in drawn.values():
            print(f"Picture: {shown(path)}")
        if "png" in drawn:
            _open(drawn["png"])
    print(f"{exhibit.name}: {time.process_time() - started:.1f} s\n", flush=True)


def moved(before: pd.DataFrame, now: pd.DataFrame, exhibit: Exhibit) -> list[str]:
    """A line for each estimate of the policy that is not what the publication says."""
    if before.empty:
        return []
    keys = ["exhibit", "model", "term"]
    old = before.set_index(keys)["estimate"].to_dict()
    treatments = {model.label: model.treatments for model in exhibit.models}
    rows = now[[term in treatments.get(model, ()) for model, term in zip(now["model"], now["term"], strict=True)]]
    found = []
    for model, term, estimate in rows[["model", "term", "estimate"]].itertuples(index=False):
        was = old.get((exhibit.name, model, term))
        if was is None or was != was:
            continue
        if not abs(estimate - was) <= 1e-9 * max(1.0, abs(was)):
            found.append(f"{term}, {model}: {was:.4f} -> {estimate:.4f} (published -> now)")
    return found or ["The policy's estimates are what the publication says."] if len(rows) else []


def _open(picture: Path) -> None:
    """Show a picture where a person sits at a screen; elsewhere its path is enough."""
    import os
    import shutil

    opener = "open" if sys.platform == "darwin" else "xdg-open"
    screen = sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if sys.stdout.isatty() and screen and shutil.which(opener):
        subprocess.Popen([opener, str(picture)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

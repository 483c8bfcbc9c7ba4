"""A whole run on the sample world, and what happens around it: readers, a second run, a failed one, the same bytes."""

from __future__ import annotations

import hashlib
import re
import time
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from lxml import html

from analysis.did import two_way
from analysis.simulation import detection
from analysis.studies import spec
from analysis.studies.result import COLUMNS
from analysis.studies.truth import true_effects
from dagster_project.checks import checks_table

pytestmark = pytest.mark.xdist_group("sample")

NO_FINDING = ("SAMPLE DATA", "样本数据")
#: A run of the gate alone, in which the panel of clusters lacks a city that the lists promise.
BROKEN = """
import sys
from dagster_project import definitions
from dagster_project.assets import warehouse

true, build = warehouse.promised, definitions.build

def promised(paths, study):
    cities, pilots = true(paths, study)
    return cities + (study.name == "innovative_clusters"), pilots

class Gate:
    def __init__(self, *arguments):
        self.built = build(*arguments)

    def resolve_job_def(self, name):
        job = self.built.resolve_job_def(name)
        (check,) = [
            key for key in job.asset_layer.asset_graph.asset_check_keys
            if key.asset_key.path[-1] == "innovative_clusters" and key.name == "must_hold"
        ]
        behind = [key for key in job.asset_layer.selected_asset_keys if "candidate" in key.path]
        return job.get_subset(asset_selection={*behind}, asset_check_selection={check})

warehouse.promised, definitions.build = promised, Gate
from dagster_project.cli import main
sys.exit(main(["run", "--force"]))
"""


def test_a_run_ends_well_and_says_what_it_did_line_by_line(first):
    _, finished = first
    assert finished.code == 0, finished.out + finished.err
    lines = finished.out.splitlines()
    assert lines[0].startswith("pilotcity: sample data -> ")
    steps = [re.fullmatch(r"  \[ *(\d+)/(\d+)\] (\S+) +[\d.]+ s(?:  (\S.*))?", line) for line in lines]
    steps = [step for step in steps if step]
    total = int(steps[0][2])
    assert [int(step[1]) for step in steps] == list(range(1, total + 1))
    assert {step[3]: step[4] for step in steps}["raw__patent_records"] == "read 19 files"
    assert re.search(r"^Published in \d+ s\. Report: .*index\.html$", finished.out, re.MULTILINE)
    assert "Traceback" not in finished.err


def test_what_is_published_lies_where_it_is_promised(sample):
    data = sample.paths.data
    assert (data / "published").is_symlink()
    assert (data / "published" / "pilotcity.duckdb").is_file()
    assert (data / "reports" / "index.html").is_file()
    tables = sample.query("select table_schema || '.' || table_name as name from information_schema.tables").name
    studies = set(spec.catalogue())
    expected = {f"panels.{name}" for name in ("city_year", "data_dictionary", "publication", *studies)}
    assert expected | {"estimates.estimates", "quality.rejects"} <= set(tables)
    assert set(sample.query("select schema_name from information_schema.schemata").schema_name) >= {
        "panels",
        "scores",
        "estimates",
    }
    columns = sample.query("describe estimates.estimates").column_name
    assert (
        list(columns)
        == COLUMNS
        == [*("study", "exhibit", "model", "term", "estimate", "se", "p", "n", "r2", "status", "reason", "is_sample")]
    )


def test_the_publication_says_what_it_was_made_of(sample):
    about = sample.query("select * from panels.publication")
    assert len(about) == 1
    assert bool(about.is_sample[0])
    assert re.fullmatch("[0-9a-f]{12}", about.version[0])
    assert all(re.fullmatch("[0-9a-f]{64}", about[f"{kind}_sha256"][0]) for kind in ("raw", "code", "lock"))
    assert sample.query("select bool_and(is_sample) as every from estimates.estimates").every[0]


def test_every_panel_carries_its_keys_adoption_and_treatment(sample):
    for name, path in spec.catalogue().items():
        study = spec.load(path)
        panel = sample.panel(name)
        assert {"city_code", "year", "adoption", study.treatment} <= set(panel.columns)
        assert set(panel[study.treatment]) == {0, 1}
        assert not panel.duplicated(["city_code", "year"]).any()
        assert (panel.year.min(), panel.year.max()) == study.years
        documented = sample.query(f"select column_name from panels.data_dictionary where study = '{name}'").column_name
        assert set(documented) == set(panel.columns)
        for variable in study.variables:
            if variable.interpolate != "none":
                assert f"{variable.name}__imputed" in panel


def test_parquet_and_duckdb_hold_the_same_rows(sample):
    published = sample.paths.published.resolve()
    # what trace reads is in Parquet alone
    files = [path for path in sorted((published / "data").rglob("*.parquet")) if path.parent.name != "lineage"]
    assert len(files) >= 8
    with duckdb.connect() as connection:
        connection.execute(f"attach '{published / 'pilotcity.duckdb'}' as published (read_only)")
        for path in files:
            table = f'published.{path.parent.name}."{path.stem}"'
            parquet = f"read_parquet('{path}')"
            for left, right in ((table, parquet), (parquet, table)):
                assert connection.execute(f"from {left} except all from {right}").fetchall() == [], table


def table_4(sample):
    study = spec.load(spec.catalogue()["innovative_clusters"])
    rows = sample.query(
        "select * from estimates.estimates where study = 'innovative_clusters' and exhibit = 'table_4' and term = 'did'"
    )
    return study, study.exhibit("table_4"), sample.panel("innovative_clusters"), rows.set_index("model")


def test_a_published_estimate_is_the_estimator_on_the_published_panel(sample):
    _, exhibit, panel, rows = table_4(sample)
    for model in exhibit.models:
        found = two_way(panel, model.outcome, "did", model.controls, unit="city_code", time="year").table.loc["did"]
        published = rows.loc[model.label]
        np.testing.assert_allclose(
            published[["estimate", "se", "p"]].astype(float), found[["estimate", "se", "p"]], rtol=1e-10
        )
    reader = sample.query("select * from panels.innovative_clusters")
    again = two_way(reader, "gti1", "did", exhibit.models[1].controls, unit="city_code", time="year")
    np.testing.assert_allclose(again.table.loc["did", "estimate"], rows.loc["(2)", "estimate"], rtol=1e-10)


def test_the_estimates_of_the_baseline_lie_near_the_truth_that_was_simulated(sample):
    study, exhibit, panel, rows = table_4(sample)
    truth = pd.read_parquet(sample.paths.raw / "_truth" / "truth.parquet")
    true = true_effects(study, exhibit, panel, truth).set_index("model").truth
    for label in ("(2)", "(4)"):
        assert abs(rows.estimate[label] - true[label]) < 2.6 * rows.se[label], label
        assert rows.p[label] < 0.05


def test_the_outcomes_of_the_panel_are_the_counts_that_were_simulated(sample):
    truth = pd.read_parquet(sample.paths.raw / "_truth" / "truth.parquet")
    panel = sample.panel("innovative_clusters").merge(truth, on=["city_code", "year"], suffixes=("", "_true"))
    assert len(panel) == 281 * 16
    for outcome in ("gti1", "gti2"):
        np.testing.assert_allclose(panel[outcome], panel[f"{outcome}_y1"], rtol=1e-12)


def test_every_planted_fault_is_caught_by_its_rule_and_nothing_else_is_set_aside(sample):
    planted = detection.read_ledgers(sorted((sample.paths.raw / "_truth").glob("*faults.csv")))
    rejects = sample.query("select * from quality.rejects")
    found = detection.planted_and_caught(planted, rejects)
    assert set(found["files"]) == {"yearbook", "patents", "cases"}
    assert found.planted.sum() == len(planted) > 3000
    assert found[found.caught < found.planted].empty, found
    assert found[found.false_alarms > 0].empty, found
    # a rule that sets records aside is named once for each, whatever the table groups
    records = sample.query(
        "select sum(rejected)::bigint as n from quality.layers where files in ('patents', 'court cases')"
    )
    assert records.n[0] == (~planted.file.str.startswith("yearbook")).sum()
    page = (sample.paths.reports / "warehouse.html").read_text(encoding="utf-8")
    assert "Planted faults" in page
    assert "granted before filing" in page


def test_every_rule_of_every_layer_holds_on_the_sample_world(sample):
    found = checks_table(sample.paths)
    assert set(found.table.str.split(".").str[0]) == {"raw", "staging", "intermediate", "panels"}
    assert len(found) > 100
    assert found[found.holds != "yes"].empty, found[found.holds != "yes"].to_string()
    page = (sample.paths.reports / "checks.html").read_text(encoding="utf-8")
    assert f"{len(found)} hold, 0 warn, 0 failed." in page
    assert "staging.agreement" in page
    index = (sample.paths.reports / "data_docs" / "index.html").read_text(encoding="utf-8")
    assert "staging.agreement" in index


def test_the_digital_infrastructure_of_cities_groups_them(sample):
    where = "study = 'ai_pilot_zones' and exhibit = 'table_8' and term = 'ai_x_infra'"
    rows = sample.query(f"select * from estimates.estimates where {where}")
    assert {"(3)", "(3t)"} <= set(rows.model)
    assert not rows.status.eq("not computed").any()
    digital = sample.panel("ai_pilot_zones").digital
    assert digital.notna().mean() > 0.99
    assert digital.between(0, 1).all()


def test_every_page_and_table_says_that_the_data_are_a_sample(sample):
    published = sample.paths.published.resolve()
    texts = [
        path
        for folder in ("site", "exhibits")
        for path in (published / folder).rglob("*")
        if path.suffix in {".html", ".md", ".csv", ".tex", ".txt"}
        # a list of specifications is written before any data are read
        and not path.name.endswith(".specifications.csv")
    ]
    assert len(texts) > 30
    unmarked = [path for path in texts if not any(mark in path.read_text(encoding="utf-8") for mark in NO_FINDING)]
    assert not unmarked
    for path in (sample.paths.raw, sample.paths.raw / "yearbook", sample.paths.raw / "patents"):
        assert (path / "SAMPLE_DATA.txt").is_file()


def test_no_page_fetches_anything_from_elsewhere(sample):
    for path in (sample.paths.reports.resolve()).rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        fetched = re.findall(
            r"<(?:link|script|img|iframe|source)\b[^>]*?(?:href|src)=[\"']?((?:https?:)?//[^\s\"'>]*)", page
        )
        assert not fetched, path
        assert not re.search(r"@import|url\(\s*['\"]?(?:https?:)?//", page), path


#: Four words of English in a row; a name that has no Chinese, and what leads those who read none away.
ENGLISH = re.compile(r"(?:[A-Za-z][A-Za-z'’-]*[ ,]+){3,}[A-Za-z][A-Za-z'’-]*")
NAMES = ("Kleibergen-Paap rk Wald F", "Show this page in English")


def chinese_texts(element):
    """What a page shows in Chinese, apart from code and citations."""
    if not isinstance(element.tag, str) or element.tag in ("script", "style", "code", "pre", "cite"):
        return
    if "in-en" in element.get("class", "").split():
        return
    yield (element.get("data-zh") if element.get("data-of") == "text" else element.text) or ""
    for attribute in ("alt", "aria-label", "title"):
        yield (element.get("data-zh") if element.get("data-of") == attribute else element.get(attribute)) or ""
    for below in element:
        yield from chinese_texts(below)
        yield below.tail or ""


def test_no_english_sentence_stays_on_a_chinese_page(sample):
    pages = [path for path in sample.paths.reports.glob("*.html") if not path.name.startswith("help")]
    assert len(pages) > 10
    left = []
    for path in pages:
        for text in chinese_texts(html.parse(str(path.resolve())).getroot()):
            said = ENGLISH.search(" ".join(text.split()))
            left += [(path.name, said[0])] if said and said[0] not in NAMES else []
    assert left == []


def test_what_could_not_be_computed_says_why(sample):
    without = sample.query("select * from estimates.estimates where status != 'ok'")
    assert without.reason.notna().all()
    assert without.reason.str.endswith(".").all()
    assert (
        sample.query("select count(*) as n from estimates.estimates where status = 'ok' and estimate is null").n[0] == 0
    )


def test_the_answer_key_is_no_source(sample):
    files = sample.query("select file from quality.files").file
    assert not files.str.contains("_truth").any()


def test_a_second_run_says_at_once_that_nothing_has_changed(sample):
    finished = sample.run("run")
    assert finished.code == 0
    assert finished.out.startswith("Nothing has changed since the last publication: ")
    assert finished.seconds < 15


#: The study that is computed once more.
AGAIN = "innovative_clusters"
#: Tables with rows of every study.
OF_ALL = {"treatments", "data_dictionary", "changes", "checks", "estimates", "agreement", "surface"}


def digests(sample) -> dict[str, str]:
    published = sample.paths.published.resolve()
    files = [published / "pilotcity.duckdb", *(published / "data").rglob("*.parquet")]
    files += (published / "exhibits" / AGAIN).iterdir()
    return {str(path.relative_to(published)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="session")
def forced(sample):
    """A forced second run of one study, with readers and another run beside it: what each of them saw.

    Of everything it is compared in `make benchmark`.
    """
    before = digests(sample)
    estimates = sample.query(f"from estimates.estimates where study = '{AGAIN}'")
    process = sample.start("run", "--force", "--studies", AGAIN)
    busy = None
    answers, refused = 0, []
    while process.poll() is None:
        time.sleep(1)
        try:
            answers += len(sample.query("select count(*) as n from panels.city_year"))
        except (OSError, duckdb.Error) as error:
            refused.append(repr(error))
        if busy is None and (sample.paths.run_lock).exists() and answers == 5:
            busy = sample.run("run", "--force")
    out, err = process.communicate()
    return {
        "before": before,
        "estimates": estimates,
        "code": process.returncode,
        "out": out + err,
        "answers": answers,
        "refused": refused,
        "busy": busy,
    }


def test_the_same_inputs_give_the_same_bytes(sample, forced):
    assert forced["code"] == 0, forced["out"]
    assert sample.paths.published.resolve().name == "2"
    now = {name: sha for name, sha in digests(sample).items() if Path(name).stem not in {*OF_ALL, "pilotcity"}}
    assert len(now) > 300
    assert {"data/panels/city_year.parquet", f"data/panels/{AGAIN}.parquet"} <= set(now)
    assert {name: forced["before"].get(name) for name in now} == now
    pd.testing.assert_frame_equal(sample.query("from estimates.estimates"), forced["estimates"])


def test_readers_are_answered_while_a_run_goes_on(forced):
    assert forced["answers"] > 10
    assert forced["refused"] == []


def test_of_two_runs_at_once_the_second_says_so_and_leaves_the_first_alone(forced):
    assert forced["busy"].code == 1
    assert "Another run is going on" in forced["busy"].err
    assert "Traceback" not in forced["busy"].err


def test_a_panel_that_fails_a_blocking_check_is_not_published(sample, forced):
    before = digests(sample)
    finished = sample.run(program=BROKEN)
    assert finished.code == 1
    assert "nothing was published and readers keep what they had" in finished.err
    assert "innovative_clusters" in finished.err
    assert "4512 rows: 4496" in finished.err
    assert "Traceback" not in finished.err
    assert sample.paths.published.resolve().name == "2"
    assert digests(sample) == before


def test_after_a_failed_run_the_last_publication_can_be_rolled_back(sample, forced):
    finished = sample.run("rollback")
    assert finished.code == 0, finished.err
    assert sample.paths.published.resolve().name == "1"
    assert len(sample.query("from panels.publication")) == 1

"""The R script and the do-file beside a table: that R finds the same numbers, and what neither can compute is said."""

from __future__ import annotations

import io
import re
import shutil
import subprocess

import pandas as pd
import pytest

from analysis.reporting import panel_files, scripts
from analysis.studies.estimation_sample import with_made


def test_every_column_of_a_table_has_a_command_or_says_why_not(study):
    for exhibit in study.exhibits:
        for text in (scripts.r(study, exhibit, is_sample=True), scripts.stata(study, exhibit, is_sample=True)):
            assert "SAMPLE DATA" in text.splitlines()[0]
            for model in exhibit.models:
                assert model.method in scripts.NEEDS or f"{model.method} has no counterpart" in text


def test_the_do_file_says_the_sample_effects_and_clusters_of_a_column(study):
    text = scripts.stata(study, study.exhibit("table_7"), is_sample=False)
    assert "keep if large == 1\nreghdfe y did x, absorb(city year) vce(cluster city)" in text
    assert "reghdfe y did did_lead_1 x twice" in text
    assert "reghdfe y did_x_large x" in text
    events = scripts.stata(study, study.exhibit("figure_1"), is_sample=False)
    assert "reghdfe y lead2 lag0 lag1 lag2 x, absorb(city year)" in events and "test lead2" in events
    staggered = scripts.stata(study, study.exhibit("table_4"), is_sample=False)
    assert re.search(r"csdid y(?: x)?, ivar\(city\) time\(year\) gvar\(first\)( notyet)? agg\(simple\)", staggered)
    assert "did_imputation y city year adoption, autosample controls(x)" in staggered


@pytest.mark.skipif(not shutil.which("Rscript"), reason="R is not installed")
@pytest.mark.parametrize("name", ["table_2", "table_7", "figure_1"])
def test_r_computes_the_same_from_the_exported_panel(study, panel, results, tmp_path, name):
    exported = with_made(study, panel, None)
    exported = exported.drop(columns=[column for column in exported if exported[column].isna().all()])
    (tmp_path / "trial.csv").write_text(panel_files.csv(exported, is_sample=True), encoding="utf-8", newline="")
    exhibit = study.exhibit(name)
    script = scripts.r(study, exhibit, is_sample=True)
    # the third column of table 2 has a control that no source provides
    script = script.partition("# (3): y")[0] if name == "table_2" else script
    write = 'for (m in names(results)) write.csv(cbind(model = m, results[[m]]), paste0(make.names(m), ".out"))'
    (tmp_path / "t.R").write_text(f"{script}\n{write}\n", encoding="utf-8")
    made = subprocess.run(["Rscript", "t.R"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert made.returncode == 0, made.stderr
    found = pd.concat([pd.read_csv(path) for path in tmp_path.glob("*.out")]).set_index(["model", "term"])
    stated = results[name].estimates.set_index(["model", "term"])
    compared = 0
    for key in found.index.intersection(stated.index):
        row = stated.loc[key]
        if row["status"] == "ok" and row["se"] > 0:
            assert found.loc[key, "estimate"] == pytest.approx(row["estimate"], rel=1e-7, abs=1e-10), key
            assert found.loc[key, "se"] == pytest.approx(row["se"], rel=1e-6), key
            assert found.loc[key, "n"] == row["n"]
            compared += 1
    assert compared >= {"table_2": 2, "table_7": 3, "figure_1": 4}[name]


def test_what_a_script_reads_has_every_column_that_it_names(study, panel):
    exported = with_made(study, panel, None)
    assert {"large", "did_x_large", "did_lead_1"} <= set(exported.columns)
    assert len(exported) == len(panel) and list(exported.columns[: len(panel.columns)]) == list(panel.columns)
    with pd.io.stata.StataReader(io.BytesIO(panel_files.stata(exported, {}, "t", is_sample=True))) as reader:
        names = set(reader.read(convert_categoricals=False).columns) | {"city", "since", "first"}
    text = scripts.stata(study, study.exhibit("table_7"), is_sample=True)
    for line in re.findall(r"(?m)^reghdfe (.*),", text):
        assert set(line.split()) <= names

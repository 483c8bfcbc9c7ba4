"""README.md of the coverage study, written from coverage.csv and bias.csv. Nothing is simulated here."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from cells import CELLS, LAGS, LEADS, SEED, design_hash

TEXT = """# Coverage and bias, where the truth is known

Written by `make coverage` (design {design}, seed {seed}); do not edit. `coverage.csv` and `bias.csv` hold the tables in
full, `slice.csv` the first panels of each cell number by number, and `test_coverage.py` checks all three.

Thousands of panels are drawn with effects that are known (`analysis/simulation/panels.py`). Each estimator's 95%
interval is held against **its own estimand**: what it would report if there were no noise. A test of a null that is
true stands in the same table: it covers when it does not reject at 5%.

## The panels

Unless a line below says otherwise: {default}. Errors follow an autoregression of first order within the unit
(autocorrelation 0.5, standard deviation 1); units are drawn anew for every panel, with their cohorts, and levels are
higher for units that adopt.

{cells}

## What is asserted

With P panels the Monte Carlo error of a coverage of 95% is sqrt(0.95 x 0.05 / P): 0.49 points for 2,000.

- **exact**: within three Monte Carlo errors of 95%.
- **conservative**: at least 94%, because the standard error is meant to be too large:
{conservative}
- **reported**: nothing is asserted, because theory promises nothing:
{reported}

## What is true

- `two_way`: the sum of w tau, w the residualised treatment over its sum of squares (de Chaisemartin and
  D'Haultfoeuille 2020). `event_study`: the coefficients that its own regression gives the effects (window -{leads} to
  +{lags}, ends binned); with growing effects these are not the average effects by period, and leads are not zero.
- *population*: effects and shares of cohorts that units are drawn from. `callaway_santanna` estimates this: its
  standard error counts that cohort shares are estimated. So does the clustered error of a two-way regression, because
  what effects' differences leave in its residuals is the spread of the estimate over draws of units.
- *these units*: the effects that the units of the panel happen to have, averaged with their own weights.
- *these cohorts*: the mean effects of cohorts and times, weighted by the cohorts' sizes in the panel: what
  `sun_abraham` and `imputation` estimate, which take the sizes as given.
- Matching: the average effect on the treated in the population (by quadrature), and of the treated units at hand.
- Where effects are all one (*the effect*) these coincide.

## Coverage
{coverage}

## Few treated clusters

Clustered standard errors are too small when few clusters are treated (MacKinnon and Webb 2017); reported, not asserted.
{few}

## Bias under heterogeneous effects

Distance of each estimate from the average effect on the treated units of the same panel. Effects grow with time and
early adopters gain more; `two_way` takes early adopters as controls for late ones ("Later vs Earlier Treated" in the
Bacon decomposition), so that growth is subtracted. Its interval still covers its own estimand above: it is the estimand
that is not the average effect.

{bias}

Numbers without an interval, mean over panels:

{described}

## Run it again

`make coverage`: two processes at low priority, about half an hour on two busy cores. Finished chunks are kept in
`chunks/` and used again as long as the code of the estimators, of the panels and of `cells.py` is the same, so an
interrupted run goes on where it stopped. Panel k of a cell has the seed (study's seed, checksum of the cell's name, k):
neither the order of cells nor the number of processes matters.
"""

DESCRIPTIONS = {
    "homogeneous": "every effect is 1.",
    "heterogeneous": "effects start at 1.0, 0.7, 0.4 and grow by 0.3, 0.2, 0.1 a time for the cohorts of 4, 6 and 8; "
    "units spread around them with standard deviation 0.5, constant over time.",
    "conditional": "400 units; effects are 1; one unit of x raises the log odds of adoption by 0.5 and y by 0.1 a "
    "time; two-way methods control for x times time, Callaway and Sant'Anna for x.",
    "conditional, 200 units": "the same with 200 units.",
    "groups": "effects are 1; two groups of units at random.",
    "drifting": "8 times, half of the units adopt at 5, and treated units drift up by 0.1 a time all along; effects "
    "are 1.",
    "drifting, relative bounds": "the same; fewer panels because these intervals are slow.",
    "instrument": "200 units choose treatment from time 6 on by z + z2 / 2 + v > 0; v also moves the outcome.",
    "weak instrument": "the same with 0.08 (z + z2 / 2) + v > 0.",
    "matching on one covariate": "1,000 units, logit of treatment -1.2 + 0.5 x1, effect 1 + 0.5 x1, y curved in x1.",
    "matching on two covariates": "the same with 0.5 x1 + 0.4 x2.",
    "many treated": "as homogeneous; 399 bootstrap draws, 99 permutations of groups.",
    "18 of 286 treated": "286 units, 9 times, cohorts of 8, 7 and 3 units; effects are 1; 399 bootstrap draws.",
    "5 of 286 treated": "the same with 5 units that adopt at 5.",
    "1,000 units": "as homogeneous with 1,000 units.",
    "synthetic": "250 units, of which 30 adopt at 5 (effect 1, growing by 0.3) and 20 at 7 (0.4, by 0.1); 100 placebo "
    "draws; fewer panels because each takes a second.",
}

WHY_CONSERVATIVE = """\
  - `two_way`, `event_study` and `sun_abraham` against *these units*: their errors hold the spread of effects between
    units (and for the regressions between cohorts), which is not an error when the effects of these units are wanted.
  - `imputation` against *these units*: the error of Borusyak, Jaravel and Spiess (2024, theorem 3) takes the spread of
    effects within a cohort and time for noise, because nothing can tell them apart.
  - `synthetic` with the jackknife: leaving out units of one cohort moves the average between cohorts' effects, which
    differ; fixed sizes do not. `two_way` beside it for the same reason.
  - `match` against *these units*: the variance is that for the population (Abadie and Imbens 2006, theorem 7). Radius
    and kernel: psmatch2's formula counts what covariates explain of the outcome as noise.
  - `honest` with a bound above what the drift needs: it insures against more than is there."""

WHY_REPORTED = """\
  - the uniform band of `callaway_santanna` with 200 units: 95% of it is a matter of large samples (thirteen periods at
    once, no small-sample factor, as in the R package did); with 1,000 units it is asserted;
  - few treated clusters (own table), and standard errors that take autocorrelated errors as independent;
  - `two_way` where its assumption fails on purpose: x ignored, treatment endogenous; `event_study` under drift;
  - two-stage least squares and Hansen's J with weak instruments (the Anderson-Rubin set is asserted, with its
    small-sample form; the chi-squared form, ivreg2's default, is a little too narrow with 200 clusters);
  - `callaway_santanna` given x with 200 units: forty units a cohort are few for a propensity score, and the error is a
    few per cent too small; with 400 units it is asserted;
  - matching on an estimated score of several covariates, where the variance that takes it as known may be too large or
    too small (Abadie and Imbens 2016), and matching without replacement, where late treated units get poor matches."""

HEADS = {
    "estimator": "estimator",
    "quantity": "quantity",
    "estimand": "estimand",
    "truth": "truth",
    "estimate": "mean estimate",
    "sd": "sd",
    "mean_se": "mean se",
    "coverage": "coverage",
    "rule": "rule",
    "holds": "holds",
}


def write_readme(folder: Path) -> None:
    """README.md from the tables stored in the folder."""
    (folder / "README.md").write_text(readme(folder), encoding="utf-8")


def readme(folder: Path) -> str:
    """The text of README.md."""
    coverage, bias = pd.read_csv(folder / "coverage.csv"), pd.read_csv(folder / "bias.csv")
    few = [cell.name for cell in CELLS if cell.run.__name__ == "few_treated"]
    many = [cell.name for cell in CELLS if cell.name not in few]
    aimed = bias["att"].notna()
    return TEXT.format(
        design=design_hash(),
        seed=SEED,
        leads=LEADS,
        lags=LAGS,
        default="200 units, 10 times, cohorts that adopt at 4, 6 and 8 with chances 0.2 each, the rest never treated",
        cells="\n".join(f"- **{cell.name}** ({cell.panels:,} panels): {DESCRIPTIONS[cell.name]}" for cell in CELLS),
        conservative=WHY_CONSERVATIVE,
        reported=WHY_REPORTED,
        coverage="\n".join(_coverage_section(coverage, name) for name in many),
        few="\n".join(_coverage_section(coverage, name) for name in few),
        bias=_bias_table(bias[aimed]),
        described=_described_table(bias[~aimed]),
    )


def _coverage_section(table: pd.DataFrame, cell: str) -> str:
    rows = table[table["cell"] == cell]
    panels, error = int(rows["panels"].iloc[0]), rows["error"].iloc[0]
    shown = rows[list(HEADS)].copy()
    for name in ("truth", "estimate", "sd", "mean_se"):
        shown[name] = rows[name].map(lambda value: "" if pd.isna(value) else f"{value:.3f}")
    shown["coverage"] = rows["coverage"].map("{:.2%}".format)
    head = f"\n### {cell}\n\n{panels:,} panels, Monte Carlo error {error:.2%}.\n\n"
    return head + _markdown(shown.fillna("").rename(columns=HEADS))


def _bias_table(table: pd.DataFrame) -> str:
    shown = table[["cell", "estimator"]].copy()
    shown["average effect"] = table["att"].map("{:.3f}".format)
    shown["mean estimate"] = table["estimate"].map("{:.3f}".format)
    shown["bias"] = table["bias"].map("{:+.4f}".format)
    shown["Monte Carlo error"] = table["error"].map("{:.4f}".format)
    shown["bias, % of the effect"] = (table["bias"] / table["att"]).map("{:+.1%}".format)
    return _markdown(shown)


def _described_table(table: pd.DataFrame) -> str:
    shown = table[["cell", "estimator", "quantity"]].copy()
    shown["mean"] = table["estimate"].map("{:.3f}".format)
    return _markdown(shown)


def _markdown(table: pd.DataFrame) -> str:
    lines = ["| " + " | ".join(table.columns) + " |", "|" + " --- |" * len(table.columns)]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in table.to_numpy())])

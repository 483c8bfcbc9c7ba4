"""What of a paper comes out again: exactly, as it follows from lists and timing; on the data at hand; or not at all.

Every line is computed: a published value, our value, and the rule that leads from one to the other. Whether a number is
plausible is for the rules of the audit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd

from analysis.audit.arithmetic import convention_pairs, error_ratio
from analysis.audit.design import timing_weights
from analysis.audit.inputs import DESCRIPTIVE, Inputs, NotAtHand, Printed, said
from analysis.did.bacon import EARLIER, LATER, UNTREATED
from analysis.names import ADOPTION, TIME
from analysis.results import CannotEstimate
from analysis.studies.methods import METHODS
from analysis.studies.records import Model

EXACT, MISSED, ESTIMATED, CANNOT = "reproduced exactly", "not reproduced", "estimated here", "cannot be reproduced"
#: Printed name of a kind of comparison -> its type.
COMPARISONS = {
    "earlier treated against later": EARLIER,
    "later treated against earlier": LATER,
    "treated against never treated": UNTREATED,
}


@dataclass(frozen=True)
class Line:
    """One published number, or several of an exhibit, and what becomes of it here.

    Attributes
    ----------
    exhibit, model, what : its place and name.
    published, ours : the printed value and the one computed here, as text.
    rule : how ours comes about.
    verdict : "reproduced exactly", "not reproduced" (though it must be), "estimated here", "cannot be reproduced".
    why : what the verdict rests on, or what is missing.
    """

    exhibit: str
    model: str
    what: str
    published: str
    ours: str
    rule: str
    verdict: str
    why: str = ""


@dataclass(frozen=True)
class Replication:
    """Every line of a study, in the order of the paper within each verdict.

    ``is_sample`` says that what is "estimated here" comes from simulated data and is no finding; what is "reproduced
    exactly" holds on any data.
    """

    study: str
    lines: tuple[Line, ...]
    is_sample: bool

    @property
    def table(self) -> pd.DataFrame:
        """One row a line."""
        columns = list(Line.__dataclass_fields__)
        return pd.DataFrame([asdict(line) for line in self.lines], columns=columns)

    def as_list(self) -> list[dict[str, str]]:
        """The lines as plain values, for JSON."""
        return [asdict(line) for line in self.lines]

    def of(self, *verdicts: str) -> tuple[Line, ...]:
        """The lines with one of the verdicts."""
        return tuple(line for line in self.lines if line.verdict in verdicts)

    def summary(self) -> str:
        """The report as text, for people."""
        lines = [
            f"{self.study}: {len(self.of(EXACT))} reproduced exactly, {len(self.of(MISSED))} not though they must."
        ]
        for line in self.lines:
            lines.append(
                f"{line.verdict}: {line.exhibit} {line.model} {line.what}: published {line.published}, here "
                f"{line.ours} "
                f"({line.rule}) {line.why}".rstrip()
            )
        return "\n".join(lines)


def replicate(inputs: Inputs) -> Replication:
    """The replication report of a study; without a paper it has no lines."""
    if inputs.printed.table.empty:
        return Replication(inputs.study.name, (), inputs.is_sample)
    parts = (_sample, _treatment, _sizes, _constants, _weights, _ratios, _bounds, _estimated, _pictures)
    lines: list[Line] = []
    for part in parts:
        try:
            lines += list(part(inputs))
        except (NotAtHand, CannotEstimate) as error:
            lines.append(Line("", "", part.__name__.strip("_"), "", "", "", CANNOT, str(error)))
    order = (EXACT, MISSED, ESTIMATED, CANNOT)
    return Replication(
        inputs.study.name, tuple(sorted(lines, key=lambda line: order.index(line.verdict))), inputs.is_sample
    )


def _verdict(matches: bool) -> str:
    return EXACT if matches else MISSED


def _sample(inputs: Inputs) -> Iterator[Line]:
    """Cities, years, rows and treated cities that the text names."""
    rows, text = inputs.rows, inputs.text
    cities, years = inputs.grid
    counted = [("cities", text.cities, cities), ("treated cities", text.treated_cities, inputs.treated_cities)]
    if text.years:
        counted.append(("years", text.years[1] - text.years[0] + 1, years))
        if text.cities:
            counted.append(("rows", text.cities * (text.years[1] - text.years[0] + 1), len(rows)))
    for what, stated, ours in counted:
        if stated is not None:
            rule = "list of pilots" if what == "treated cities" else "list of cities x years"
            yield Line("text", "", what, said(stated), said(ours), rule, _verdict(stated == ours))


def _treatment(inputs: Inputs) -> Iterator[Line]:
    """The descriptive row of the treatment, from adoption and years alone."""
    treatment = inputs.study.treatment
    values = (inputs.rows[TIME] >= inputs.rows[ADOPTION]).astype(float)
    ours = {
        "obs": float(len(values)),
        "mean": float(values.mean()),
        "sd": float(values.std()),
        "min": float(values.min()),
        "max": float(values.max()),
    }
    for term, printed in inputs.moments.get(treatment, {}).items():
        if term in ours:
            matches = abs(ours[term] - printed) <= inputs.moment_half(treatment, term) + 1e-12
            rule = "1 from adoption on, by the list of pilots"
            place = (inputs.table_of_moments(), treatment)
            yield Line(*place, term, said(printed), said(ours[term], 5), rule, _verdict(matches))


def _sizes(inputs: Inputs) -> Iterator[Line]:
    """Rows of each printed regression: cities of its sample x years, where no value is missing."""
    groups: dict[tuple[str, float, float | None, str], list[str]] = {}
    for item in inputs.coefficients:
        if item.model is None or not np.isfinite(item.n):
            continue
        structural, why = _structural(inputs, item.model)
        labels = groups.setdefault((item.exhibit, item.n, structural, why), [])
        if item.label not in labels:
            labels.append(item.label)
    for (exhibit, n, structural, why), labels in groups.items():
        place = (exhibit, ", ".join(labels), "N", said(n))
        if structural is None:
            yield Line(*place, "", "rows used", CANNOT, why)
        elif structural == n:
            yield Line(*place, said(structural), "cities of the sample x years", EXACT)
        elif structural < n:
            reason = f"The sample has {said(structural)} rows at most; see the audit."
            yield Line(*place, said(structural), "cities of the sample x years", CANNOT, reason)
        else:
            reason = (
                f"{said(structural - n)} rows are missing in the authors' data, or cities stand in other groups; "
                "which, the paper does not say."
            )
            yield Line(*place, said(structural), "cities of the sample x years", CANNOT, reason)


def _structural(inputs: Inputs, model: Model) -> tuple[float | None, str]:
    """Rows that a model's sample has by lists and years alone, or None and why that is not known."""
    if not METHODS[model.method].whole_sample:
        return None, f"The rows that {model.method} keeps depend on the data."
    by_data = {group.name for group in inputs.study.groups if group.rule in ("above_mean", "at_least")}
    if by_data & set(model.sample.where):
        return None, "Which city is in which group depends on the data."
    frame = inputs.frame(
        replace(model, outcome="", controls=(), method="two_way", options={}, interaction=None, leads=())
    )
    return (None, frame) if isinstance(frame, str) else (float(len(frame)), "")


def _constants(inputs: Inputs) -> Iterator[Line]:
    """Constants of regressions on the treatment alone: mean(y) - b x the treated share of the list."""
    share = float((inputs.rows[TIME] >= inputs.rows[ADOPTION]).mean())
    for item in inputs.coefficients:
        model = item.model
        if item.term != "const" or model is None or model.controls or not inputs.is_full(model):
            continue
        slope = inputs.value(item.exhibit, item.label, model.treatment)
        moments = inputs.moments.get(model.outcome, {})
        if slope is None or "mean" not in moments or moments.get("obs") != item.n:
            continue
        ours = moments["mean"] - slope.estimate * share
        slack = inputs.moment_half(model.outcome, "mean") + slope.half * share + item.half
        rule = f"printed mean {said(moments['mean'])} - printed {said(slope.estimate)} x treated share {said(share)}"
        yield Line(
            *(item.exhibit, item.label, "constant", said(item.estimate), said(ours, 5), rule),
            _verdict(abs(ours - item.estimate) <= slack),
        )


def _weights(inputs: Inputs) -> Iterator[Line]:
    """Printed Goodman-Bacon weights by kind of comparison, from timing alone."""
    ours = timing_weights(inputs).groupby("type")["weight"].sum()
    for item in inputs.coefficients:
        kind = COMPARISONS.get(item.label)
        exhibit = inputs.exhibits.get(item.exhibit)
        if item.term == "weight" and kind is not None and exhibit is not None and exhibit.kind == "bacon":
            value = float(ours.get(kind, 0.0))
            matches = abs(value - item.estimate) <= item.half + 1e-12
            rule = "adoption years and cohort sizes"
            place = (item.exhibit, item.label, "weight")
            yield Line(*place, said(item.estimate), said(value, 5), rule, _verdict(matches))


def _ratios(inputs: Inputs) -> Iterator[Line]:
    """Two standard errors of one coefficient: their ratio, as degrees of freedom make it."""
    for a, b in convention_pairs(inputs):
        printed, expected = error_ratio(inputs, a, b)
        low, high = (a.se - a.half) / (b.se + b.half), (a.se + a.half) / (b.se - b.half)
        here = _estimated_ratio(inputs, a, b)
        beside = f", {said(here, 3)} on the data at hand" if here is not None else ""
        yield Line(
            a.exhibit,
            f"{a.label}, {b.label}",
            f"ratio of standard errors {said(a.se)} / {said(b.se)}",
            f"{printed:.3f}",
            f"{expected:.3f}",
            "Parameters counted: slopes and years, with or without the cities.",
            _verdict(low <= expected <= high),
            f"Rounding allows {low:.3f} to {high:.3f}{beside}.",
        )


def _estimated_ratio(inputs: Inputs, a: Printed, b: Printed) -> float | None:
    """The same ratio among the study's own estimates."""
    if inputs.estimates is None:
        return None
    table = inputs.estimates
    errors = [
        table.loc[table["exhibit"].eq(i.exhibit) & table["model"].eq(i.label) & table["term"].eq(i.term), "se"]
        for i in (a, b)
    ]
    if any(len(error) != 1 for error in errors):
        return None
    ratio = float(errors[0].iloc[0] / errors[1].iloc[0])
    return ratio if np.isfinite(ratio) else None


def _bounds(inputs: Inputs) -> Iterator[Line]:
    """Largest printed efficiency score beside the bound of the model: (outputs + bad outputs) / bad outputs."""
    sources = {variable.source: variable.name for variable in inputs.study.variables}
    for scored in inputs.study.efficiency:
        name = sources.get(scored.name)
        largest = inputs.moments.get(name or "", {}).get("max")
        if name is None or largest is None or not scored.bad_outputs or scored.returns != "crs":
            continue
        bound = (len(scored.outputs) + len(scored.bad_outputs)) / len(scored.bad_outputs)
        matches = largest <= bound
        rule = f"super-SBM under constant returns stays below {said(bound)}, whatever the data"
        yield Line(
            *(inputs.table_of_moments(), name, "maximum", said(largest), f"below {said(bound)}", rule),
            _verdict(matches),
        )


def _estimated(inputs: Inputs) -> Iterator[Line]:
    """By exhibit: how many printed estimates are estimated here and how far they are; and which are not, and why."""
    from analysis.studies.compare import PUBLISHED_ONLY, compare

    if inputs.estimates is None:
        raise NotAtHand("There are no estimates at hand.")
    order = dict.fromkeys(inputs.printed.table["exhibit"])
    own = inputs.estimates[inputs.estimates["study"].eq(inputs.study.name)]
    table = compare(own, inputs.printed.table)
    table = table[table["published_estimate"].notna() & ~table["exact"]]
    for exhibit in order:
        rows = table[table["exhibit"].eq(exhibit)]
        done = rows[np.isfinite(rows["estimate"])]
        if len(done):
            yield _summary(inputs, exhibit, rows, done)
        left = rows[~np.isfinite(rows["estimate"])]
        reasons = left["reason"].where(left["status"] != PUBLISHED_ONLY, "No method of this study gives it.")
        for reason, part in left.groupby(reasons.fillna("No number came out."), sort=False):
            named = ", ".join(dict.fromkeys(f"{m} {t}" for m, t in zip(part["model"], part["term"], strict=True)))
            shown = ", ".join(said(value) for value in part["published_estimate"])
            yield Line(exhibit, "", named, shown, "", "", CANNOT, str(reason))


def _summary(inputs: Inputs, exhibit: str, rows: pd.DataFrame, done: pd.DataFrame) -> Line:
    """One line for all estimates of an exhibit."""
    distance = done["difference"].abs().dropna()
    distance = distance[np.isfinite(distance)]
    close = f"{(distance <= 1.96).sum()} of {len(distance)} within 1.96 published standard errors"
    near = close if len(distance) else "printed without standard errors"
    kind = inputs.exhibits[exhibit].kind if exhibit in inputs.exhibits else ""
    what = "moments" if kind == DESCRIPTIVE else "estimates"
    why = "Sample data: that it can be computed is shown, not that the paper is right." if inputs.is_sample else ""
    return Line(exhibit, "", what, str(len(rows)), str(len(done)), near, ESTIMATED, why)


def _pictures(inputs: Inputs) -> Iterator[Line]:
    """Exhibits of the paper without printed numbers."""
    numbers = set(inputs.printed.table["exhibit"])
    for exhibit in inputs.printed.notes:
        if exhibit not in numbers:
            yield Line(
                exhibit,
                "",
                "picture",
                "",
                "drawn here",
                "",
                CANNOT,
                "The paper prints a picture and no numbers to compare.",
            )

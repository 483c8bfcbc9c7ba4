"""A rule on what other engines make of the study's own numbers."""

from __future__ import annotations

from collections.abc import Iterator

from analysis.agreement import DIFFERS
from analysis.agreement.opinion import is_turned
from analysis.audit.finding import ERROR, WARNING
from analysis.audit.inputs import Inputs, NotAtHand
from analysis.audit.rule import Found, Rule


def engines_part(inputs: Inputs) -> Iterator[Found]:
    """A number that another engine does not get, by no named convention; worst where it is read otherwise."""
    if inputs.agreement is None:
        raise NotAtHand("No other engine was asked about the estimates (the asset publication/agreement).")
    rows = inputs.agreement[inputs.agreement["verdict"].eq(DIFFERS)]
    for row in rows.to_dict("records"):
        yield Found(
            f"{row['engine']} {row['version']} finds {row['estimate']:.6g} (standard error {row['se']:.4g}), apart "
            f"from the published number by {row['difference']:.1e} of it. {row['reason']}",
            exhibit=str(row["exhibit"]),
            model=str(row["model"]),
            variable=str(row["term"]),
            severity=ERROR if is_turned(str(row["reason"])) else None,
            from_data=True,
        )


RULES = (
    Rule(
        "engines-part",
        "Another engine gets another number",
        "其他软件包结果不一致",
        WARNING,
        "Do not use the number before it is known which engine is right: see docs/agreement.md.",
        "在查明何者正确之前不宜使用该数字：见docs/agreement.md。",
        engines_part,
    ),
)

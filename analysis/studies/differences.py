"""What a specification of a study says otherwise than an earlier one: of the panel it is estimated on, of its exhibits.

A panel is made in the warehouse; groups, weights, samples and models are applied to it where it is estimated on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from analysis.studies.estimation_sample import columns_named, columns_used
from analysis.studies.records import Exhibit, Label, Study, Variable

#: Fields of a study that shape every row of its panel, with what they are called.
_ROWS = {
    "policy": "the policy list",
    "policy_scope": "the scope of the policy list",
    "treatment": "the treatment",
    "cities": "the sample of cities",
    "city_codes": "the sample of cities",
    "years": "the years",
    "last_month": "the last month of approval that counts",
    "intensity": "the intensity",
}


@dataclass(frozen=True)
class PanelChange:
    """What of a panel is no longer as the specification says; each reason is half a sentence.

    Attributes
    ----------
    rows : reasons that touch every row.
    columns : column -> reason.
    panels : other panel of the study -> reason.
    """

    rows: tuple[str, ...]
    columns: Mapping[str, str]
    panels: Mapping[str, str]

    def stands_in_the_way(self, study: Study, exhibit: Exhibit) -> tuple[str, ...]:
        """Why an exhibit cannot be computed from the earlier panel; empty where it can."""
        models = (*exhibit.models, *exhibit.tests)
        used = {
            *exhibit.variables,
            *(name for model in models for name in (*columns_used(model), *columns_named(model))),
        }
        used |= {group.column for group in study.groups if group.name in used and group.column}
        used |= {matrix.variable for model in models for matrix in model.weights if matrix.variable}
        named = {model.panel for model in models if model.panel}
        columns = [why for name, why in self.columns.items() if name in used]
        return (*self.rows, *columns, *(why for name, why in self.panels.items() if name in named))


def panel_change(before: Study, now: Study) -> PanelChange:
    """What of the panel that ``before`` describes is otherwise in ``now``."""
    rows = tuple(
        dict.fromkeys(
            f"{said}: {_said(getattr(now, name))}, not {_said(getattr(before, name))}"
            for name, said in _ROWS.items()
            if getattr(before, name) != getattr(now, name)
        )
    )
    return PanelChange(rows, _columns(before, now), _panels(before, now))


def exhibits_changed(before: Study, now: Study) -> tuple[str, ...]:
    """The exhibits of ``now`` that ``before`` has not, or states otherwise, in the order of the YAML."""
    earlier = {exhibit.name: exhibit for exhibit in before.exhibits}
    shared = ("groups", "weights", "treatment_label")
    if any(getattr(before, name) != getattr(now, name) for name in shared):
        # a label or a group may be used anywhere
        return tuple(exhibit.name for exhibit in now.exhibits)
    return tuple(exhibit.name for exhibit in now.exhibits if earlier.get(exhibit.name) != exhibit)


def _columns(before: Study, now: Study) -> dict[str, str]:
    earlier = {variable.name: variable for variable in before.variables}
    found = {}
    for variable in now.variables:
        old = earlier.get(variable.name)
        if old is None:
            found[variable.name] = f"{variable.name!r} is new: it is {_made(variable)}"
        elif _bare(old) != _bare(variable):
            found[variable.name] = f"{variable.name!r} is {_made(variable)}, not {_made(old)}"
    scores = {made.name: made for made in before.efficiency}
    for made in now.efficiency:
        if scores.get(made.name) != made:
            drawn = [variable.name for variable in now.variables if variable.source in made.columns]
            found |= {name: f"the scores {made.name!r} behind {name!r} are made otherwise" for name in drawn}
    policies = {policy.name: policy for policy in before.policies}
    for policy in now.policies:
        old_policy = policies.get(policy.name)
        if old_policy is None or (old_policy.policy, old_policy.scope) != (policy.policy, policy.scope):
            found[policy.name] = f"the policy {policy.name!r} is {'new' if old_policy is None else 'another one'}"
    return found


def _panels(before: Study, now: Study) -> dict[str, str]:
    return {
        name: f"the panel {name} has the years {_said(years)}"
        + ("" if name not in before.other_panels else f", not {_said(before.other_panels[name])}")
        for name, years in now.other_panels.items()
        if before.other_panels.get(name) != years
    }


def _bare(variable: Variable) -> Variable:
    """What decides a variable's values, without what it is called."""
    return replace(variable, label=Label("", ""), unit="", role="")


def _made(variable: Variable) -> str:
    steps = [variable.written]
    if variable.interpolate != "none":
        gap = f" over at most {variable.max_gap} years" if variable.max_gap else ""
        steps.append(f"gaps filled by {variable.interpolate.replace('_', ' ')}{gap}")
    if variable.winsorize:
        steps.append(f"winsorised at {variable.winsorize[0]:g} and {variable.winsorize[1]:g}")
    return ", ".join(steps)


def _said(value: object) -> str:
    if isinstance(value, tuple):
        return "-".join(map(str, value)) if len(value) == 2 else ", ".join(map(str, value)) or "none"
    return str(value) or "none"

"""Figures as journals print them: SVG and PNG with the same bytes for the same numbers, readable in grey.

Drawn without pyplot, so nothing here touches a display or state that other code shares. Labels are English: no font
for Chinese is needed.
"""

from __future__ import annotations

from pathlib import Path

from analysis.printing.canvas import STYLE, contents
from analysis.printing.table import SAMPLE, display_name
from analysis.studies.kinds import KINDS
from analysis.studies.records import Model, Study
from analysis.studies.result import ExhibitResult

WIDTH, HEIGHT = 4.8, 3.1


def draw(result: ExhibitResult, study: Study) -> dict[str, bytes]:
    """The picture of an exhibit that has one, a panel a model, one below the other.

    Returns
    -------
    dict
        "svg" and "png" -> contents; empty for an exhibit that is a table only, or when no model could be computed.
    """
    import matplotlib
    import matplotlib.style
    from matplotlib.figure import Figure

    computed, picture = result.computed, KINDS[result.kind].picture
    if not computed or picture is None:
        return {}
    # The user's own matplotlib settings must not reach the page.
    with matplotlib.style.context("default", after_reset=True), matplotlib.rc_context(STYLE):
        models = {model.label: model for model in result.specification.models}
        parts = [
            (models[m], title, part) for m, fitted in computed.items() for title, part in picture.split(fitted).items()
        ]
        figure = Figure(figsize=(WIDTH * picture.wide, HEIGHT * picture.tall * len(parts)), layout="constrained")
        axes = figure.subplots(len(parts), 1, squeeze=False)[:, 0]
        for axis, (model, title, part) in zip(axes, parts, strict=True):
            axis.set_title(", ".join(word for word in (_panel_title(model, study), title) if word))
            picture.panel(axis, part, model)
        axes[-1].set_xlabel(picture.across)
        if result.is_sample:
            figure.suptitle(SAMPLE, x=0.99, ha="right", fontsize=10.5, fontweight="bold")
        return contents(figure, f"{display_name(result.exhibit)}. {result.title.en}")


def _panel_title(model: Model, study: Study) -> str:
    """The outcome by name and column, and whatever the label says beside it; a label that stands for itself."""
    if not model.outcome or not model.label.startswith(model.outcome):
        return model.label
    rest = model.label.removeprefix(model.outcome)
    return f"{study.label(model.outcome).en} ({model.outcome}){rest}".replace(" -", " \u2212")


def describe(result: ExhibitResult) -> str:
    """What the picture shows, in words, for those who cannot see it."""
    picture = KINDS[result.kind].picture
    if picture is None:
        return ""
    return " ".join(
        f"{label} is not computed." if isinstance(fitted, str) else f"{label}: {picture.words(fitted)}."
        for label, fitted in result.models.items()
    )


def write_figure(result: ExhibitResult, study: Study, folder: Path) -> dict[str, Path]:
    """Write <exhibit>.svg and .png of an exhibit that is a figure into ``folder``; returns format -> path."""
    drawn = draw(result, study)
    folder.mkdir(parents=True, exist_ok=True)
    paths = {suffix: folder / f"{result.exhibit}.{suffix}" for suffix in drawn}
    for suffix, path in paths.items():
        path.write_bytes(drawn[suffix])
    return paths

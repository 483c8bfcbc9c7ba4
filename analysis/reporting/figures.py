"""Figures as journals print them: SVG, PNG and PDF with the same bytes for the same numbers, readable in grey.

Drawn without pyplot, so nothing here touches a display or state that other code shares. Words of an SVG are text,
drawn in English and turned into Chinese here; the others are in English.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

from analysis.printing.canvas import FONTS, STYLE, SVG, contents
from analysis.printing.table import SAMPLE, display_name
from analysis.studies.kinds import KINDS
from analysis.studies.records import Model, Study
from analysis.studies.result import ExhibitResult

WIDTH, HEIGHT = 4.8, 3.1
# or else what an SVG is written as hangs on which libraries are there already
ElementTree.register_namespace("", SVG)
ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")


def draw(result: ExhibitResult, study: Study) -> dict[str, bytes]:
    """The picture of an exhibit that has one, a panel a model, one below the other.

    Returns
    -------
    dict
        "svg", "png" and "pdf" -> contents; empty for a table only, or when no model could be computed.
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


def in_chinese(svg: bytes, words: Callable[[str], str]) -> bytes:
    """An SVG with its words in Chinese, as far as ``words`` knows them."""
    root = ElementTree.fromstring(svg)
    for element in _with_words(root):
        element.text = words(str(element.text))
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def inline(svg: bytes, words: Callable[[str], str], name: str) -> str:
    """An SVG to stand within a page in both languages: what is not referred to has no id, and the others are its own.

    ``name`` is unique on the page.
    """
    root = ElementTree.fromstring(svg)
    refers = {found for element in root.iter() for value in element.attrib.values() for found in _referred(value)}
    for element in root.iter():
        if element.get("id") not in refers:
            element.attrib.pop("id", None)
        for key, value in element.attrib.items():
            if key == "id":
                element.set(key, f"{name}-{value}")
            elif _referred(value):
                element.set(key, value.replace("#", f"#{name}-", 1))
    for general in (*root.findall(f"{{{SVG}}}title"), *root.findall(f"{{{SVG}}}defs")):
        root.remove(general)
    for element in _with_words(root):
        english = str(element.text)
        chinese = words(english)
        if chinese != english:
            element.attrib |= {"data-of": "text", "data-en": english, "data-zh": chinese}
    for side in ("width", "height", "version"):
        root.attrib.pop(side, None)
    root.set("class", "drawing")
    # the page says it once
    return ElementTree.tostring(root, encoding="unicode").replace(f"font-family: {FONTS}; ", "")


def _with_words(root: ElementTree.Element) -> list[ElementTree.Element]:
    """Elements whose text has words: numbers are the same in every language."""
    tags = {f"{{{SVG}}}{tag}" for tag in ("text", "tspan", "title")}
    return [element for element in root.iter() if element.tag in tags and re.search("[A-Za-z]", element.text or "")]


def _referred(value: str) -> list[str]:
    """The ids that an attribute refers to."""
    return [first or second for first, second in re.findall(r"^#([\w-]+)$|url\(#([^)]+)\)", value)]

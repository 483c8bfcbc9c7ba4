"""The one place that turns a template of this package into HTML: escaping on, styles inlined, nothing fetched.

A page carries its words in both languages; `script.js` shows one and remembers which.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment
    from jinja2.runtime import Context
    from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"
#: Scripts that several pages share; they lie beside the pages, in assets/.
ASSETS = ("report.js", "explore.js", "doors.js")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    environment.globals["style"] = Markup(style)
    environment.globals["plain_style"] = Markup(without_variables(style))
    environment.globals["script"] = Markup((TEMPLATES / "script.js").read_text(encoding="utf-8"))
    environment.globals["map_script"] = Markup((TEMPLATES / "map.js").read_text(encoding="utf-8"))
    environment.filters["typeset"] = typeset
    environment.filters["both"] = pass_context(both)
    environment.filters["label"] = pass_context(label)
    environment.tests["chinese"] = lambda text: re.search("[\u4e00-\u9fff]", text) is not None
    return environment


def without_variables(style: str) -> str:
    """A style sheet with the value in the place of each variable: word processors know no variables."""
    values = dict(re.findall(r"(--[a-z]+):\s*([^;}]+)", style))
    return re.sub(r"var\((--[a-z]+)\)", lambda found: values[found[1]].strip(), style)


def typeset(text: str) -> str:
    """A true minus sign in front of a number, so that screen readers and eyes both see one."""
    return f"\u2212{text[1:]}" if text[:1] == "-" and text[1:2].isdigit() else text


def both(context: Context, text: str) -> Markup:
    """A text in both languages, one of which the page shows; in English alone where the page has no Chinese."""
    from markupsafe import Markup, escape

    words = context.get("words")
    chinese = words(text) if words else text
    if chinese == text:
        return escape(text)
    return Markup('<span class="in-en" lang="en">{}</span><span class="in-zh" lang="zh-Hans">{}</span>').format(
        text, chinese
    )


def label(context: Context, text: str, attribute: str) -> Markup:
    """An attribute that people are read, with what it becomes when the page turns Chinese."""
    from markupsafe import Markup

    words = context.get("words")
    shown = Markup('{}="{}"').format(Markup(attribute), text)
    if words is None or words(text) == text:
        return shown
    return shown + Markup(' data-of="{}" data-en="{}" data-zh="{}"').format(attribute, text, words(text))


def render(template: str, /, **values: object) -> str:
    """A template filled in; every value is escaped."""
    return _environment().get_template(template).render(**values)

"""The one place that turns a template of this package into HTML: escaping on, styles inlined, nothing fetched."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["style"] = Markup((TEMPLATES / "style.css").read_text(encoding="utf-8"))
    environment.filters["typeset"] = typeset
    environment.tests["chinese"] = lambda text: re.search("[\u4e00-\u9fff]", text) is not None
    return environment


def typeset(text: str) -> str:
    """A true minus sign in front of a number, so that screen readers and eyes both see one."""
    return f"\u2212{text[1:]}" if text[:1] == "-" and text[1:2].isdigit() else text


def render(template: str, **values: object) -> str:
    """A template filled in; every value is escaped."""
    return _environment().get_template(template).render(**values)

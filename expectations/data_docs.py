"""Great Expectations' own pages, Data Docs, so that they open from the disk as they do online.

What they load lies in `offline/assets`, as its makers released it, with their licences; the pages' frame stands in
`offline/views`. The rest of each page is Great Expectations'.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import great_expectations
from great_expectations.render.view import DefaultJinjaIndexPageView, DefaultJinjaPageView
from jinja2 import ChoiceLoader, FileSystemLoader

OFFLINE = Path(__file__).parent / "offline"
#: Where Great Expectations keeps the styles of its pages; from DARK on they are for dark screens and fetch.
STYLES = Path(great_expectations.__file__).parent / "render/view/static/styles/data_docs_default_styles.css"
DARK = "@media (prefers-color-scheme: dark)"
#: What of its static files its pages do not use.
UNUSED = ("glossary_scroller.gif", "iterative-dev-loop.png", "validation_failed_unexpected_values.gif")


class _Offline:
    """A view whose frame is ours; what it says besides comes from the site's configuration."""

    env: Any

    def __init__(self, notice: str = "", report: str = "", refreshed: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.env.loader = ChoiceLoader([FileSystemLoader(OFFLINE / "views"), self.env.loader])
        self.env.globals |= {"notice": notice, "report": report, "refreshed": refreshed}


class OfflinePageView(_Offline, DefaultJinjaPageView):
    """A page of one suite or result."""


class OfflineIndexView(_Offline, DefaultJinjaIndexPageView):
    """The page of all results, with filters."""


def configured(site: dict[str, Any], **said: str) -> dict[str, Any]:
    """The configuration of a site with these views; ``said`` is what they say on every page."""
    page, index = ({"module_name": __name__, "class_name": name, **said} for name in _VIEWS)
    sections = {name: {"view": page} for name in ("expectations", "validations")} | {"profiling": "None"}
    return {
        **site,
        "show_how_to_buttons": False,
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder", "view": index},
        "site_section_builders": sections,
    }


_VIEWS = (OfflinePageView.__name__, OfflineIndexView.__name__)


def furnish(folder: Path) -> None:
    """Put what the pages load beside them, and take out what they do not use."""
    shutil.copytree(OFFLINE / "assets", folder / "assets", dirs_exist_ok=True)
    styles = STYLES.read_text(encoding="utf-8").partition(DARK)[0]
    own = (OFFLINE / "data_docs.css").read_text(encoding="utf-8")
    (folder / "assets" / "css" / "data_docs.css").write_text(styles + own, encoding="utf-8")
    for name in UNUSED:
        (folder / "static" / "images" / name).unlink(missing_ok=True)
    for name in ("fonts", "styles"):
        shutil.rmtree(folder / "static" / name, ignore_errors=True)

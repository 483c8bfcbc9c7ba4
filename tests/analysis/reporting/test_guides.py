"""The guides of docs/ as help pages: whole, linked to each other, marked as sample where the report is, and inert."""

import re
from pathlib import Path

import pandas as pd
import pytest

from analysis.reporting.guides import guides
from analysis.reporting.site import WarehouseReport, build

DOCS = Path(__file__).parents[3] / "docs"


def test_every_guide_is_a_page_of_the_report_in_its_own_words(tmp_path: Path) -> None:
    empty = pd.DataFrame()
    warehouse = WarehouseReport(empty, empty, empty, empty, is_sample=True)
    build(tmp_path, studies=[], warehouse=warehouse, publication={}, docs=DOCS)
    overview = (tmp_path / "help.html").read_text(encoding="utf-8")
    for path in DOCS.glob("*.md"):
        page = (tmp_path / f"help_{path.stem}.html").read_text(encoding="utf-8")
        title = path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        assert f"<h1>{title}</h1>" in page and title in overview
        assert page.count("<h2>") == len(re.findall(r"(?m)^## ", path.read_text(encoding="utf-8")))
        assert "SAMPLE DATA" in page
        for target in re.findall(r'href="([^"#:]+\.html)', page):
            assert (tmp_path / target).is_file() or target.startswith("data_docs/"), (path.name, target)
    assert 'href="help.html"' in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_links_between_guides_lead_to_their_pages(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# One: first\n\nSee [two](b.md) and [a part](b.md#part).\n")
    (tmp_path / "b.md").write_text("# Two\n\n| x | y |\n|---|---|\n| 1 | 2 |\n")
    one, two = guides(tmp_path)
    assert 'href="help_b.html"' in one.body and 'href="help_b.html#part"' in one.body
    assert '<table class="list">' in two.body


def test_raw_html_in_a_guide_is_text(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# One\n\n<script>alert(1)</script>\n")
    assert "<script>" not in guides(tmp_path)[0].body


@pytest.mark.parametrize(("text", "told"), [("no title\n", "line 1"), ("# One\n\n[x](c.md)\n", "c.md")])
def test_a_guide_that_cannot_be_a_page_is_named(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "a.md").write_text(text)
    with pytest.raises(ValueError, match=rf"docs/a\.md.*{re.escape(told)}"):
        guides(tmp_path)

"""The guides of docs/ as help pages of the report. What they say is written there, in Markdown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markupsafe import Markup

#: What the page of a guide is called, before the guide's own name.
PREFIX = "help_"


@dataclass(frozen=True)
class Guide:
    """One page of help: ``name`` of its file without the suffix, its first heading, and the rest as HTML."""

    name: str
    title: str
    body: Markup

    @property
    def page(self) -> str:
        """The page's name below the site."""
        return f"{PREFIX}{self.name}.html"


def guides(folder: Path) -> list[Guide]:
    """Every ``*.md`` of a folder, by name; raw HTML in them is shown as text, links between them lead to their pages.

    Raises
    ------
    ValueError
        A file that does not begin with a heading "# ...", or links to a guide that is not there.
    """
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.md"))}
    return [_guide(name, text, set(texts)) for name, text in texts.items()]


def _guide(name: str, text: str, known: set[str]) -> Guide:
    from markdown_it import MarkdownIt
    from markupsafe import Markup

    first, _, rest = text.partition("\n")
    if not first.startswith("# "):
        raise ValueError(f"docs/{name}.md, line 1: a guide begins with its title, as in '# For the economist'.")
    absent = [target for target in re.findall(r"\]\(([\w-]+)\.md[)#]", rest) if target not in known]
    if absent:
        raise ValueError(f"docs/{name}.md links to {absent[0]}.md, which is not in docs/.")
    linked = re.sub(r"\]\(([\w-]+)\.md", rf"]({PREFIX}\1.html", rest)
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(linked)
    wide = body.replace("<table>", '<div class="scroll" tabindex="0"><table class="list">').replace(
        "</table>", "</table></div>"
    )
    return Guide(name, first.removeprefix("# ").strip(), Markup(wide))

"""What every figure shares: the style, and the bytes of a finished one, the same for the same numbers."""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
#: What the id of a group begins with whose marks say their value; between values.
TOLD, BETWEEN = "told:", "\u241e"
#: Fonts of a picture's words where it is shown: the one that it was laid out with, then those that have Chinese.
FONTS = "'DejaVu Sans', 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', sans-serif"

#: Formats of a picture.
FORMATS = ("svg", "png", "pdf")
# it tells of each table of a font that goes into a PDF
logging.getLogger("fontTools").setLevel(logging.WARNING)

STYLE: dict[Any, Any] = {
    "svg.hashsalt": "pilotcity",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.unicode_minus": True,
    "figure.dpi": 100,
    "savefig.dpi": 200,
}


def contents(figure: Figure, title: str) -> dict[str, bytes]:
    """The figure for pages (svg), slides (png) and print (pdf), without date and software; the SVG tells values.

    The words of the SVG are text, so that they can be searched, read aloud and turned into another language.
    """
    written = {}
    for suffix, metadata in (
        ("svg", {"Date": None, "Creator": "pilotcity", "Title": title}),
        ("png", {"Software": None}),
        ("pdf", {"CreationDate": None, "Creator": "pilotcity", "Producer": None, "Title": title}),
    ):
        file = io.BytesIO()
        figure.savefig(file, format=suffix, metadata=metadata)
        written[suffix] = file.getvalue()
    return {**written, "svg": _telling(written["svg"])}


def tell(artist: Artist, values: Sequence[str]) -> None:
    """What the marks of an artist say under a pointer: one text a mark, or one for all of it."""
    artist.set_gid(TOLD + BETWEEN.join(values))


def _telling(svg: bytes) -> bytes:
    """The picture with a title in each mark that has something to say, in fonts that have Chinese."""
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    root = ElementTree.fromstring(svg.replace(b"'DejaVu Sans'", FONTS.encode()))
    for described in root.findall(f"{{{SVG}}}metadata"):
        root.remove(described)
    for group in root.iter(f"{{{SVG}}}g"):
        said = group.get("id", "")
        if said.startswith(TOLD):
            del group.attrib["id"]
            texts = said.removeprefix(TOLD).split(BETWEEN)
            marks = list(group.iter(f"{{{SVG}}}use"))
            for mark, text in zip(marks if len(marks) == len(texts) else [group], texts, strict=False):
                title = ElementTree.Element(f"{{{SVG}}}title")
                title.text = text
                mark.insert(0, title)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)

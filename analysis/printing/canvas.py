"""What every figure shares: the style, and the bytes of a finished one, the same for the same numbers."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE: dict[Any, Any] = {
    "svg.hashsalt": "pilotcity",
    "svg.fonttype": "path",
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
    """The figure in both formats, without the date and the software's version."""
    written = {}
    for suffix, metadata in (
        ("svg", {"Date": None, "Creator": "pilotcity", "Title": title}),
        ("png", {"Software": None}),
    ):
        file = io.BytesIO()
        figure.savefig(file, format=suffix, metadata=metadata)
        written[suffix] = file.getvalue()
    return written

"""Words of the checks that reports share: what a layer is called, and how a failing value is written."""

from __future__ import annotations

from typing import Any

#: Layers in the order in which the data flow.
LAYERS = {
    "raw": "Raw files",
    "staging": "Staging: text made into numbers, dates and places",
    "intermediate": "One geography over time",
    "panels": "Panels",
}


def text(value: Any) -> str:
    """A value as a reader sees it: whole from a thousand on, else four digits; nothing where it is missing."""
    if value is None or value != value:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)

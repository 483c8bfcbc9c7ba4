"""How the values of rows that fail a check are written."""

import math

import pytest

from expectations import pages


@pytest.mark.parametrize(
    ("value", "written"),
    [(1.23456, "1.235"), (12345.6, "12,346"), (0.0, "0"), (math.nan, ""), (None, ""), (7, "7"), ("<b>", "<b>")],
)
def test_a_failing_value_is_written_as_a_reader_sees_it(value: object, written: str) -> None:
    assert pages.text(value) == written

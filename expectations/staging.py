"""What must hold of the accepted values and records: keys, ranges, coverage by year, agreement between sources.

The frames are those of dbt/checks/staging_*.sql.
"""

from __future__ import annotations

import pandas as pd

from expectations.rules import between, holds, key
from expectations.runner import Rule

VALUE_KEYS = ("source", "indicator", "year")
AGREEMENT_KEYS = ("indicator", "trusted", "other", "year")
RECORD_KEYS = ("data", "year")
#: Two sources of one variable agree when their typical ratio is within this of one, ...
CALIBER = 0.02
#: ... and when at most this share of cities is a tenth or more apart.
APART = 0.1
#: Places that may repeat the figure of the year before by chance, as a share.
UNCHANGED = 0.1


def values() -> list[Rule]:
    """Rules of staging_values: one row a source, indicator and year, also years without any value in between."""
    return [
        key("a source, indicator and year is counted once", VALUE_KEYS),
        between(
            "one accepted value a source, place, year and indicator",
            "repeated",
            high=0,
            blocking=True,
            advice="The rules duplicate_key and conflicting_duplicate of stg_yearbook_judged let two values through.",
        ),
        holds(
            "accepted values lie in the range of their contract",
            "in_range",
            blocking=True,
            advice="The rule out_of_range of stg_yearbook_parsed let a value through.",
            columns=("smallest", "largest"),
        ),
        between(
            "a year has at least nine tenths of the places that the years around it have",
            "coverage",
            0.9,
            advice="Look for a missing file, sheet or column, or for values set aside; panels are thin in this year.",
            columns=("units", "units_expected"),
        ),
        between(
            "at most one value in twenty is set aside",
            "share_set_aside",
            high=0.05,
            advice="The rejects of this source, indicator and year name the rule. Most break jump or sources_disagree: "
            "the year has another caliber. Nearly all break tenfold: the contract states another unit than the file.",
            columns=("printed", "values"),
        ),
        between(
            "at most one place in ten repeats its figure of the year before",
            "share_unchanged",
            high=UNCHANGED,
            advice="A compiler may have carried figures forward where none was published: take the year from another "
            "source or leave it out. Panels hold such figures as measured, not as filled in.",
            columns=("units",),
        ),
    ]


def agreement() -> list[Rule]:
    """Rules of staging_agreement: one row an indicator and year that two sources give for the same cities."""
    quoted = ("cities", "furthest_city", "furthest_times")
    return [
        key("a pair of sources is compared once", AGREEMENT_KEYS),
        between(
            "two sources of one indicator count the same thing",
            "median_times",
            1 - CALIBER,
            1 + CALIBER,
            advice="The less trusted source is typically this many times the other: it has another caliber (urban "
            "districts, registered people). Give it an indicator of its own in its contract.",
            columns=quoted,
        ),
        between(
            "two sources of one indicator agree within a tenth in nine of ten cities",
            "share_apart",
            high=APART,
            advice="Vintages differ (censuses revise GDP and people) or cities are mixed up: look at the city that is "
            "furthest apart. The panels take the more trusted source.",
            columns=quoted,
        ),
    ]


def records() -> list[Rule]:
    """Rules of staging_records as `covered` completes it: one row a kind of record and year."""
    return [
        key("a kind of record and year is counted once", RECORD_KEYS),
        between(
            "at most half of the records of a year are set aside",
            "share_set_aside",
            high=0.5,
            blocking=True,
            advice="Counts by city would be far too low: see the rejects for the rule that most records break.",
            columns=("records", "set_aside"),
        ),
        between(
            "at most one record in ten is set aside",
            "share_set_aside",
            high=0.1,
            advice="See the rejects for the rule that they break; unknown places and courts can be added to lists.",
            columns=("records", "set_aside"),
        ),
        between(
            "a year has between half and twice the records that its neighbours lead one to expect",
            "times_years_around",
            0.5,
            2,
            advice="A file may be cut off or hold a year twice.",
            columns=("records",),
        ),
        between(
            "no year is missing between two years of records",
            "years_since_last",
            high=1,
            advice="The file of the year before is missing: every city would have no patents or cases in it.",
        ),
        between(
            "the records of a year come from at least half as many places as those of the best year",
            "coverage",
            0.5,
            advice="The export may be limited to some provinces.",
            columns=("cities",),
        ),
    ]


def covered(frame: pd.DataFrame) -> pd.DataFrame:
    """staging_records with ``coverage``: places of the year over those of the kind's best year."""
    best = frame.groupby("data")["cities"].transform("max")
    return frame.assign(coverage=frame["cities"] / best.where(best > 0))

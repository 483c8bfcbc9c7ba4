"""Each rule of accepted values and records fails on the row that breaks it, and on no other."""

from __future__ import annotations

import numpy as np
import pandas as pd

from expectations import staging


def test_each_fault_of_a_years_values_breaks_its_own_rule(broken):
    frame = pd.DataFrame({"source": "a", "indicator": "gdp", "year": range(2010, 2017), "printed": 100, "values": 100})
    frame = frame.assign(units=100, repeated=0, share_set_aside=0.05, in_range=True, coverage=0.9, units_expected=110)
    frame = frame.assign(smallest=1.0, largest=2.0, share_unchanged=0.1)
    assert broken(frame, staging.values(), staging.VALUE_KEYS) == {}
    frame.loc[1, "repeated"], frame.loc[2, "in_range"], frame.loc[3, "coverage"] = 1, False, 0.89
    frame.loc[4, "share_set_aside"], frame.loc[5, "coverage"], frame.loc[6, "share_unchanged"] = 0.06, np.nan, 0.11
    assert broken(frame, staging.values(), staging.VALUE_KEYS) == {
        "one accepted value a source, place, year and indicator": [1],
        "accepted values lie in the range of their contract": [2],
        "a year has at least nine tenths of the places that the years around it have": [3],
        "at most one value in twenty is set aside": [4],
        "at most one place in ten repeats its figure of the year before": [6],
    }


def test_sources_disagree_by_another_caliber_or_city_by_city(broken):
    frame = pd.DataFrame({"indicator": "gdp", "trusted": "a", "other": "b", "year": range(2010, 2015)})
    frame = frame.assign(cities=200, median_times=[1, 0.97, 1.03, 1.02, 1], share_apart=[0.1, 0.1, 0.1, 0.1, 0.2])
    frame = frame.assign(furthest_city="110000", furthest_times=1.5)
    assert broken(frame, staging.agreement(), staging.AGREEMENT_KEYS) == {
        "two sources of one indicator count the same thing": [1, 2],
        "two sources of one indicator agree within a tenth in nine of ten cities": [4],
    }


def test_each_fault_of_a_years_records_breaks_its_own_rule(broken):
    frame = pd.DataFrame({"data": "patents", "year": range(2010, 2017), "records": 1000, "set_aside": 10})
    frame = frame.assign(cities=300, share_set_aside=0.1, times_years_around=1.0, years_since_last=1)
    assert broken(staging.covered(frame), staging.records(), staging.RECORD_KEYS) == {}
    frame.loc[1, "share_set_aside"], frame.loc[2, "share_set_aside"], frame.loc[3, "times_years_around"] = 0.6, 0.2, 2.1
    frame.loc[4, "years_since_last"], frame.loc[5, "cities"], frame.loc[6, "times_years_around"] = 2, 149, 0.49
    assert broken(staging.covered(frame), staging.records(), staging.RECORD_KEYS) == {
        "at most half of the records of a year are set aside": [1],
        "at most one record in ten is set aside": [1, 2],
        "a year has between half and twice the records that its neighbours lead one to expect": [3, 6],
        "no year is missing between two years of records": [4],
        "the records of a year come from at least half as many places as those of the best year": [5],
    }


def test_one_kind_of_record_says_nothing_of_another():
    frame = pd.DataFrame({"data": ["patents", "patents", "court cases"], "cities": [100, 200, 10]})
    assert staging.covered(frame).coverage.tolist() == [0.5, 1, 1]

"""Schedules go by the clock of whoever set them up."""

import pytest

from dagster_project import schedules


def test_the_zone_is_the_one_that_was_asked_for(monkeypatch):
    monkeypatch.setenv("PILOTCITY_TIMEZONE", "Asia/Shanghai")
    assert {schedule.execution_timezone for schedule in schedules.schedules({})} == {"Asia/Shanghai"}


def test_a_zone_that_there_is_not_is_refused(monkeypatch):
    monkeypatch.setenv("PILOTCITY_TIMEZONE", "Shanghai")
    with pytest.raises(ValueError, match="'Shanghai', which is no time zone; write one as Asia/Shanghai"):
        schedules.timezone()


def test_by_default_it_is_this_machines(monkeypatch):
    monkeypatch.delenv("PILOTCITY_TIMEZONE", raising=False)
    monkeypatch.setenv("TZ", "Asia/Urumqi")
    assert schedules.timezone() == "Asia/Urumqi"
    monkeypatch.setenv("TZ", "nowhere")
    assert schedules.timezone()

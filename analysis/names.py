"""Names of columns that the warehouse gives every city-year panel; what a study calls its own stands in its YAML."""

UNIT, TIME, ADOPTION = "city_code", "year", "adoption"
#: True-or-false columns: where borders moved.
FLAGS = ("borders_merged", "borders_changed")
#: What follows a column's name in the name of its flag of values that were filled in.
IMPUTED = "__imputed"

"""What must hold of the data, layer by layer, as Great Expectations suites over data frames."""

import sys

# Great Expectations imports pyspark where it finds it, and pyspark ends a process that has no main file (a worker of
# tests, a child of Dagster's). No data frame goes there: to this process it is not installed.
sys.modules.setdefault("pyspark", None)  # type: ignore[arg-type]

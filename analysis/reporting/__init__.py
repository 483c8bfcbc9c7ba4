"""How results look: journal-style tables, figures and the offline site. Nothing here estimates anything."""

from analysis.reporting.site import StudyReport, WarehouseReport, build
from analysis.reporting.tables import exhibit_table, markdown, write_table

__all__ = ["StudyReport", "WarehouseReport", "build", "exhibit_table", "markdown", "write_table"]

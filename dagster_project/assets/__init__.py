"""The assets, in the order the data flow: sources, warehouse, studies, reports, publication."""

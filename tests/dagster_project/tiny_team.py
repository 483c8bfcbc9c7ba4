"""A code location with one asset, of Dagster alone so that it loads quickly."""

import dagster as dg


@dg.asset(key=["raw", "policies"])
def policies() -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"rows": 3})


defs = dg.Definitions(assets=[policies], executor=dg.in_process_executor)

"""A code location with one asset, of Dagster alone so that it loads quickly. As a program: `pilotcity team` on it."""

import sys

import dagster as dg


@dg.asset(key=["raw", "policies"])
def policies() -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"rows": 3})


defs = dg.Definitions(assets=[policies], executor=dg.in_process_executor)


if __name__ == "__main__":
    from dagster_project import cli
    from dagster_project.commands import team

    team.LOCATION = "tests.dagster_project.tiny_team"
    sys.exit(cli.main(sys.argv[1:]))

"""Records by year: a partition a year, so that a backfill of one year opens that year's files and no others.

Why these stand beside raw/<source> instead of replacing it: a job that holds both partitioned and unpartitioned assets
and is run without a partition reports success and materialises no partition; and nearly everything here is
unpartitioned. So `refresh` (make run, the schedules, the raw folder's sensor) takes raw/<source>, which brings every
year up to date by the ledger and reports the years that it read as partitions of the asset here. A backfill on the web
page takes the asset here; raw/<source> and what follows, materialised with it or after it, then find nothing else to
read, and dbt judges and counts the files of that year alone (dbt/macros/by_file.sql). Both ways call `refresh`
and lead to the same warehouse.

A file belongs to the year that its name names. One that names none, or several, has no partition; raw/<source> reads
it.
"""

import hashlib
import warnings
from collections.abc import Collection, Iterator, Mapping

import dagster as dg
import pandas as pd

from dagster_project.assets.common import OWNERS, RAW, SAMPLE_WORLD
from dagster_project.ingest import records
from dagster_project.ingest.contracts import Contract
from dagster_project.ingest.refresh import refresh
from dagster_project.paths import Paths
from dagster_project.resources import WAREHOUSE_POOL, warehouse

#: China's patent law came into force in 1985; the year that is going on is the last one.
YEARS = dg.TimeWindowPartitionsDefinition(start="1985", fmt="%Y", cron_schedule="0 0 1 1 *", end_offset=1)


def key_of(contract: Contract) -> dg.AssetKey:
    """The partitioned asset of a source of records."""
    return dg.AssetKey(["raw", f"{contract.source}_by_year"])


def keys(found: Mapping[str, Contract]) -> list[dg.AssetKey]:
    """The partitioned asset of every source of records."""
    return [key_of(contract) for contract in found.values() if contract.kind != "yearbook"]


def by_year(paths: Paths, contract: Contract) -> dg.AssetsDefinition:
    """The files of a source of records, a partition a year; a backfill of many years is one run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # backfill policies are marked beta, which is no news here
        return _by_year(paths, contract)


def _by_year(paths: Paths, contract: Contract) -> dg.AssetsDefinition:
    @dg.asset(
        key=key_of(contract),
        deps=[SAMPLE_WORLD],
        group_name=RAW,
        kinds={"parquet", "csv"},
        owners=OWNERS,
        pool=WAREHOUSE_POOL,
        partitions_def=YEARS,
        backfill_policy=dg.BackfillPolicy.single_run(),
        description=(
            f"{contract.title.en} ({contract.title.zh}) by the year that the file's name names. Backfill a year to "
            f"read its files alone; {contract.source} takes in every year."
        ),
    )
    def asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        years = {int(year) for year in context.partition_keys}
        with warehouse(paths) as connection:
            done = refresh(connection, paths.raw, contract, context.log.info, years)
            read = connection.execute(
                "select file, sha256, contract_sha256, reader_sha256 from raw.ledger where source = ? order by file",
                [contract.source],
            ).df()
        return dg.MaterializeResult(
            # the same files, read by the same rules, are no news to what comes after
            data_version=dg.DataVersion(version(read, years)),
            metadata={
                "files_read": len(done.read),
                "files_unchanged": len(done.unchanged),
                "files_removed": len(done.removed),
                "files": dg.MetadataValue.json(sorted([*done.read, *done.unchanged])),
            },
        )

    return asset


def version(read: pd.DataFrame, years: Collection[int]) -> str:
    """One hash of what was read of some years: ``read`` has a row a file, with hashes of its content and its rules."""
    wanted = read[[records.year_of(file) in years for file in read["file"]]]
    return hashlib.sha256(wanted.to_csv(index=False).encode()).hexdigest()


def materialised(contract: Contract, files: Collection[str], read: pd.DataFrame) -> Iterator[dg.AssetMaterialization]:
    """Events that show the years of files as materialised partitions, as a backfill of each year would."""
    known = set(YEARS.get_partition_keys())
    for year in sorted({str(records.year_of(file)) for file in files} & known):
        tags = {"dagster/data_version": version(read, {int(year)})}
        own = sorted(file for file in files if str(records.year_of(file)) == year)
        held = sorted(file for file in read["file"] if str(records.year_of(file)) == year)
        metadata: dict[str, str | int | dg.MetadataValue] = {
            "read by": f"raw/{contract.source}, which takes in every year",
            "files_read": len(own),
            "files_unchanged": len(held) - len(set(own) & set(held)),
            "files": dg.MetadataValue.json(held),
        }
        yield dg.AssetMaterialization(key_of(contract), partition=year, tags=tags, metadata=metadata)

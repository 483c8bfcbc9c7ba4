-- one row an indicator that the contract of a source with files names: how many of its files hold it, and how it is printed
with files as (
    select source, count(*) as files from raw.ledger where cells > 0 group by source
),

found as (
    select
        source,
        indicator,
        count(*) as cells,
        count(distinct file) as files_with_it,
        avg((coalesce(unit, '') = '')::integer) as share_without_unit,
        avg((coalesce(trim(value), '') in ('', '-', '－', '—', '…'))::integer) as share_blank
    from raw.yearbook_cells
    group by source, indicator
)

select distinct
    columns.source,
    columns.indicator,
    files.files,
    coalesce(found.files_with_it, 0) as files_with_it,
    coalesce(found.cells, 0) as cells,
    found.share_without_unit,
    found.share_blank
from raw.contract_columns as columns
inner join files on columns.source = files.source
left join found on columns.source = found.source and columns.indicator = found.indicator
order by columns.source, columns.indicator

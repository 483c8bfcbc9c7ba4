-- one row a raw file: what was read from it, how many places of it were read twice, and how many other files are the same
with places as (
    select source, file, count(*) - count(distinct (sheet, row, "column", indicator)) as read_twice
    from raw.yearbook_cells
    group by source, file
    union all
    -- more records than rows of the file can only be the same rows again; counting distinct ones would take too long
    select source, file, greatest(count(*) - (max(row) - min(row) + 1), 0) from raw.patents group by source, file
    union all
    select source, file, greatest(count(*) - (max(row) - min(row) + 1), 0) from raw.cases group by source, file
)

select
    ledger.source,
    ledger.file,
    ledger.rows,
    ledger.cells,
    ledger.rejects as not_as_promised,
    coalesce(places.read_twice, 0) as read_twice,
    count(*) over (partition by ledger.source, ledger.sha256) - 1 as same_content
from raw.ledger as ledger
left join places using (source, file)
order by ledger.source, ledger.file

-- one row a file of patents or court cases and column: how many of its records leave the column blank
with counted as (
    select
        source,
        file,
        count(*) as records,
        unnest([
            {'column': 'application_number', 'blank': count(*) filter (where coalesce(application_number, '') = '')},
            {'column': 'kind', 'blank': count(*) filter (where coalesce(kind, '') = '')},
            {'column': 'filing_date', 'blank': count(*) filter (where coalesce(filing_date, '') = '')},
            {'column': 'ipc', 'blank': count(*) filter (where coalesce(ipc, '') = '')},
            {'column': 'address', 'blank': count(*) filter (where coalesce(address, '') = '')}
        ]) as cell
    from raw.patents
    group by source, file
    union all
    select
        source,
        file,
        count(*) as records,
        unnest([
            {'column': 'case_number', 'blank': count(*) filter (where coalesce(case_number, '') = '')},
            {'column': 'court', 'blank': count(*) filter (where coalesce(court, '') = '')},
            {'column': 'cause', 'blank': count(*) filter (where coalesce(cause, '') = '')},
            {'column': 'concluded', 'blank': count(*) filter (where coalesce(concluded, '') = '')}
        ])
    from raw.cases
    group by source, file
)

select source, file, cell."column", records, cell.blank, cell.blank / records as share_blank
from counted
order by source, file, cell."column"

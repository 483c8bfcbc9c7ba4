-- grain: one raw file with values or records, and the years that they describe
with years as (
    select source, file, min(year) as first_year, max(year) as last_year
    from {{ ref('stg_yearbook_parsed') }}
    group by source, file
    union all
    select ledger.source, records.file, min(records.year), max(records.year)
    from {{ ref('records') }} as records
    inner join {{ source('raw', 'ledger') }} as ledger using (file)
    where records.measure in ('patent_applications', 'concluded_cases')
    group by ledger.source, records.file
),

-- two contracts may claim one file
final as (
    select source, file, min(first_year) as first_year, max(last_year) as last_year from years group by source, file
)

select * from final

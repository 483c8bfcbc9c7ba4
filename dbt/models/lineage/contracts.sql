-- grain: one source, as its contract states it
select * from {{ source('raw', 'contract_titles') }}

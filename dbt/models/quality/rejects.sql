-- grain: one value, column, sheet or file set aside, with the rule it broke and a sentence for the person who can act;
-- patents with the same fault in a file share a row
with readers as (
    select rule, source, file, sheet, row, "column", value, message from {{ source('raw', 'reader_rejects') }}
),

faulty_patents as (
    select
        judged.rule,
        files.source,
        judged.file,
        judged.first_row as row,
        case rule
            when 'unknown_year' then 'filing_date'
            when 'unknown_kind' then 'kind'
            when 'unknown_grant_date' then 'grant_date'
            when 'dates_out_of_order' then 'grant_date'
            when 'unknown_class' then 'ipc'
            when 'unknown_city' then 'address'
            else 'application_number'
        end as "column",
        case rule when 'duplicate_key' then '' else fault end as value,
        case rule
            when 'unknown_year' then 'the filing date is not one'
            when 'unknown_grant_date' then 'the date of its grant is not one'
            when 'unknown_kind' then 'its contract names no such kind of patent'
            when 'dates_out_of_order' then 'it was granted before it was filed'
            when 'unknown_class' then 'no symbol of the International Patent Classification can be read from it'
            when 'unknown_city' then 'no city of the crosswalk stands at the start of the address; correct it or add it to '
                || 'data/reference/city_names.csv'
            when 'duplicate_key' then 'the application number stands in another row too, which is counted'
        end as reason
    from {{ ref('stg_patents') }} as judged
    inner join {{ source('raw', 'patents_files') }} as files on judged.file = files.file
    where judged.rule is not null
),

patents as (
    select
        rule,
        source,
        file,
        '' as sheet,
        min(row) as row,
        "column",
        value,
        file || ', row ' || min(row) || case when count(*) > 1 then ' and ' || count(*) - 1 || ' more' else '' end || ', column '
            || "column" || ': ''' || value || ''' is set aside: ' || any_value(reason) || '.' as message
    from faulty_patents
    group by rule, source, file, "column", value
),

faulty_cases as (
    select
        cases.rule,
        files.source,
        cases.file,
        '' as sheet,
        cases.first_row as row,
        case rule
            when 'unknown_date' then 'concluded'
            when 'dates_out_of_order' then 'filed'
            when 'no_cause' then 'cause'
            when 'unknown_court' then 'court'
            when 'transferred_case' then 'document'
            else 'case_number'
        end as "column",
        case rule when 'unknown_court' then coalesce(court, '') when 'no_cause' then '' else coalesce(case_number, '') end as value,
        cases.file || ', row ' || cases.first_row || ': case ''' || coalesce(case_number, '') || ''' of ' || coalesce(trim(court), '')
            || ' is set aside: ' || case rule
                when 'unknown_date' then 'its date of conclusion is not one'
                when 'dates_out_of_order' then 'it was concluded before it was filed'
                when 'no_cause' then 'it names no cause of action'
                when 'unknown_court' then 'no list of courts knows this court; correct it or add it to data/reference/courts.csv'
                when 'transferred_case' then 'the ruling sends it to another court, which counts it'
                else 'this case stands in another row too, which is counted'
            end || '.' as message
    from {{ ref('stg_cases') }} as cases
    inner join {{ source('raw', 'cases_files') }} as files on cases.file = files.file
    where cases.rule is not null
),

cells as (
    select *, null::double as neighbours, null::double as trusted_value, null as trusted_source, null as whole, null::double as whole_value,
        null as first_file, null as first_sheet, null::bigint as first_row
    from {{ ref('stg_yearbook_parsed') }}
    where rule is not null
    union all by name
    select * from {{ ref('stg_yearbook_judged') }} where rule is not null
),

explained as (
    select
        *,
        value as number,
        round(value, 2) || ' ' || indicator_unit as canonical,
        file || case when sheet = '' then '' else ', sheet ''' || sheet || '''' end || ', row ' || row || ', column ' || "column"
            || ' (' || header || ')' as place,
        case rule
            when 'duplicate_key' then 'the same value stands in ' || first_file || ', sheet ''' || first_sheet || ''', row ' || first_row
            when 'conflicting_duplicate' then 'the same city and year has another value ' || case
                when file = first_file and sheet = first_sheet and row = first_row then 'further on'
                else 'in ' || first_file || ', sheet ''' || first_sheet || ''', row ' || first_row
            end || '; none of them is used'
            when 'tenfold' then canonical || ' is about ten times too large or too small against '
                || case when trusted_value is null or abs(abs(ln(number / trusted_value)) - ln(10)) >= 0.15 then 'the years around it (' || round(neighbours, 2) || ')'
                    else trusted_source || ' (' || round(trusted_value, 2) || ')' end
            when 'jump' then canonical || ' is a jump against the years around it (' || round(neighbours, 2) || ' ' || indicator_unit || ')'
            when 'sources_disagree' then canonical || ' is far from ' || trusted_source || ' (' || round(trusted_value, 2) || ' ' || indicator_unit
                || '), unlike the other years of this city'
            when 'part_above_whole' then canonical || ' is more than the whole, ' || whole || ' (' || round(whole_value, 2) || ')'
        end as reason
    from cells
),

final as (
    select
        rule,
        source,
        file,
        sheet,
        row,
        "column",
        text as value,
        coalesce(
            message,
            place || ': ''' || text || ''' ' || case when indicator_unit is null then '' else 'for ' || indicator || ' ' end
                || 'is set aside: ' || coalesce(reason, rule) || '.'
        ) as message,
        unit_code as city_code,
        year,
        indicator
    from explained
    union all by name
    select * from patents
    union all by name
    select * from faulty_cases
    union all by name
    select * from readers
)

select * from final order by source, file, sheet, row, "column", indicator, rule

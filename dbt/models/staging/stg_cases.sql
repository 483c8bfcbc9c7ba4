-- grain: one published judgment or ruling that is on intellectual property or set aside, else all of one file that are
-- alike in court's city and year of conclusion
{%- set raw_cases = source('raw', 'cases') -%}
{%- set decided_by = [source('raw', 'courts'), source('raw', 'geographic_units'), source('raw', 'ip_causes')] -%}
{%- set stamps -%}
    select file, md5(concat_ws(' ', sha256, contract_sha256, reader_sha256, {{ project_hash() }}, {{ content_of(decided_by) }})) as stamp
    from {{ source('raw', 'cases_files') }}
{%- endset -%}
{%- set number_of = "coalesce(" ~ clean_name('case_number') ~ ", '')" -%}
{#- files that share a case with what has changed: as it was, and as it is now -#}
{%- set also -%}
    select distinct file
    from (
        select file from {{ raw_cases }}
        where {{ number_of }} in (select {{ number_of }} from {{ raw_cases }} where __changed__)
        union all
        select twice.file
        from {{ this }} as twice
        inner join (select counted_in from (select distinct counted_in, counted_in as file from {{ this }}) as held where __changed__) as changed
            using (counted_in)
    ) as sharing
    where not (__changed__)
    order by file
{%- endset -%}
{%- set due = due_files(stamps, also) %}
{{ due_note(due) }}

-- what is due, and what shares a number with it
with records as {{ not_materialized() }} (
    select * from {{ raw_cases }}
    {%- if not due.rebuild %}
    where {{ is_due(due) }} or {{ number_of }} in (select {{ number_of }} from {{ raw_cases }} where {{ is_due(due) }})
    {%- endif %}
),

provinces as (
    select name as province
    from {{ source('raw', 'geographic_units') }}
    where type in ('province', 'municipality')
),

known_courts as (
    select
        court,
        city_code,
        coalesce(try_cast(valid_from as integer), 0) as valid_from,
        coalesce(try_cast(valid_to as integer), 9999) as valid_to
    from {{ source('raw', 'courts') }}
),

-- judgments name a court with or without its province; both are one court
spellings as (
    select court as spelling, court, city_code, valid_from, valid_to from known_courts
    union
    select concat(provinces.province, court), court, city_code, valid_from, valid_to
    from known_courts
    inner join provinces on left(court, length(provinces.province)) != provinces.province
),

typed as {{ not_materialized() }} (
    select
        *,
        {{ number_of }} as number,
        {{ date_of('concluded') }} as concluded_on,
        {{ date_of('filed') }} as filed_on
    from records
),

-- each court and year of conclusion once; of courts that bore one name, the one that sat then
sittings as (
    select sat.court, sat.year, spellings.court as known_court, spellings.city_code,
        row_number() over (
            partition by sat.court, sat.year
            order by
                case when sat.year between spellings.valid_from and spellings.valid_to then 0 else 1 end,
                spellings.valid_to desc,
                spellings.city_code
        ) as place_in_line
    from (
        select court, year, {{ clean_name('court') }} as spelling
        from (select distinct court, coalesce(year(concluded_on), 0) as year from typed) as named
    ) as sat
    inner join spellings on sat.spelling = spellings.spelling
),

causes as (
    select named.cause, named.cleaned, known.cause is not null as intellectual_property
    from (select cause, {{ clean_name('cause') }} as cleaned from (select distinct cause from records) as once) as named
    left join (
        select distinct {{ clean_name('cause') }} as cause from {{ source('raw', 'ip_causes') }} where is_ip = '1'
    ) as known on named.cleaned = known.cause
),

judged as {{ not_materialized() }} (
    select
        typed.*,
        sittings.known_court,
        sittings.city_code as unit_code,
        coalesce(causes.intellectual_property, false) as intellectual_property,
        case
            when typed.concluded_on is null then 'unknown_date'
            when typed.filed_on > typed.concluded_on then 'dates_out_of_order'
            when causes.cleaned is null or causes.cleaned = '' then 'no_cause'
            when sittings.known_court is null then 'unknown_court'
            when typed.document like '%移送%' then 'transferred_case'
        end as own_rule
    from typed
    left join sittings
        on typed.court = sittings.court and coalesce(year(typed.concluded_on), 0) = sittings.year and sittings.place_in_line = 1
    left join causes on typed.cause = causes.cause
),

-- one case has one number in one court: its first document counts, later ones repeat or correct it, whichever files
-- they stand in; hashes first, because few numbers repeat
repeated as (
    select {{ hash_of("concat(known_court, ' ', number)") }} as case_hash
    from judged
    where own_rule is null
    group by {{ hash_of("concat(known_court, ' ', number)") }}
    having count(*) > 1
),

surplus as (
    select file, row, counted_in
    from (
        select
            file,
            row,
            first_value(file) over (partition by known_court, number order by concluded_on, file, row) as counted_in,
            row_number() over (partition by known_court, number order by concluded_on, file, row) as place_in_line
        from judged
        where own_rule is null and {{ hash_of("concat(known_court, ' ', number)") }} in (select case_hash from repeated)
    ) as lined_up
    where place_in_line > 1
),

ruled as {{ not_materialized() }} (
    select
        judged.*,
        coalesce(judged.own_rule, case when surplus.row is not null then 'duplicate_case' end) as rule,
        surplus.counted_in
    from judged
    left join surplus on judged.file = surplus.file and judged.row = surplus.row
),

{% set own_row = "intellectual_property or rule is not null" -%}
final as (
    select
        file,
        min(row) as first_row,
        max(row) as last_row,
        count(*) as records,
        unit_code,
        cast(year(concluded_on) as integer) as year,
        intellectual_property,
        rule,
        max(case when {{ own_row }} then case_number end) as case_number,
        max(case when {{ own_row }} then court end) as court,
        max(counted_in) as counted_in
    from ruled
    where {{ is_due(due) }}
    group by
        file,
        unit_code,
        year(concluded_on),
        intellectual_property,
        rule,
        case when {{ own_row }} then row end
)

select * from final

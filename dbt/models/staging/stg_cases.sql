-- grain: one published judgment or ruling, typed, with its court's city and the rule by which it does not count, if any
{%- set raw_cases = source('raw', 'cases') -%}
{%- set decided_by = [source('raw', 'courts'), source('raw', 'geographic_units'), source('raw', 'ip_causes')] -%}
{%- set stamps -%}
    select file, md5(concat_ws(' ', sha256, contract_sha256, reader_sha256, {{ project_hash() }}, {{ content_of(decided_by) }})) as stamp
    from {{ source('raw', 'cases_files') }}
{%- endset -%}
{#- files that share a case with what has changed, before or after -#}
{%- set also -%}
    select distinct file
    from {{ this }}
    where not (__changed__) and number in (
        select number from {{ this }} where __changed__
        union all
        select coalesce({{ clean_name('case_number') }}, '') from {{ raw_cases }} where __changed__
    )
    order by file
{%- endset -%}
{%- set due = due_files(stamps, also) %}
{{ due_note(due) }}

with records as (
    select * from {{ raw_cases }} where {{ is_due(due) }}
),

cleaned as (
    select
        *,
        {{ clean_name('court') }} as court_name,
        coalesce({{ clean_name('case_number') }}, '') as number,
        {{ clean_name('cause') }} as cause_name,
        coalesce(try_cast(concluded as date), try_strptime(concluded, ['%Y年%-m月%-d日', '%Y/%-m/%-d'])::date) as concluded_on,
        coalesce(try_cast(filed as date), try_strptime(filed, ['%Y年%-m月%-d日', '%Y/%-m/%-d'])::date) as filed_on
    from records
),

known_courts as (
    select
        court,
        city_code,
        coalesce(try_cast(valid_from as integer), 0) as valid_from,
        coalesce(try_cast(valid_to as integer), 9999) as valid_to
    from {{ source('raw', 'courts') }}
),

provinces as (
    select name as province
    from {{ source('raw', 'geographic_units') }}
    where type in ('province', 'municipality')
),

-- judgments name a court with or without its province; both are one court
spellings as (
    select court as spelling, court, city_code, valid_from, valid_to from known_courts
    union
    select provinces.province || known_courts.court, known_courts.court, known_courts.city_code, valid_from, valid_to
    from known_courts
    inner join provinces on not starts_with(known_courts.court, provinces.province)
),

located as (
    select cleaned.*, spellings.court as known_court, spellings.city_code as unit_code
    from cleaned
    left join spellings on cleaned.court_name = spellings.spelling
    qualify row_number() over (
        partition by cleaned.file, cleaned.row
        order by
            (year(cleaned.concluded_on) between spellings.valid_from and spellings.valid_to) desc nulls last,
            spellings.valid_to desc nulls last,
            spellings.city_code
    ) = 1
),

judged as (
    select
        located.*,
        causes.cause is not null as intellectual_property,
        case
            when concluded_on is null then 'unknown_date'
            when filed_on > concluded_on then 'dates_out_of_order'
            when cause_name = '' or cause_name is null then 'no_cause'
            when known_court is null then 'unknown_court'
            when located.document like '%移送%' then 'transferred_case'
        end as own_rule
    from located
    left join {{ source('raw', 'ip_causes') }} as causes
        on located.cause_name = {{ clean_name('causes.cause') }} and causes.is_ip = '1'
),

-- one case has one number in one court: its first document counts, later ones repeat or correct it, whichever files
-- they stand in
surplus as (
    select file, row
    from (
        select known_court, number, concluded_on, file, row from judged where own_rule is null
        {%- if not due.rebuild %}
        union all
        select known_court, number, concluded_on, file, row
        from {{ this }}
        where not ({{ is_due(due) }}) and coalesce(rule, 'duplicate_case') = 'duplicate_case'
            and number in (select number from judged)
        {%- endif %}
    )
    qualify row_number() over (partition by known_court, number order by concluded_on, file, row) > 1
),

final as (
    select
        judged.source,
        judged.file,
        judged.row,
        judged.case_number,
        judged.number,
        judged.court,
        judged.known_court,
        judged.cause,
        judged.unit_code,
        judged.concluded_on,
        year(judged.concluded_on) as year,
        judged.intellectual_property,
        coalesce(judged.own_rule, case when surplus.row is not null then 'duplicate_case' end) as rule
    from judged
    left join surplus on judged.file = surplus.file and judged.row = surplus.row
)

select * from final

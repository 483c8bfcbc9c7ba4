-- grain: one published judgment or ruling, typed, with its court's city and the rule by which it does not count, if any
with records as (
    select * from {{ source('raw', 'cases') }}
),

cleaned as (
    select
        *,
        {{ clean_name('court') }} as court_name,
        {{ clean_name('case_number') }} as number,
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

-- one case has one number in one court: its first document counts, later ones repeat or correct it
final as (
    select
        source,
        file,
        row,
        case_number,
        court,
        known_court,
        cause,
        unit_code,
        year(concluded_on) as year,
        intellectual_property,
        coalesce(
            own_rule,
            case
                when row_number() over (
                    partition by own_rule is null, known_court, number order by concluded_on, file, row
                ) > 1 then 'duplicate_case'
            end
        ) as rule
    from judged
)

select * from final

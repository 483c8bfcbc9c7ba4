-- grain: one city, year and change of caliber: borders that moved, parts that joined, another definition or another source
with history as (
    select try_cast("year" as integer) as year, from_code, from_name, to_code, to_name, treatment, note
    from {{ source('raw', 'code_history') }}
    where treatment in ('flag', 'sum') and from_code is distinct from to_code
),

cities as (
    select unit_code, city_code from {{ ref('int_geography') }} where treatment != 'sum'
),

borders as (
    select
        cities.city_code,
        history.year,
        case history.treatment when 'sum' then 'merger' else 'borders' end as kind,
        case
            when from_code is null then to_name || ' became a city of prefecture level'
            else to_name || ' took in ' || case history.treatment when 'sum' then 'all' else 'part' end || ' of '
                || from_name || ' (' || from_code || ')'
        end || coalesce(': ' || note, '') as what
    from history
    inner join cities on history.to_code = cities.unit_code
    union all
    select
        cities.city_code,
        history.year,
        'borders',
        from_name || ' lost a part to ' || to_name || ' (' || to_code || ')' || coalesce(': ' || note, '')
    from history
    inner join cities on history.from_code = cities.unit_code
    where history.treatment = 'flag'
),

-- which definition and which source each value has, beside those of the year before that has one
measured as (
    select
        cells.city_code,
        cells.year,
        cells.indicator,
        string_agg(distinct coalesce(headers.definition, headers.header), ' and ' order by coalesce(headers.definition, headers.header)) as definition,
        bool_or(headers.definition is not null) as is_defined,
        string_agg(distinct headers.source, ' and ' order by headers.source) as source
    from {{ ref('cells') }} as cells
    inner join {{ ref('headers') }} as headers using (header_id)
    where cells.used and cells.city_code != '100000'
    group by cells.city_code, cells.year, cells.indicator
),

compared as (
    select
        *,
        lag(year) over series as year_before,
        lag(definition) over series as definition_before,
        lag(is_defined) over series as was_defined,
        lag(source) over series as source_before
    from measured
    window series as (partition by city_code, indicator order by year)
),

definitions as (
    select
        city_code,
        year,
        case when source = source_before then 'definition' else 'source' end as kind,
        indicator,
        case
            when source = source_before then indicator || ' is ' || definition || '; in ' || year_before || ' it was ' || definition_before
            else indicator || ' is from ' || source || '; in ' || year_before || ' it was from ' || source_before
        end as what
    from compared
    where source != source_before
        or (source = source_before and definition != definition_before and (is_defined or was_defined))
),

final as (
    select city_code, year, kind, null as indicator, what from borders
    union all
    select city_code, year, kind, indicator, what from definitions
)

select * from final order by city_code, year, kind, indicator, what

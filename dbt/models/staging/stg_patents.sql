-- grain: one patent application, typed, with its city; green when any of its IPC symbols is in the Green Inventory
{%- set raw_patents = source('raw', 'patents') -%}
{%- set decided_by = [source('raw', 'patent_kinds'), source('raw', 'city_names'), source('raw', 'geographic_units'), source('raw', 'green_ipc')] -%}
{%- set stamps -%}
    select file, md5(concat_ws(' ', sha256, contract_sha256, reader_sha256, {{ project_hash() }}, {{ content_of(decided_by) }})) as stamp
    from {{ source('raw', 'patents_files') }}
{%- endset -%}
{#- an application may be listed at its publication and again at its grant: the row that knows of the grant counts -#}
{%- set order_of_rivals = "partition by application_number order by coalesce(grant_date, '') = '', file, row" -%}
{#- files in which a row has become, or is no longer, the second of its application -#}
{%- set also -%}
    with numbers as (
        select application_number from {{ raw_patents }} where __changed__
        union
        select fault from {{ this }} where rule = 'duplicate_key'
    ),
    surplus as (
        select file, row
        from {{ raw_patents }}
        where application_number in (select application_number from numbers)
        qualify row_number() over ({{ order_of_rivals }}) > 1
    )
    select distinct judged.file
    from {{ this }} as judged
    left join surplus on judged.file = surplus.file and judged.row = surplus.row
    where not ({{ 'judged.__changed__' }})
        and ((judged.rule is null and surplus.row is not null) or (judged.rule = 'duplicate_key' and surplus.row is null))
    order by all
{%- endset -%}
{%- set due = due_files(stamps, also) %}
{{ due_note(due) }}

-- read as often as it is named: keeping every record in memory would take more than reading it again
with records as not materialized (
    select * from {{ raw_patents }} where {{ is_due(due) }}
),

kinds as (
    select text, any_value(kind) as kind from {{ source('raw', 'patent_kinds') }} group by text
),

names as (
    select
        names.name_or_code as name,
        -- a county-level city stands for the prefecture it is part of
        arg_max(
            coalesce(nullif(units.part_of, ''), names.city_code), coalesce(try_cast(names.valid_to as integer), 9999)
        ) as unit_code
    from {{ source('raw', 'city_names') }} as names
    inner join {{ source('raw', 'geographic_units') }} as units on names.city_code = units.city_code
    where names.kind not in ('code', 'former code')
    group by names.name_or_code
),

-- a name, or a name behind its province without 省 (湖北武汉市): in that order of trust
places as (
    select place, arg_min(unit_code, trust) as unit_code
    from (
        select name as place, unit_code, 1 as trust from names
        union all
        select provinces.short_name || names.name, names.unit_code, 2
        from names
        inner join {{ ref('stg_provinces') }} as provinces on left(names.unit_code, 2) = provinces.province
    )
    group by place
),

-- rows of one application, whichever files they stand in; hashes first, because few numbers repeat and whole ones take more room
rivals as not materialized (
    {% if due.rebuild -%}
    select application_number, grant_date, file, row from records
    {%- else -%}
    select application_number, grant_date, file, row from {{ raw_patents }}
    where application_number in (select application_number from records)
    {%- endif %}
),

repeated as (
    select hash(application_number) as number_hash
    from rivals
    where application_number is not null
    group by number_hash
    having count(*) > 1
),

surplus as (
    select file, row
    from rivals
    where hash(application_number) in (select number_hash from repeated)
    qualify row_number() over ({{ order_of_rivals }}) > 1
),

-- classes of a patent: each list once, then each symbol once
lists as (
    select distinct ipc from records where ipc is not null
),

symbols as (
    select
        symbol,
        regexp_extract({{ clean_name('symbol') }}, '^([A-H]\d\d[A-Z])(\d+)/(\d+)', ['subclass', 'main', 'sub']) as part
    from (select distinct unnest(string_split(ipc, ';')) as symbol from lists)
),

green_symbols as (
    select distinct symbols.symbol
    from symbols
    inner join {{ source('raw', 'green_ipc') }} as green
        on left(symbols.part.subclass, 3) = left(green.ipc_class, 3)
        and starts_with(symbols.part.subclass, green.ipc_class)
        and (green.group_from is null or try_cast(symbols.part.main as integer) between green.group_from and green.group_to)
        -- subgroups order as decimals: 31/042 lies before 31/05
        and (
            green.subgroup_from is null
            or try_cast('0.' || symbols.part.sub as double)
            between try_cast('0.' || green.subgroup_from as double) and try_cast('0.' || green.subgroup_to as double)
        )
),

telling_symbols as (
    select symbol, true as green from green_symbols
    union all
    select symbol, false from symbols where part.subclass = ''
),

-- lists that are green, or in which no symbol can be read; every other list is neither
telling_lists as (
    select
        ipc,
        bool_or(telling_symbols.green) as green,
        count(*) filter (where telling_symbols.green) > 0 or count(*) < len(string_split(ipc, ';')) as readable
    from (select ipc, unnest(string_split(ipc, ';')) as symbol from lists) as listed
    inner join telling_symbols using (symbol)
    group by ipc
),

-- dates, and an address up to its first place that ends in city, prefecture, league or autonomous prefecture; what stands in
-- front of the place (postal code, province) is found once for all addresses that begin alike, which takes a fourth of the time
typed as not materialized (
    select
        *,
        try_cast(filing_date as date) as filed,
        try_cast(nullif(grant_date, '') as date) as granted,
        {{ address_start('address') }} as start
    from records
),

starts as (
    select located.start, located.place, places.unit_code
    from (
        select start, {{ place_in('start') }} as place from (select distinct start from typed)
    ) as located
    left join places using (place)
),

judged as not materialized (
    select
        typed.*,
        kinds.kind as known_kind,
        starts.unit_code,
        starts.place,
        coalesce(telling_lists.green, false) as green,
        case
            when typed.filed is null then 'unknown_year'
            when kinds.kind is null then 'unknown_kind'
            when typed.granted < typed.filed then 'dates_out_of_order'
            -- designs have classes of their own (Locarno), none of which is green
            when kinds.kind != 'design' and (typed.ipc is null or not coalesce(telling_lists.readable, true)) then 'unknown_class'
            when starts.unit_code is null then 'unknown_city'
            when surplus.row is not null then 'duplicate_key'
        end as rule
    from typed
    left join kinds on typed.kind = kinds.text
    left join starts on typed.start = starts.start
    left join telling_lists on typed.ipc = telling_lists.ipc
    left join surplus on typed.file = surplus.file and typed.row = surplus.row
),

final as not materialized (
    select
        known_kind as kind,
        year(filed) as application_year,
        year(granted) as grant_year,
        green,
        unit_code,
        file,
        row,
        rule,
        case rule
            when 'unknown_year' then coalesce(filing_date, '')
            when 'unknown_kind' then coalesce(kind, '')
            when 'dates_out_of_order' then coalesce(grant_date, '')
            when 'unknown_class' then coalesce(ipc, '')
            -- a text without a place is as good as unique: its beginning stands for others like it
            when 'unknown_city' then coalesce(nullif(place, ''), left(address, 8), '')
            when 'duplicate_key' then application_number
        end as fault
    from judged
)

select * from final

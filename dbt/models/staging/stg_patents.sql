-- grain: one patent application that is green or set aside, else all of one file that are alike in unit, kind and years
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
    ),
    aside as (
        select file, first_row as row, rule from {{ this }} where rule is not null
    )
    select distinct file
    from aside
    full join surplus using (file, row)
    where not (__changed__)
        and ((aside.rule is null and surplus.file is not null) or (aside.rule = 'duplicate_key' and surplus.file is null))
    order by all
{%- endset -%}
{%- set due = due_files(stamps, also) %}
{{ due_note(due) }}

with records as {{ not_materialized() }} (
    select * from {{ raw_patents }} where {{ is_due(due) }}
),

kinds as (
    select text, min(kind) as kind from {{ source('raw', 'patent_kinds') }} group by text
),

-- the unit that bore a name last; a county-level city stands for the prefecture it is part of
names as (
    select name, unit_code
    from (
        select
            names.name_or_code as name,
            coalesce(nullif(units.part_of, ''), names.city_code) as unit_code,
            row_number() over (
                partition by names.name_or_code
                order by coalesce(try_cast(names.valid_to as integer), 9999) desc, names.city_code
            ) as place_in_line
        from {{ source('raw', 'city_names') }} as names
        inner join {{ source('raw', 'geographic_units') }} as units on names.city_code = units.city_code
        where names.kind not in ('code', 'former code')
    ) as borne
    where place_in_line = 1
),

-- a name, or a name behind its province without 省 (湖北武汉市): in that order of trust
places as (
    select name as place, unit_code from names
    union all
    select behind.place, min(behind.unit_code)
    from (
        select concat(provinces.short_name, names.name) as place, names.unit_code
        from names
        inner join {{ ref('stg_provinces') }} as provinces on left(names.unit_code, 2) = provinces.province
    ) as behind
    left join names on behind.place = names.name
    where names.name is null
    group by behind.place
),

-- rows of one application, whichever files they stand in; hashes first, because few numbers repeat and whole ones take more room
rivals as {{ not_materialized() }} (
    {% if due.rebuild -%}
    select application_number, grant_date, file, row from records
    {%- else -%}
    select application_number, grant_date, file, row from {{ raw_patents }}
    where application_number in (select application_number from records)
    {%- endif %}
),

repeated as (
    select {{ hash_of('application_number') }} as number_hash
    from rivals
    where application_number is not null
    group by {{ hash_of('application_number') }}
    having count(*) > 1
),

surplus as (
    select file, row
    from (
        select file, row, row_number() over ({{ order_of_rivals }}) as place_in_line
        from rivals
        where {{ hash_of('application_number') }} in (select number_hash from repeated)
    ) as lined_up
    where place_in_line > 1
),

-- symbols in the lists of classes
listed as {{ not_materialized() }} (
    select ipc, {{ split_rows('ipc', ';') }} as symbol from records
),

written as (
    select symbol, {{ clean_name('symbol') }} as cleaned
    from (select distinct symbol from listed) as once
),

symbols as (
    select
        symbol,
        regexp_extract(cleaned, '{{ ipc_pattern() }}', 1) as subclass,
        try_cast(regexp_extract(cleaned, '{{ ipc_pattern() }}', 2) as integer) as main_group,
        -- subgroups order as decimals: 31/042 lies before 31/05
        try_cast(concat('0.', regexp_extract(cleaned, '{{ ipc_pattern() }}', 3)) as double) as subgroup
    from written
),

green_symbols as (
    select distinct symbols.symbol
    from symbols
    inner join {{ source('raw', 'green_ipc') }} as green
        on left(symbols.subclass, 3) = left(green.ipc_class, 3)
        and left(symbols.subclass, length(green.ipc_class)) = green.ipc_class
        and (green.group_from is null or symbols.main_group between green.group_from and green.group_to)
        and (
            green.subgroup_from is null
            or symbols.subgroup between try_cast(concat('0.', green.subgroup_from) as double)
            and try_cast(concat('0.', green.subgroup_to) as double)
        )
),

telling_symbols as (
    select symbol, true as green from green_symbols
    union all
    select symbol, false from symbols where subclass = ''
),

-- lists that are green, or in which no symbol can be read; every other list is neither
telling_lists as (
    select
        ipc,
        bool_or(green) as green,
        bool_or(green) or count(*) < max({{ count_of_parts('ipc', ';') }}) as readable
    from (
        select distinct listed.ipc, listed.symbol, telling_symbols.green
        from listed
        inner join telling_symbols on listed.symbol = telling_symbols.symbol
    ) as told
    group by ipc
),

-- dates, and an address up to its first place that ends in city, prefecture, league or autonomous prefecture; what stands in
-- front of the place (postal code, province) is found once for all addresses that begin alike, which takes a fourth of the time
typed as {{ not_materialized() }} (
    select
        *,
        {{ date_of('filing_date') }} as filed,
        {{ date_of('grant_date') }} as granted,
        {{ address_start('address') }} as beginning
    from records
),

beginnings as (
    select located.beginning, located.place, places.unit_code
    from (
        select beginning, {{ place_in('beginning') }} as place from (select distinct beginning from typed) as begun
    ) as located
    left join places on located.place = places.place
),

judged as {{ not_materialized() }} (
    select /*+ broadcast(kinds, beginnings, telling_lists) */
        typed.*,
        kinds.kind as known_kind,
        beginnings.unit_code,
        beginnings.place,
        coalesce(telling_lists.green, false) as green,
        case
            when typed.filed is null then 'unknown_year'
            when kinds.kind is null then 'unknown_kind'
            when typed.granted is null and regexp_extract(typed.grant_date, '[0-9０-９]', 0) != '' then 'unknown_grant_date'
            when typed.granted < typed.filed then 'dates_out_of_order'
            -- designs have classes of their own (Locarno), none of which is green
            when kinds.kind != 'design' and (typed.ipc is null or not coalesce(telling_lists.readable, true)) then 'unknown_class'
            when beginnings.unit_code is null then 'unknown_city'
            when surplus.row is not null then 'duplicate_key'
        end as rule
    from typed
    left join kinds on typed.kind = kinds.text
    left join beginnings on typed.beginning = beginnings.beginning
    left join telling_lists on typed.ipc = telling_lists.ipc
    left join surplus on typed.file = surplus.file and typed.row = surplus.row
),

final as (
    select
        file,
        min(row) as first_row,
        max(row) as last_row,
        count(*) as records,
        unit_code,
        known_kind as kind,
        cast(year(filed) as integer) as application_year,
        cast(year(granted) as integer) as grant_year,
        green,
        rule,
        max(
            case rule
                when 'unknown_year' then coalesce(filing_date, '')
                when 'unknown_kind' then coalesce(kind, '')
                when 'unknown_grant_date' then grant_date
                when 'dates_out_of_order' then coalesce(grant_date, '')
                when 'unknown_class' then coalesce(ipc, '')
                -- a text without a place is as good as unique: its beginning stands for others like it
                when 'unknown_city' then coalesce(nullif(place, ''), left(address, 8), '')
                when 'duplicate_key' then application_number
            end
        ) as fault
    from judged
    group by
        file,
        unit_code,
        known_kind,
        year(filed),
        year(granted),
        green,
        rule,
        case when green or rule is not null then row end
)

select * from final

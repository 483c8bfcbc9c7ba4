-- grain: one parsed cell that stands by itself, with the first rule it breaks against its neighbours
with cells as (
    select * from {{ ref('stg_yearbook_parsed') }} where rule is null
),

-- one value a source, unit, year and indicator: the first of equal ones; of unequal ones none can be told to be right
counted as (
    select
        *,
        row_number() over key as place,
        first_value(file) over key as first_file,
        first_value(sheet) over key as first_sheet,
        first_value(row) over key as first_row,
        min(value) over (partition by source, unit_code, year, indicator) as lowest,
        max(value) over (partition by source, unit_code, year, indicator) as highest
    from cells
    window key as (partition by source, unit_code, year, indicator order by file, sheet, row, "column")
),

keyed as (
    select
        *,
        case
            when highest - lowest > 1e-6 * abs(highest) then 'conflicting_duplicate'
            when place > 1 then 'duplicate_key'
        end as key_rule
    from counted
),

single as (
    select * from keyed where key_rule is null
),

surrounded as (
    select
        single.*,
        indicators.jump,
        indicators.whole,
        median(single.value) filter (where single.value > 0) over (
            series range between 3 preceding and 1 preceding
        ) as before,
        median(single.value) filter (where single.value > 0) over (
            series range between 1 following and 3 following
        ) as after
    from single
    left join {{ source('raw', 'indicators') }} as indicators on single.indicator = indicators.indicator
    window series as (partition by single.source, single.unit_code, single.indicator order by single.year)
),

-- a value is out of line when it leaves the years before and the years after in the same direction; at the end of a
-- series, where only one side speaks, growth must be allowed for: the threshold is squared
departures as (
    select
        *,
        coalesce((before + after) / 2, before, after) as neighbours,
        case
            when value is null or value <= 0 then null
            when before is null or after is null then abs(ln(value / coalesce(before, after))) / 2
            when sign(ln(value / before)) = sign(ln(value / after)) then least(abs(ln(value / before)), abs(ln(value / after)))
            else 0
        end as departure
    from surrounded
),

-- the same quantity from the most trusted other source that is at least as trusted as this one; a value that is itself out
-- of line speaks against none
trusted as (
    select one.source, one.unit_code, one.year, one.indicator, arg_min(other.value, other.priority) as trusted_value,
        arg_min(other.source, other.priority) as trusted_source
    from departures as one
    inner join departures as other
        on one.unit_code = other.unit_code
        and one.year = other.year
        and one.indicator = other.indicator
        and (other.priority, other.source) < (one.priority, one.source)
    where other.value > 0 and not coalesce(other.departure > ln(other.jump), false)
    group by all
),

-- the whole that a value is a part of, as the same source prints it, else the most trusted of the others, whose caliber may
-- be another; one that is itself out of line speaks against none
wholes as (
    select
        part.source,
        part.unit_code,
        part.year,
        part.indicator,
        arg_min(entire.value, (entire.source != part.source, entire.priority, entire.source)) as whole_value,
        if(bool_or(entire.source = part.source), 1.01, 1.2) as allowed
    from departures as part
    inner join departures as entire
        on part.unit_code = entire.unit_code
        and part.year = entire.year
        and part.whole = entire.indicator
    where entire.value > 0 and not coalesce(entire.departure > ln(entire.jump), false)
    group by all
),

compared as (
    select
        departures.*,
        wholes.whole_value,
        wholes.allowed,
        trusted.trusted_value,
        trusted.trusted_source,
        case when departures.value > 0 then ln(departures.value / trusted.trusted_value) end as gap
    from departures
    left join trusted using (source, unit_code, year, indicator)
    left join wholes using (source, unit_code, year, indicator)
),

-- two vintages may differ by a constant factor; a year that leaves that factor, and not towards agreement, has another caliber
usual as (
    select *, median(gap) over (partition by source, unit_code, indicator) as usual_gap from compared
),

judged as (
    select
        *,
        case
            when gap is not null and abs(abs(gap) - ln(10)) < 0.15 then 'tenfold'
            when jump < 8 and departure > ln(jump) and abs(abs(ln(value / neighbours)) - ln(10)) < 0.2 then 'tenfold'
            when departure > ln(jump) then 'jump'
            when jump is not null and abs(gap - usual_gap) > 0.25 and abs(gap) > 0.1 then 'sources_disagree'
            when value > allowed * whole_value then 'part_above_whole'
        end as neighbour_rule
    from usual
),

final as (
    select
        keyed.* exclude (place, lowest, highest, key_rule, rule),
        judged.neighbours,
        judged.trusted_value,
        judged.trusted_source,
        judged.whole,
        judged.whole_value,
        coalesce(keyed.key_rule, judged.neighbour_rule) as rule
    from keyed
    left join judged using (source, file, sheet, row, "column", indicator)
)

select * from final

-- grain: one column of a study's panel, with labels in both languages, unit, source and how much of it was filled in
with variables as (
    select * from {{ source('raw', 'study_variables') }}
),

formulas as (
    select name, formula from {{ ref('formulas') }} where layer = 'panel'
),

-- columns that every study's panel carries to say where borders moved
flags as (
    select *
    from (
        values
        ('borders_merged', 'Sum of units that were apart', '合并前各单位之和', 'values of the row are sums of units that merged later'),
        ('borders_changed', 'First year of other borders', '行政区划变更首年', 'a part of the city came or went, or a unit joined it')
    ) as rows (name, label_en, label_zh, formula)
),

final as (
    select
        variables.study,
        variables.position,
        variables.name as column_name,
        variables.label_en,
        variables.label_zh,
        variables.unit,
        case when variables.formula is null then variables.source_column end as city_year_column,
        variables.role,
        variables.interpolate,
        variables.max_gap,
        variables.scale = 'log' as log,
        variables.scale,
        variables.change,
        variables.lag,
        variables.winsorize_low,
        variables.winsorize_high,
        variables.standardise,
        coalesce(variables.formula, formulas.formula) as formula
    from variables
    left join formulas on variables.source_column = formulas.name
    union all by name
    select
        studies.study,
        flags.name as column_name,
        flags.label_en,
        flags.label_zh,
        'true or false' as unit,
        flags.name as city_year_column,
        'flag' as role,
        'none' as interpolate,
        false as log,
        'none' as scale,
        'none' as change,
        0 as lag,
        false as standardise,
        flags.formula
    from {{ source('raw', 'studies') }} as studies
    cross join flags
)

select * from final order by study, position, column_name

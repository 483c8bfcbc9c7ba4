-- grain: one column of a study's panel, with labels in both languages, unit, source and how much of it was filled in
with variables as (
    select * from {{ source('raw', 'study_variables') }}
),

final as (
    select
        study,
        position,
        name as column_name,
        label_en,
        label_zh,
        unit,
        source_column as city_year_column,
        role,
        interpolate,
        log,
        winsorize_low,
        winsorize_high
    from variables
)

select * from final order by study, position

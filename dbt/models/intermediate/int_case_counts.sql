-- grain: one file, court's unit, year of conclusion and whether intellectual property; cases that count
{%- set judged = ref('stg_cases') -%}
{%- set due = due_files("select file, build as stamp from " ~ files_of(judged)) %}
{{ due_note(due) }}

select file, unit_code, year, intellectual_property, count(*) as cases
from {{ judged }}
where rule is null and {{ is_due(due) }}
group by all
order by all

-- grain: one file, unit, kind, year of application, year of grant and whether green; applications that count
{%- set judged = ref('stg_patents') -%}
{%- set due = due_files("select file, build as stamp from " ~ files_of(judged)) %}
{{ due_note(due) }}

select file, unit_code, kind, application_year, grant_year, green, count(*) as applications
from {{ judged }}
where rule is null and {{ is_due(due) }}
group by all
order by all

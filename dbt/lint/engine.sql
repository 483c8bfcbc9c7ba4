{# What dbt dispatches to an engine or asks the warehouse for, as plain text for the linter; dbt does not read this folder. #}
{% macro holds(column, pattern) %}regexp_matches({{ column }}, '{{ pattern }}'){% endmacro %}
{% macro fits(column, pattern) %}regexp_full_match({{ column }}, '{{ pattern }}'){% endmacro %}
{% macro without(column, pattern) %}regexp_replace({{ column }}, '{{ pattern }}', '', 'g'){% endmacro %}
{% macro hash_of(column) %}hash({{ column }}){% endmacro %}
{% macro date_of(column) %}try_cast({{ column }} as date){% endmacro %}
{% macro split_rows(column, separator) %}unnest(string_split({{ column }}, '{{ separator }}')){% endmacro %}
{% macro count_of_parts(column, separator) %}len(string_split({{ column }}, '{{ separator }}')){% endmacro %}
{% macro not_materialized() %}not materialized{% endmacro %}
{% macro run_query(query) %}{% endmacro %}
{% macro due_files(stamps, also) %}{% endmacro %}
{% macro due_note(due) %}{% endmacro %}
{% macro is_due(due) %}true{% endmacro %}
{% macro file_in(files) %}true{% endmacro %}
{% macro files_of(relation) %}{{ relation }}_files{% endmacro %}
{% macro content_of(relations) %}''{% endmacro %}
{% macro project_hash() %}''{% endmacro %}

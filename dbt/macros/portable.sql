{# What DuckDB and Apache Spark write differently; models of records (patents, court cases) run on both. #}

{# A query that is read anew wherever it is named: keeping every record in memory would take more than reading it again. #}
{% macro not_materialized() -%}
    {{ adapter.dispatch('not_materialized')() }}
{%- endmacro %}

{% macro default__not_materialized() -%}
    not materialized
{%- endmacro %}

{% macro spark__not_materialized() -%}
{%- endmacro %}

{# A row for each part of a text. #}
{% macro split_rows(column, separator) -%}
    {{ adapter.dispatch('split_rows')(column, separator) }}
{%- endmacro %}

{% macro default__split_rows(column, separator) -%}
    unnest(string_split({{ column }}, '{{ separator }}'))
{%- endmacro %}

{% macro spark__split_rows(column, separator) -%}
    explode(split({{ column }}, '{{ separator }}'))
{%- endmacro %}

{# How many different parts a text has. #}
{% macro count_of_parts(column, separator) -%}
    {{ adapter.dispatch('count_of_parts')(column, separator) }}
{%- endmacro %}

{% macro default__count_of_parts(column, separator) -%}
    len(list_distinct(string_split({{ column }}, '{{ separator }}')))
{%- endmacro %}

{% macro spark__count_of_parts(column, separator) -%}
    size(array_distinct(split({{ column }}, '{{ separator }}')))
{%- endmacro %}

{# A number that stands for a text where whole texts would take more room; other texts may, rarely, have the same one. #}
{% macro hash_of(column) -%}
    {{ adapter.dispatch('hash_of')(column) }}
{%- endmacro %}

{% macro default__hash_of(column) -%}
    hash({{ column }})
{%- endmacro %}

{% macro spark__hash_of(column) -%}
    xxhash64({{ column }})
{%- endmacro %}

{# A text without anything that fits a regular expression. #}
{% macro without(column, pattern) -%}
    {{ adapter.dispatch('without')(column, pattern) }}
{%- endmacro %}

{% macro default__without(column, pattern) -%}
    regexp_replace({{ column }}, '{{ pattern }}', '', 'g')
{%- endmacro %}

{% macro spark__without(column, pattern) -%}
    regexp_replace({{ column }}, '{{ pattern }}', '')
{%- endmacro %}

{# The date that a text gives as year, month and day, apart by - or / or as 2015年3月1日 or 2015.3.1; null where there is none. #}
{% macro date_of(column) -%}
    {{ adapter.dispatch('date_of')(column) }}
{%- endmacro %}

{% macro default__date_of(column) -%}
    coalesce(try_cast({{ column }} as date), try_cast({{ plain_date(column) }} as date))
{%- endmacro %}

{# Spark would take a year or a month for its first day. #}
{% macro spark__date_of(column) -%}
    {%- set plain = plain_date(column) -%}
    {%- set pattern = '^\\s*(\\d{1,4})([-/ ])(\\d{1,2})\\2(\\d{1,2})(?:\\s+\\d{1,2}:\\d{2}:\\d{2}(?:[.]\\d+)?)?\\s*$' -%}
    try_cast(
        concat_ws(
            '-',
            lpad(regexp_extract({{ plain }}, '{{ pattern }}', 1), 4, '0'),
            regexp_extract({{ plain }}, '{{ pattern }}', 3),
            regexp_extract({{ plain }}, '{{ pattern }}', 4)
        ) as date
    )
{%- endmacro %}

{% macro plain_date(column) -%}
    translate({{ column }}, '０１２３４５６７８９年月．.／－日', '0123456789------')
{%- endmacro %}

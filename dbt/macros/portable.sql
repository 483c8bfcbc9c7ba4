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

{#
    The date that a text gives as year, month and day: 2015-03-01, 2015/3/1, 2015.3.1, 2015年3月1日 or 20150301, in full width too, perhaps
    with a time behind it; null where there is none. Each engine would take more than this for a date, and not the same: only
    what fits is cast. The rarer the form, the longer it takes.
#}
{% macro date_of(column) -%}
    {%- set odd_spaces = '\t\n\x0b\x0c\r\u00a0\u2002\u2003\u2009\u200b\u3000\ufeff' -%}
    {%- set plain = "translate(" ~ column ~ ", '０１２３４５６７８９：．／－T" ~ odd_spaces ~ "', '0123456789:./- ')" -%}
    {%- set day = '[12][0-9]{3}[-/.年][0-9]{1,2}[-/.月][0-9]{1,2}日?' -%}
    case
        when {{ fits(column, '[12][0-9]{3}-[0-9]{1,2}-[0-9]{1,2}') }} then try_cast({{ column }} as date)
        when {{ fits(column, day) }} then {{ plain_date(column) }}
        when {{ fits(column, '[12][0-9]{7}') }}
            then try_cast(concat(left({{ column }}, 4), '-', substr({{ column }}, 5, 2), '-', substr({{ column }}, 7, 2)) as date)
        when {{ fits(plain, ' *' ~ day ~ '( +[0-9]{1,2}:[.:0-9]+)? *') }} then {{ plain_date("split_part(trim(" ~ plain ~ "), ' ', 1)") }}
    end
{%- endmacro %}

{% macro plain_date(column) -%}
    try_cast(replace(replace(replace(replace(replace({{ column }}, '/', '-'), '.', '-'), '年', '-'), '月', '-'), '日', '') as date)
{%- endmacro %}

{# Whether a text holds anything that fits a regular expression. #}
{% macro holds(column, pattern) -%}
    {{ adapter.dispatch('holds')(column, pattern) }}
{%- endmacro %}

{% macro default__holds(column, pattern) -%}
    regexp_matches({{ column }}, '{{ pattern }}')
{%- endmacro %}

{% macro spark__holds(column, pattern) -%}
    {{ column }} rlike '{{ pattern }}'
{%- endmacro %}

{# Whether all of a text fits a regular expression. #}
{% macro fits(column, pattern) -%}
    {{ adapter.dispatch('fits')(column, pattern) }}
{%- endmacro %}

{% macro default__fits(column, pattern) -%}
    regexp_full_match({{ column }}, '{{ pattern }}')
{%- endmacro %}

{% macro spark__fits(column, pattern) -%}
    {{ column }} rlike '^(?:{{ pattern }})$'
{%- endmacro %}

{# Constructed variables. Each says the same, word for word, as the function of its name in analysis.indices. #}

{#
    A missing value between two observed years: on the line between them, or their mean; never past the ends of the unit's
    series, and never in a gap of more than `max_gap` years (none: of any length).
#}
{% macro interpolate(column, method, unit='city_code', time='year', max_gap=none) -%}
    {%- set before = "last_value(" ~ column ~ " ignore nulls) over (partition by " ~ unit ~ " order by " ~ time ~ " rows between unbounded preceding and 1 preceding)" -%}
    {%- set after = "first_value(" ~ column ~ " ignore nulls) over (partition by " ~ unit ~ " order by " ~ time ~ " rows between 1 following and unbounded following)" -%}
    {%- set year_before = "max(case when " ~ column ~ " is not null then " ~ time ~ " end) over (partition by " ~ unit ~ " order by " ~ time ~ " rows between unbounded preceding and 1 preceding)" -%}
    {%- set year_after = "min(case when " ~ column ~ " is not null then " ~ time ~ " end) over (partition by " ~ unit ~ " order by " ~ time ~ " rows between 1 following and unbounded following)" -%}
    {%- set short = "" if max_gap is none else "case when " ~ year_after ~ " - " ~ year_before ~ " - 1 <= " ~ max_gap | int ~ " then " -%}
    {%- if method == 'neighbour_mean' -%}
    coalesce({{ column }}, {{ short }}({{ before }} + {{ after }}) / 2{{ " end" if short }})
    {%- elif method == 'linear' -%}
    coalesce({{ column }}, {{ short }}{{ before }} + ({{ after }} - {{ before }}) * ({{ time }} - {{ year_before }}) / ({{ year_after }} - {{ year_before }}){{ " end" if short }})
    {%- elif method == 'none' -%}
    {{ column }}
    {%- else -%}
    {{ exceptions.raise_compiler_error("interpolate: the method is none, linear or neighbour_mean, not " ~ method) }}
    {%- endif -%}
{%- endmacro %}

{# Percentile (0 to 1) over all rows by the rule of Stata's _pctile: x_(ceil P), or the mean of x_(P) and x_(P+1) when P is whole. #}
{% macro percentile(column, share) -%}
    {%- set sorted = "list_sort(list(" ~ column ~ ") filter (where " ~ column ~ " is not null))" -%}
    {%- set n = "count(" ~ column ~ ")" -%}
    {%- set rank = "round(" ~ n ~ " * " ~ share ~ ", 9)" -%}
    case
        when {{ rank }} = floor({{ rank }}) and {{ rank }} between 1 and {{ n }} - 1
            then ({{ sorted }}[{{ rank }}::bigint] + {{ sorted }}[{{ rank }}::bigint + 1]) / 2
        else {{ sorted }}[least(greatest(ceil({{ rank }}), 1), {{ n }})::bigint]
    end
{%- endmacro %}

{#
    Capital by perpetual inventory: K = I / initial_rate in the first year (not before `start`) with investment, then
    K = (1 - depreciation) K of the year before + I. Summed in closed form: K / (1 - depreciation)^t is a running sum of
    I / (1 - depreciation)^t. A year without investment leaves it and every later one missing.
#}
{% macro perpetual_inventory(investment, start, depreciation=0.096, initial_rate=0.10, unit='city_code', time='year') -%}
    {%- set kept = 1 - depreciation -%}
    {%- set counted = "case when " ~ time ~ " >= " ~ start ~ " then " ~ investment ~ " end" -%}
    {%- set first_year = "min(case when " ~ counted ~ " is not null then " ~ time ~ " end) over (partition by " ~ unit ~ ")" -%}
    {%- set years_so_far = "(" ~ time ~ " - " ~ first_year ~ " + 1)" -%}
    case
        when {{ time }} >= {{ first_year }}
            and count({{ counted }}) over (partition by {{ unit }} order by {{ time }}) = {{ years_so_far }}
            then pow({{ kept }}, {{ time }} - {{ start }}) * (
                sum(({{ counted }}) / pow({{ kept }}, {{ time }} - {{ start }})) over (partition by {{ unit }} order by {{ time }})
                + (1.0 / {{ initial_rate }} - 1)
                * first_value(({{ counted }}) / pow({{ kept }}, {{ time }} - {{ start }}) ignore nulls) over (
                    partition by {{ unit }} order by {{ time }} rows between unbounded preceding and current row
                )
            )
    end
{%- endmacro %}

{#
    A query of one row: for each column its lowest and highest value (<column>__low, <column>__high) and its weight by the
    entropy method (<column>__weight), over the rows of `relation` in which all columns have a value. More is better.
    Summed in order of size, so that the order of the rows changes nothing.
#}
{% macro entropy_weights(relation, columns) -%}
    with complete as (
        select * from {{ relation }} where {% for column in columns %}"{{ column }}" is not null{{ " and " if not loop.last }}{% endfor %}
    ),

    bounds as (
        select
            {% for column in columns -%}
            min("{{ column }}") as "{{ column }}__low",
            max("{{ column }}") as "{{ column }}__high",
            {% endfor -%}
            greatest(count(*), 2) as row_count
        from complete
    ),

    scaled as (
        select
            {% for column in columns -%}
            ("{{ column }}" - "{{ column }}__low") / nullif("{{ column }}__high" - "{{ column }}__low", 0) as "{{ column }}"{{ "," if not loop.last }}
            {% endfor %}
        from complete
        cross join bounds
    ),

    totals as (
        select
            {% for column in columns -%}
            sum("{{ column }}" order by "{{ column }}") as "{{ column }}"{{ "," if not loop.last }}
            {% endfor %}
        from scaled
    ),

    -- 1 - e, where 0 ln 0 is 0 and a column that does not vary says nothing
    information as (
        select
            {% for column in columns -%}
            case
                when any_value(totals."{{ column }}") > 0 then 1 + sum(
                    case when scaled."{{ column }}" > 0
                        then scaled."{{ column }}" / totals."{{ column }}" * ln(scaled."{{ column }}" / totals."{{ column }}")
                        else 0
                    end order by scaled."{{ column }}"
                ) / ln(any_value(bounds.row_count))
                else 0
            end as "{{ column }}"{{ "," if not loop.last }}
            {% endfor %}
        from scaled
        cross join totals
        cross join bounds
    )

    select
        {% for column in columns -%}
        bounds."{{ column }}__low",
        bounds."{{ column }}__high",
        information."{{ column }}" / nullif({% for other in columns %}information."{{ other }}"{{ " + " if not loop.last }}{% endfor %}, 0) as "{{ column }}__weight"{{ "," if not loop.last }}
        {% endfor %}
    from information
    cross join bounds
{%- endmacro %}

{# Index of the entropy method, 0 to 1: the weighted sum of (x - lowest) / (highest - lowest), with `weights` from entropy_weights. #}
{% macro entropy_index(columns, weights) -%}
    {% for column in columns -%}
    coalesce(("{{ column }}" - {{ weights }}."{{ column }}__low") / nullif({{ weights }}."{{ column }}__high" - {{ weights }}."{{ column }}__low", 0), "{{ column }}" * 0)
        * {{ weights }}."{{ column }}__weight"{{ " + " if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{# Constructed variables. Each says the same, word for word, as the function of its name in analysis.indices. #}

{# Weighted angles between the sector shares and the three axes, in radians (Fu 2010). #}
{% macro industrial_structure_angle(primary, secondary, tertiary, weights=(3, 2, 1)) -%}
    {%- set length = "sqrt(pow(" ~ primary ~ ", 2) + pow(" ~ secondary ~ ", 2) + pow(" ~ tertiary ~ ", 2))" -%}
    {#- least() passes over a missing value, so missing sectors are kept out of it -#}
    case
        when {{ length }} > 0 then
        {%- for sector in (primary, secondary, tertiary) %}
            {{ weights[loop.index0] }} * acos(least({{ sector }} / {{ length }}, 1))
            {%- if not loop.last %} + {% endif %}
        {%- endfor %}
    end
{%- endmacro %}

{# A missing value between two observed years: on the line between them, or their mean; never past the ends of the unit's series. #}
{% macro interpolate(column, method, unit='city_code', time='year') -%}
    {%- set before = "last_value(" ~ column ~ " ignore nulls) over (partition by " ~ unit ~ " order by " ~ time ~ " rows between unbounded preceding and 1 preceding)" -%}
    {%- set after = "first_value(" ~ column ~ " ignore nulls) over (partition by " ~ unit ~ " order by " ~ time ~ " rows between 1 following and unbounded following)" -%}
    {%- set year_before = "max(case when " ~ column ~ " is not null then " ~ time ~ " end) over (partition by " ~ unit ~ " order by " ~ time ~ " rows between unbounded preceding and 1 preceding)" -%}
    {%- set year_after = "min(case when " ~ column ~ " is not null then " ~ time ~ " end) over (partition by " ~ unit ~ " order by " ~ time ~ " rows between 1 following and unbounded following)" -%}
    {%- if method == 'neighbour_mean' -%}
    coalesce({{ column }}, ({{ before }} + {{ after }}) / 2)
    {%- elif method == 'linear' -%}
    coalesce({{ column }}, {{ before }} + ({{ after }} - {{ before }}) * ({{ time }} - {{ year_before }}) / ({{ year_after }} - {{ year_before }}))
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

{# (cases / GDP of the city) / (cases / GDP of the nation); missing where either GDP or the nation's cases are not above zero. #}
{% macro revealed_comparative_advantage(cases, gdp, national_cases, national_gdp) -%}
    case
        when {{ gdp }} > 0 and {{ national_gdp }} > 0 and {{ national_cases }} > 0
            then ({{ cases }} / {{ gdp }}) / ({{ national_cases }} / {{ national_gdp }})
    end
{%- endmacro %}

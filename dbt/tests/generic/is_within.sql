{# No value lies outside its bounds, of which none may be null: column -> [lowest, what it is above, highest]. A row for each that does. #}
{% test is_within(model, bounds) %}
{%- for column, (low, above, high) in bounds.items() %}
select city_code, year, '{{ column }}' as column_name, "{{ column }}" as value
from {{ model }}
where {% if low is not none %}"{{ column }}" < {{ low }}{% endif %}
    {%- if above is not none %}"{{ column }}" <= {{ above }}{% endif %}
    {%- if high is not none %}{{ " or " if low is not none or above is not none }}"{{ column }}" > {{ high }}{% endif %}
{{ "union all" if not loop.last }}
{%- else %}
select city_code, year from {{ model }} where false
{%- endfor %}
{% endtest %}

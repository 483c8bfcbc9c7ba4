{# No value lies below low or above high; either may be left out, and missing values say nothing. #}
{% test lies_between(model, column_name, low=none, high=none) %}
select {{ column_name }}
from {{ model }}
where false
    {%- if low is not none %} or {{ column_name }} < {{ low }}{% endif %}
    {%- if high is not none %} or {{ column_name }} > {{ high }}{% endif %}
{% endtest %}

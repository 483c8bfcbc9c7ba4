{# Text as published to text that compares and casts. #}

{% macro half_width(column) -%}
    translate({{ column }}, '０１２３４５６７８９．，－％（）　', '0123456789.,-%() ')
{%- endmacro %}

{# Spaces, footnote marks and the compiler's decorations, within the brackets of a regular expression. #}
{% macro marks() -%}
    \s\x{200B}\x{FEFF}①-⑳*＊†‡
{%- endmacro %}

{# A name in half width without such marks. Most hold none, which takes a fourth of the time. #}
{% macro clean_name(column) -%}
    case
        when {{ holds(column, '[' ~ marks() ~ '０-９．，－％　]') }} then {{ without(half_width(column), '[' ~ marks() ~ ']') }}
        else replace(replace({{ column }}, '（', '('), '）', ')')
    end
{%- endmacro %}

{# A number as text: thousands separators, spaces and footnote marks gone; null where the cell says that there is none. #}
{% macro clean_number(column) -%}
    {%- set bare = without(half_width(column), '[' ~ marks() ~ ']') -%}
    case
        when regexp_matches(trim({{ column }}), '^([-－—–…·./]+|n\.?a\.?|N\.?A\.?|#N/A|NULL|nan|缺失|无)?$') then null
        when regexp_matches({{ bare }}, '^[-+]?\d{1,3}(,\d{3})+(\.\d+)?$') then replace({{ bare }}, ',', '')
        else nullif({{ bare }}, '')
    end
{%- endmacro %}

{# An address up to its first place that ends in 市 and the like, behind a postal code and province; '' where there is none. #}
{% macro address_start(column) -%}
    regexp_extract({{ column }}, '{{ address_pattern() }}', 0)
{%- endmacro %}

{# The place at the end of what address_start found. #}
{% macro place_in(start) -%}
    regexp_extract({{ start }}, '{{ address_pattern() }}', 1)
{%- endmacro %}

{% macro address_pattern() -%}
    ^[\d０-９ 　]*(?:中国)?(?:[^省市]{2,3}省|(?:内蒙古|广西|西藏|宁夏|新疆)[^区市]{0,4}自治区)?(.{1,12}?(?:市|地区|自治州|盟)|北京|上海|天津|重庆)
{%- endmacro %}

{# Subclass, main group and subgroup of a symbol of the International Patent Classification. #}
{% macro ipc_pattern() -%}
    ^([A-H]\d\d[A-Z])(\d+)/(\d+)
{%- endmacro %}

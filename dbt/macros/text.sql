{# Text as published to text that compares and casts. #}

{% macro half_width(column) -%}
    translate({{ column }}, '０１２３４５６７８９．，－％（）　', '0123456789.,-%() ')
{%- endmacro %}

{# A name without spaces, footnote marks and the compiler's decorations. #}
{% macro clean_name(column) -%}
    regexp_replace({{ half_width(column) }}, '[\s\x{200B}\x{FEFF}①-⑳*＊†‡]', '', 'g')
{%- endmacro %}

{# A number as text: thousands separators, spaces and footnote marks gone; null where the cell says that there is none. #}
{% macro clean_number(column) -%}
    {%- set bare = "regexp_replace(" ~ half_width(column) ~ ", '[\\s\\x{200B}\\x{FEFF}①-⑳*＊†‡]', '', 'g')" -%}
    case
        when regexp_matches(trim({{ column }}), '^([-－—–…·./]+|n\.?a\.?|N\.?A\.?|#N/A|NULL|nan|缺失|无)?$') then null
        when regexp_matches({{ bare }}, '^[-+]?\d{1,3}(,\d{3})+(\.\d+)?$') then replace({{ bare }}, ',', '')
        else nullif({{ bare }}, '')
    end
{%- endmacro %}

{# Provinces without their suffix, as alternatives of a pattern; the municipalities are cities themselves. #}
{% macro short_province_names() -%}
    云南|内蒙古|台湾|吉林|四川|宁夏|安徽|山东|山西|广东|广西|新疆|江苏|江西|河北|河南|浙江|海南|湖北|湖南|甘肃|福建|西藏|贵州|辽宁|陕西|青海|黑龙江
{%- endmacro %}

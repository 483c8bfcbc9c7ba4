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

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

{# What yearbook cells are compared as: half width, one kind of minus sign and of space, none at the ends. #}
{% macro plain_text(column) -%}
    {%- set spaces = '\t\n\r\u00a0\u2002\u2003\u2007\u2009\u202f\u3000' -%}
    {%- set nothing = '\u200b\ufeff' -%}
    trim(translate({{ column }}, '０１２３４５６７８９．，％（）：／＋－−﹣‐‑{{ spaces }}{{ nothing }}', '0123456789.,%():/+-----{{ ' ' * (spaces | length) }}'))
{%- endmacro %}

{# Marks of footnotes: circled, bracketed and raised numbers, stars and daggers. #}
{% macro note_marks() -%}
    ①-⑳⑴-⒇⁰¹²³⁴-⁹*＊†‡
{%- endmacro %}

{# Whether a cell says that there is no value. #}
{% macro says_missing(plain) -%}
    regexp_full_match({{ plain }}, '(?i)([-—–…·./\\]+|‥+|#?n\.?/?a\.?|null|none|nan|missing|缺失?|空缺|空白|无|无数据|暂无|暂无数据|暂缺|未公布|未统计|未提供|不详|不适用)?')
{%- endmacro %}

{#
    A name as it is compared: the Chinese one without spaces, separators, footnote marks and the Latin one beside it; else the Latin one
    in small letters alone, without City, Province and the like behind it.
#}
{% macro spelled_name(column) -%}
    case
        when regexp_matches({{ column }}, '\p{Han}')
            then replace(regexp_replace({{ plain_text(column) }}, '[\s\-–—·•/|,:;_''’.A-Za-zÀ-ɏ{{ note_marks() }}]+', '', 'g'), '()', '')
        else {{ latin_name(column) }}
    end
{%- endmacro %}

{% macro latin_name(column) -%}
    {%- set kinds = 'city|shi|municipality|prefecture([- ]level city)?|province|sheng|((zhuang|hui|uygur|uyghur|uighur) )?autonomous region' -%}
    regexp_replace(
        regexp_replace(lower(strip_accents(regexp_replace({{ plain_text(column) }}, '[^A-Za-zÀ-ɏ0-9 \-]+', '', 'g'))), '[ -]+({{ kinds }})$', ''),
        '[^a-z0-9]+', '', 'g'
    )
{%- endmacro %}

{# Whether a text that no crosswalk knows may be the name of a place: not a total, a note or a heading. #}
{% macro looks_like_a_name(column) -%}
    regexp_full_match({{ spelled_name(column) }}, '\p{Han}{2,4}|[a-z]{3,15}')
    and not regexp_matches({{ spelled_name(column) }}, '合计|总计|小计|平均|全国|全省|注|资料|来源|单位|城市|地区|total|average|mean|source')
{%- endmacro %}

{# A code of six digits: of four, nine or twelve digits and with decimals as well; a code that says more than its first six digits stays as it is. #}
{% macro spelled_code(column) -%}
    {%- set plain = "regexp_replace(" ~ plain_text(column) ~ ", '\\.0+$', '')" -%}
    case
        when {{ says_missing(plain) }} then ''
        when regexp_full_match({{ plain }}, '\d{4}') then {{ plain }} || '00'
        when regexp_full_match({{ plain }}, '\d{2}') then {{ plain }} || '0000'
        when regexp_full_match({{ plain }}, '\d{6}0{3,6}') then left({{ plain }}, 6)
        else {{ plain }}
    end
{%- endmacro %}

{# The year that a text names if it names one whole year (2019, 2019年度, 2019/12/31, the year's end), else null: parts of years and several years are none. #}
{% macro year_of(column) -%}
    {%- set plain = "regexp_replace(" ~ plain_text(column) ~ ", '[ {{ marks }}]+', '', 'g')" | replace('{{ marks }}', note_marks()) -%}
    {%- set whole = '年度?|年末|年底|年终|年全年|全年|年1-12月|(年|-|/|[.])12(月|-|/|[.])31日?([tT ]?00:00:00([.]0+)?)?|1231' -%}
    try_cast(regexp_extract({{ plain }}, '^(?:截至|year|fy)?((?:19|20)\d\d)(?:[.]0+)?(?:{{ whole }})?(?:\((?:r|p|e)\))?$', 1, 'i') as integer)
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

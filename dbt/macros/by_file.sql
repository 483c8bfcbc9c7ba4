{#
    Tables of records that are built file by file: only files whose stamp changed are judged again, rows of files that are
    gone are taken out, everything else stays as it is. The materialization is `by_file`; a model that uses it

        {%- set due = due_files(stamps, also) -%}
        {{ due_note(due) }}
        … from records where {{ is_due(due) }}

    and has a column `file`. `stamps` is a query of (file, stamp), one row a file that there is. Beside the table lies
    <table>__files: file, stamp, and the dbt run that built its rows. A run that finds no file unchanged builds a new table.

    Where rows of one file decide on rows of another (two rows of one application), `also` is a query of the files that are due
    because of what changed elsewhere; in it __changed__ stands for the condition that a row's file has changed or is gone.

    On Spark every file is built each time (spark.sql has the materialization).
#}
{% macro due_files(stamps, also=none) %}
    {%- set due = {'rebuild': true, 'built': {}, 'gone': []} -%}
    {%- if execute and target.type == 'duckdb' -%}
        {%- set kept = files_of(this) -%}
        {%- set now = {} -%}
        {%- for row in run_query(stamps ~ " order by file").rows -%}{%- do now.update({row[0]: row[1]}) -%}{%- endfor -%}
        {%- do due.update({'built': now}) -%}
        {%- set tables = run_query(
            "select count(*) from duckdb_tables() where schema_name = '" ~ this.schema ~ "' and table_name in ('" ~ this.identifier ~ "', '"
            ~ this.identifier ~ "__files')"
        ).rows[0][0] -%}
        {%- if tables == 2 and not flags.FULL_REFRESH -%}
            {%- set before = {} -%}
            {%- for row in run_query("select file, stamp from " ~ kept).rows -%}{%- do before.update({row[0]: row[1]}) -%}{%- endfor -%}
            {%- set stale, gone, same = {}, [], [] -%}
            {%- for file, stamp in now.items() -%}
                {%- if before.get(file) == stamp -%}{%- do same.append(file) -%}{%- else -%}{%- do stale.update({file: stamp}) -%}{%- endif -%}
            {%- endfor -%}
            {%- for file in before if file not in now -%}{%- do gone.append(file) -%}{%- endfor -%}
            {%- if same or not now and not before -%}
                {%- if also and same and (stale or gone) -%}
                    {%- for row in run_query(also | replace('__changed__', file_in(stale.keys() | list + gone))).rows -%}
                        {%- do stale.update({row[0]: now[row[0]]}) -%}
                    {%- endfor -%}
                {%- endif -%}
                {%- do due.update({'rebuild': false, 'built': stale, 'gone': gone}) -%}
            {%- endif -%}
        {%- endif -%}
    {%- endif -%}
    {{ return(due) }}
{% endmacro %}

{# What is due, where the materialization finds it. #}
{% macro due_note(due) -%}
    /* due: {{ tojson(due) }} :due */
{%- endmacro %}

{# The condition that a row belongs to a file that is due. #}
{% macro is_due(due) -%}
    {%- if due.rebuild -%}true{%- else -%}{{ file_in(due.built) }}{%- endif -%}
{%- endmacro %}

{% macro file_in(files) -%}
    {%- if files -%}file in ({% for file in files %}'{{ file | replace("'", "''") }}'{{ ", " if not loop.last }}{% endfor %}){%- else -%}false{%- endif -%}
{%- endmacro %}

{# The table beside a table built by file. #}
{% macro files_of(relation) -%}
    {{ relation.incorporate(path={'identifier': relation.identifier ~ '__files'}) }}
{%- endmacro %}

{# A hash of everything that some small tables say: part of a stamp where they decide on a record. #}
{% macro content_of(relations) -%}
    {% for relation in relations -%}
    (select md5(coalesce(string_agg(said::varchar, chr(10) order by said::varchar), '')) from {{ relation }} as said){{ " || " if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{# A hash of the SQL of this project; every run is another one when dbt is called by hand. #}
{% macro project_hash() -%}
    '{{ env_var("PILOTCITY_SQL", invocation_id) }}'
{%- endmacro %}

{% materialization by_file, adapter='duckdb' %}
    {%- set target = this.incorporate(type='table') -%}
    {%- set kept = files_of(target) -%}
    {%- set due = fromjson(modules.re.search('/\\* due: (.*?) :due \\*/', sql, modules.re.DOTALL).group(1)) -%}
    {%- set existing = load_cached_relation(this) -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- if due.rebuild -%}
        {%- if existing is not none and not existing.is_table -%}{{ drop_relation_if_exists(existing) }}{%- endif -%}
        {% call statement('main') -%}
            create or replace table {{ target }} as {{ sql }}
        {%- endcall %}
        {% call statement('forget') -%}
            create or replace table {{ kept }} (file varchar, stamp varchar, build varchar)
        {%- endcall %}
    {%- elif due.built or due.gone -%}
        {%- set fresh = target.identifier ~ '__fresh' -%}
        {% call statement('main') -%}
            create or replace temp table {{ fresh }} as {{ sql }}
        {%- endcall %}
        {% call statement('replace') -%}
            delete from {{ target }} where {{ file_in(due.built.keys() | list + due.gone) }};
            insert into {{ target }} by name select * from {{ fresh }};
            drop table {{ fresh }};
            delete from {{ kept }} where {{ file_in(due.built.keys() | list + due.gone) }}
        {%- endcall %}
    {%- else -%}
        {% call statement('main') -%}
            select 'no file has changed' as result
        {%- endcall %}
    {%- endif -%}
    {%- if due.built -%}
        {% call statement('remember') -%}
            insert into {{ kept }} values
            {% for file, stamp in due.built.items() -%}
            ('{{ file | replace("'", "''") }}', '{{ stamp }}', '{{ invocation_id }}'){{ "," if not loop.last }}
            {% endfor %}
        {%- endcall %}
    {%- endif -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}

{#
    A table is built only when something that decides it has changed, and judged by a test only then. What decides it: its
    SQL as compiled, its declared columns and settings, all SQL of the project and the locked libraries, and the rows of
    every table that this SQL names (not when they were written). So a change stops where values come out the same.

    What a table was built of lies beside it, in builds.relations: relation (a table or test), key (a hash of what decided
    it, null for a source), content (its rows as they were built), built_by (the dbt run that did, or that judged), seen (its rows
    when they were last looked at), seen_by (the run that did). A table whose rows are not those that were built is built again, as is one whose record is gone or
    that a killed run left without one.
    `dbt build --full-refresh` builds and judges everything. A source whose meta names another source as its `content` is
    read through that one: its rows change when those do.
#}

{# Makes the record where there is none; before everything else. #}
{% macro begin_record() -%}
    {%- if target.type == 'duckdb' -%}
        create schema if not exists builds;
        create table if not exists builds.relations (relation varchar primary key, key varchar, content varchar, built_by varchar, seen varchar, seen_by varchar)
    {%- endif -%}
{%- endmacro %}

{# What is remembered of relations, by name. #}
{% macro remembered(names) -%}
    {%- set found = {} -%}
    {%- for row in run_query("select relation, key, content, seen, seen_by from builds.relations where relation in ('" ~ names | join("', '") ~ "')").rows -%}
        {%- do found.update({row[0]: row}) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{# Looks at the rows of a table, in any order, and at its columns, as a row's hash says nothing of names and types; remembers and returns that. #}
{% macro look_at(relation, schema, table, key=none) -%}
    {%- set content -%}
        select concat_ws(
            ' ', count(*), bit_xor(hash(said)), sum(hash(said)::hugeint),
            (select md5(string_agg(concat_ws(' ', column_name, data_type, is_nullable), chr(10) order by column_index))
            from duckdb_columns() where database_name = current_database() and schema_name = '{{ schema }}' and table_name = '{{ table }}')
        )
        from "{{ schema }}"."{{ table }}" as said
    {%- endset -%}
    {{ return(remember(relation, key, "(" ~ content ~ ")")) }}
{%- endmacro %}

{# Remembers what was seen of a relation, and as what it was built where `key` says of what. #}
{% macro remember(relation, key, seen) -%}
    {%- set query -%}
        insert into builds.relations values ('{{ relation }}', {% if key %}'{{ key }}'{% else %}null{% endif %}, null, null, {{ seen }}, '{{ invocation_id }}')
        on conflict do update set seen = excluded.seen, seen_by = excluded.seen_by
        returning seen
    {%- endset -%}
    {%- set found = run_query(query).rows[0][0] -%}
    {%- if key -%}{%- do run_query("update builds.relations set key = '" ~ key ~ "', content = seen, built_by = seen_by where relation = '" ~ relation ~ "'") -%}{%- endif -%}
    {{ return(found) }}
{%- endmacro %}

{# What a model or test is made of, and whether that and its own table are as they were: a dict of key and kept. #}
{% macro state_of(model, compiled, table=none) -%}
    {%- set named = [] -%}
    {%- for name in model.depends_on.nodes | sort -%}
        {%- set node = graph.nodes.get(name) or graph.sources.get(name) -%}
        {#- a table that is read while SQL is compiled decides nothing beyond that SQL -#}
        {%- if node and node.relation_name and node.relation_name in compiled -%}{%- do named.append(node) -%}{%- endif -%}
    {%- endfor -%}
    {%- set own = model.relation_name if table else model.unique_id -%}
    {%- set known = remembered(named | map(attribute='relation_name') | list + [own]) -%}
    {%- set said = [compiled, tojson(model.columns), tojson(model.config), env_var('PILOTCITY_SQL', invocation_id)] -%}
    {%- for node in named -%}
        {%- set before = known.get(node.relation_name) -%}
        {%- set content = before[3] if before and before[4] == invocation_id else look_at(node.relation_name, node.schema, node.meta.get('content', node.name)) -%}
        {%- do said.append(node.relation_name ~ ' ' ~ content) -%}
    {%- endfor -%}
    {%- set key = local_md5(tojson(said)) -%}
    {%- set kept = own in known and known[own][1] == key and not flags.FULL_REFRESH -%}
    {%- if kept and table -%}
        {%- set kept = table.is_table and look_at(own, table.schema, table.identifier) == known[own][2] -%}
    {%- endif -%}
    {{ return({'key': key, 'kept': kept}) }}
{%- endmacro %}

{% materialization table, adapter='duckdb', supported_languages=['sql'] %}
    {%- set state = state_of(model, compiled_code, load_cached_relation(this) or api.Relation.create(type='view')) -%}
    {%- if state.kept -%}
        {% call statement('main') -%}
            select 'what it is made of has not changed' as result
        {%- endcall %}
        {{ return({'relations': [this.incorporate(type='table')]}) }}
    {%- endif -%}
    {#- a run that is killed leaves no record of what it was about to build -#}
    {%- do run_query("delete from builds.relations where relation = '" ~ model.relation_name ~ "'") -%}
    {%- set built = dbt.materialization_table_duckdb() -%}
    {%- do look_at(model.relation_name, this.schema, this.identifier, state.key) -%}
    {{ return(built) }}
{% endmaterialization %}

{% materialization test, adapter='duckdb' %}
    {%- set state = state_of(model, sql) -%}
    {%- if state.kept -%}
        {% call statement('main', fetch_result=True) -%}
            select 0 as failures, false as should_warn, false as should_error
        {%- endcall %}
        {{ return({'relations': []}) }}
    {%- endif -%}
    {%- set judged = dbt.materialization_test_default() -%}
    {#- only what holds is remembered: what does not is said each time -#}
    {%- if load_result('main').table.rows[0][0] == 0 -%}{%- do remember(model.unique_id, state.key, "''") -%}{%- endif -%}
    {{ return(judged) }}
{% endmaterialization %}

{#
    Models of records on Apache Spark (DBT_TARGET=spark): each is computed from Parquet and written as Parquet, all below the
    folder PILOTCITY_LAKE; `dagster_project/spark.py` puts its sources there and takes the result back into DuckDB. Nothing
    outlives the session in a catalog of Spark's own.

    The variable `spark_sources` says where each table of schema raw lies: a file, or a folder of files whose rows are
    numbered by their place unless they say another (as dagster_project/ingest/records.py shows them in DuckDB).
#}
{% materialization by_file, adapter='spark' %}
    {%- set sources = var('spark_sources', {}) -%}
    {%- if not sources -%}
        {{ exceptions.raise_compiler_error("With DBT_TARGET=spark models are run by `pilotcity run`, which hands them their sources as Parquet.") }}
    {%- endif -%}
    {% call statement('schema') %}create schema if not exists raw{% endcall %}
    {%- for name, path in sources.items() -%}
        {%- set files = 'raw.' ~ name ~ ('' if path.endswith('.parquet') else '__stored') -%}
        {% call statement('source_' ~ name) %}
            create table if not exists {{ files }} using parquet options (pathGlobFilter '*.parquet') location "file:{{ path }}"
        {% endcall %}
        {%- if files.endswith('__stored') -%}
            {% call statement('numbered_' ~ name) %}
                create or replace view raw.{{ name }} as
                select * except (row), coalesce(row, _metadata.row_index + 2) as row from {{ files }}
            {% endcall %}
        {%- endif -%}
    {%- endfor -%}
    {% call statement('main') %}
        insert overwrite directory "file:{{ env_var('PILOTCITY_LAKE') }}/{{ this.identifier }}" using parquet {{ sql }}
    {% endcall %}
    {{ return({'relations': []}) }}
{% endmaterialization %}

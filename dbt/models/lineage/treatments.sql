-- grain: one panel, column and pilot city: when it was treated, on whose word
with columns as (
    select study, treatment as column_name, policy, policy_scope as scopes, last_month, true as is_treatment
    from {{ source('raw', 'studies') }}
    union all
    select others.study, others.name, others.policy, others.scopes, studies.last_month, false
    from {{ source('raw', 'study_policies') }} as others
    inner join {{ source('raw', 'studies') }} as studies using (study)
),

final as (
    select
        columns.study,
        columns.column_name,
        columns.is_treatment,
        columns.policy,
        policies.city_code,
        policies.adoption::integer + (coalesce(policies.month::integer, 1) > columns.last_month)::integer as adoption,
        policies.adoption_alternative,
        policies.batch,
        policies.scope,
        policies.source,
        policies.certainty,
        policies.note,
        columns.scopes is null or coalesce(list_contains(string_split(columns.scopes, chr(31)), policies.scope), false) as counts
    from columns
    inner join {{ source('raw', 'policies') }} as policies using (policy)
)

select * from final

-- grain: one panel, column and pilot city: when it was treated, on whose word
with columns as (
    select study, treatment as column_name, policy, policy_scope as scopes, true as is_treatment
    from {{ source('raw', 'studies') }}
    union all
    select study, name, policy, scopes, false from {{ source('raw', 'study_policies') }}
),

final as (
    select
        columns.study,
        columns.column_name,
        columns.is_treatment,
        columns.policy,
        policies.city_code,
        policies.adoption::integer as adoption,
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

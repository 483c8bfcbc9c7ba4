{{ study_panel('ai_pilot_zones_long') }}

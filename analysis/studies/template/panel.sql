{{ study_panel('NEW_STUDY') }}

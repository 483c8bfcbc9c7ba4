{{ study_panel('innovative_clusters') }}

{{ study_panel('low_carbon_cities') }}

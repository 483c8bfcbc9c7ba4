"""How results look: journal-style tables, figures and the offline site. Nothing here estimates anything."""

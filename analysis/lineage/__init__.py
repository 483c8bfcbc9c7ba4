"""What a published value was made of, back to the cell of the raw file, and what a study's exhibits need.

Everything is read from the tables of a publication (schema lineage and what they explain) or from specifications;
nothing here opens the warehouse.
"""

"""All defensible specifications of a question: which there are, what the data are under each, what comes out."""

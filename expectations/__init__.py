"""What must hold of the data, layer by layer, as Great Expectations suites over data frames."""

"""Pure estimation: data frames and arrays in, frozen results out. Nothing here knows where the data come from."""

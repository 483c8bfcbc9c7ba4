"""One module a command: HELP, what it takes (`arguments`), and what it does (`main`). `cli` lists them."""

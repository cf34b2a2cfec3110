"""The commands of the command line, one module per group; `service.__main__` says which and loads only what it runs."""

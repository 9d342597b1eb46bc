"""The command line's commands, one file a family; harken/cli.py puts them together."""

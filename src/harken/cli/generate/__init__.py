"""`harken generate`: one file a command, named as the command; `options.py` and `run.py` hold what they share."""

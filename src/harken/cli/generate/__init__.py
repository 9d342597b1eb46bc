"""`harken generate`: one file a command, named as the command; `run.py` holds what they share."""

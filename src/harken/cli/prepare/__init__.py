"""`harken prepare`: one file a command, named as the command; `options.py` holds what they share."""

"""`harken judge`: one file a command, named as the command."""

"""The command line: one file a command, named as the command.

Each command parses its arguments, calls one function that lives in another folder, and prints the result. torch is
imported only when a command runs, so that help texts and usage errors appear at once.
"""

"""Shows run folders: a report as one HTML file that works from disk, and a live page that follows a run.

`build.py` writes the report, `server.py` serves the live page. This folder only reads files and never imports torch.
"""

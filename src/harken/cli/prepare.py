"""The command line of `harken prepare`: one command a source, and what is done with a manifest.

A file for sources that come as videos, one for rows of questions and captions, one for manifests, one for what they
share. Commands take arguments and print the card; heavy modules are imported when a command runs.
"""

import typer

from harken.benchmarks import BENCHMARKS
from harken.cli.prepare_manifests import check, export, review
from harken.cli.prepare_media import avqa, vggsound
from harken.cli.prepare_rows import arc, audiomcq, audiosetcaps, benchmark_command, jsonl

prepare = typer.Typer(no_args_is_help=True, help="Turn what one can download into a checked manifest.")
for command in (avqa, vggsound, audiosetcaps, arc, audiomcq):
    prepare.command()(command)
for name in BENCHMARKS:
    prepare.command(name)(benchmark_command(name))
for command in (jsonl, export, check, review):
    prepare.command()(command)

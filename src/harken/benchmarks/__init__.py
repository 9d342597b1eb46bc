"""The benchmarks that harken knows: name -> `module:object`, where the object is a `Benchmark` of base.py.

To add one, write its file in this folder and its line here. docs/extending.md shows it step by step.
"""

BENCHMARKS = {
    "mmau": "harken.benchmarks.mmau:MMAU",
    "mmar": "harken.benchmarks.mmar:MMAR",
    "airbench": "harken.benchmarks.airbench:AIRBENCH",
    "mmsu": "harken.benchmarks.mmsu:MMSU",
    "mmau_pro": "harken.benchmarks.mmau_pro:MMAU_PRO",
    "adqa": "harken.benchmarks.adqa:ADQA",
}
"""Modules are named, not imported, so that the command line lists the benchmarks without loading them."""

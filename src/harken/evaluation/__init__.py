"""Asks a model the questions of a benchmark, grades its answers, and writes predictions and a summary."""

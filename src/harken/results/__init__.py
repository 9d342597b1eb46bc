"""Turns graded predictions into figures with intervals, into comparisons, and into tables beside those of the papers.

These modules read files and never import torch. Commands, reports and model cards show what they return.
"""

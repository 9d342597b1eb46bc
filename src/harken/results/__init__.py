"""Predictions become figures with intervals, comparisons and tables beside those of the papers."""

"""Writes a trained checkpoint so that other programs load it, with a model card, and pushes it to the Hub."""

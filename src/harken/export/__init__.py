"""Writes a trained checkpoint as a folder that other programs load, with a model card, and pushes it to the Hub."""

"""Computes what a recipe needs of a card before anything is loaded."""

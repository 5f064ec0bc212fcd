"""Checkers of a chaos run: a history in, a verdict out. Pure."""

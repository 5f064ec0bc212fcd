"""Workshops: a lab for each seat of a class, over several Docker hosts."""

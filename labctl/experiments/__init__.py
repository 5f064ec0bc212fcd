"""Experiments on a lab: break it on purpose, and measure or check what came of it."""

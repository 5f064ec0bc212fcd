"""Experiments on a lab: break it on purpose, and measure or check the outcome."""

"""Chaos: what is broken when, what clients were told meanwhile, and whether Consul kept its word."""

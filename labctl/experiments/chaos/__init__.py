"""Chaos: random faults, what clients were answered meanwhile, and whether Consul kept its promises."""

"""labctl: a real Consul cluster on Docker, to watch it elect a leader."""

__version__ = "0.1.0"

"""Proof that labs are apart: the attempts from each, their outcomes, and how hardened the containers are."""

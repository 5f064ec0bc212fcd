"""Proof that labs are apart: what is tried from each, what came of it, and how hard the containers are."""

"""Faults: which servers are meant, what is done to them, what follows, and how it is lifted."""

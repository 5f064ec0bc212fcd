"""The story of a lab or of saved logs: the sources of its lines, and its views."""

"""The story of a lab or of kept logs: where its lines come from, and the views of it."""

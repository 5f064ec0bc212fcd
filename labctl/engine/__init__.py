"""The only door to Docker: find labs by label, read their logs, run commands in their servers."""

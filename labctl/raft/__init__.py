"""The pure part: log lines in, events out. Imports nothing else of labctl, no clock, file or network."""

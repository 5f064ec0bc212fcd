"""The pure part: log lines in, events out. Imports nothing of ours, touches no clock, file or network."""

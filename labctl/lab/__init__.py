"""One lab: from nothing to a ready cluster, stopped, started, removed, and the messages about it."""

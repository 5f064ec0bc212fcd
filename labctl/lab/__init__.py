"""One lab: from nothing to a ready cluster, stopped, started, removed, and what is said of it."""

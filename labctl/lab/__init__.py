"""One lab: from nothing to a ready cluster, stopped, started, removed, and what users are told about it."""

"""What can be broken on purpose: which servers are meant, what remains of the cluster, the rules that do it. Pure."""

"""What keeps labs apart: which ways to try, what came of each, and how hard a container is."""

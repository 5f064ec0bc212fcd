"""The only door to ansible-runner: find the content, make the inventory, run, report progress."""

"""A workshop's model: its file, seats, networks, placement and needs, without Docker and without Ansible. Pure."""

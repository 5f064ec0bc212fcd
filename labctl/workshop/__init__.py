"""Seats, where they are placed, and what they need: what a workshop is, without Docker and without Ansible."""

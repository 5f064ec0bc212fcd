"""Prepare a machine for labs: report what is missing, install it, download collections."""

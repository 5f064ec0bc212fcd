"""Plain Python that runs in two places: inside labctl, and on a Docker host as Ansible's module_utils.

Each file stands alone and imports the standard library only, because Ansible ships it file by file.
"""

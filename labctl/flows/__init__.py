"""What a command does from beginning to end: asks the engine, runs Ansible, shows what happens."""

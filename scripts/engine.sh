#!/bin/sh
# Runs the playbook that brings Docker Engine where none answers. Asks for sudo's password only when it will be needed.
set -eu
cd "$(dirname "$0")/.."

set -- ansible-playbook playbooks/engine.yml
if [ "$(id -u)" != 0 ] && [ -t 0 ] && ! sh scripts/with-docker.sh docker compose version >/dev/null 2>&1 &&
    ! sudo -n true 2>/dev/null; then
    echo "labctl: Docker Engine or Compose is missing; installing it needs sudo."
    set -- "$@" --ask-become-pass
fi
exec sh scripts/with-docker.sh "$@"

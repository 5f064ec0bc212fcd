#!/bin/sh
# Runs a command with the right to use Docker. Who has just been put into the group docker has that right only from the next
# login on; `sg` gives it now. A second `sg` goes back to the user's own group, without which subordinate ids are refused
# (newuidmap), and so the image that is made from Debian's packages.
# usage: with-docker.sh COMMAND [WORD...]
set -eu

quoted() {
    for word; do
        printf "'%s' " "$(printf %s "$word" | sed "s/'/'\\\\''/g")"
    done
}

if [ "$(id -u)" != 0 ] && command -v sg >/dev/null && ! id -nG | grep -qw docker &&
    id -nG "$(id -un)" | grep -qw docker; then
    own=$(quoted "$(id -gn)")
    exec sg docker -c "exec sg $own -c $(quoted "exec $(quoted "$@")")"
fi
exec "$@"

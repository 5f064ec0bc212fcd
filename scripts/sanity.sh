#!/bin/sh
# Runs ansible-test's sanity tests on the collection as `ansible-galaxy collection build` packs it, with every Python that
# runs here. What a test needs comes from pip as it is set up on this machine.
# usage: sanity.sh [WORD...]    words for `ansible-test sanity`, as in: sanity.sh --test pep8
set -eu
cd "$(dirname "$0")/.."
root=$(pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
collection=$work/ansible_collections/raft/labctl
mkdir -p "$collection" "$work/ansible_collections/community" "$work/checkout"
# A copy is packed: what else runs in this folder makes files and takes them away while galaxy counts them.
tar -c --exclude=./.git --exclude=./.venv --exclude=./.cache --exclude='./.*_cache' --exclude=./playbooks/collections . |
    tar -x -C "$work/checkout"
ansible-galaxy collection build --output-path "$work" "$work/checkout" >/dev/null
tar -xzf "$work"/raft-labctl-*.tar.gz -C "$collection"
# The settings of the tests are not in the tarball; nor are the collections that it needs.
mkdir -p "$collection/tests"
cp -R tests/sanity tests/config.yml "$collection/tests"
cp -R playbooks/collections/ansible_collections/community/. "$work/ansible_collections/community"

# ansible-test makes environments of its own, in ~/.ansible. It fetches a script that installs pip from a place of its own;
# with one that takes Python's own pip in its place, everything comes from where the user's pip is configured to look.
home=$root/.cache/sanity
mkdir -p "$home/.ansible/test/cache" "$home/.config"
requirements=$(python -c 'import ansible_test; print(ansible_test.__path__[0])')/_internal/python_requirements.py
version=$(sed -n "s/^ *pip='\([0-9.]*\)',$/\1/p" "$requirements" | tr . _)
cp scripts/get_pip.py "$home/.ansible/test/cache/get_pip_$version.py"
# It hides the environment from pip, and the user's home is another one: their settings, which may hold a password, go into
# a file for as long as this runs.
mkdir -p "$home/.config/pip"
settings=$home/.config/pip/pip.conf
trap 'rm -rf "$work" "$settings"' EXIT
(umask 077 && {
    echo '[global]'
    python -m pip config list | sed -n "s/^[^.]*\.\([a-z-]*\)='\(.*\)'$/\1 = \2/p" | awk '!seen[$1]++'
} >"$settings")

# ansible-test takes each python3.N that it finds on PATH for one that runs. A version manager keeps a stub there for each
# version that it knows, and where the version is not set up, the stub ends with "command not found": then the folder of
# stubs is left out, and what does run is found in a folder of our own.
mkdir "$work/pythons"
path=$(dirname "$(command -v ansible-test)"):$work/pythons
for folder in $(echo "$PATH" | tr ' :' '? '); do
    for python in "$folder"/python3.[0-9] "$folder"/python3.[0-9][0-9]; do
        [ -x "$python" ] || continue
        if found=$("$python" -c 'import sys; print(sys.executable)' 2>/dev/null); then
            [ -e "$work/pythons/${python##*/}" ] || ln -s "$found" "$work/pythons/${python##*/}"
        else
            folder=
        fi
    done
    [ -z "$folder" ] || path=$path:$folder
done

cd "$collection"
PATH=$path HOME=$home ansible-test sanity --color no --requirements "$@"

#!/bin/sh
# Makes .venv and installs labctl into it, pinned by constraints.txt. Instant when nothing changed since.
# usage: venv.sh [GROUP]    GROUP: a dependency group of pyproject.toml, such as dev
set -eu
cd "$(dirname "$0")/.."
group=${1:-}
venv=.venv

say() { echo "labctl: $*"; }
fail() {
    echo "labctl: $*" >&2
    exit 1
}
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# A virtual environment works only in the folder that it was made in, so the folder's name is part of the stamp.
state="$(pwd) $(cat pyproject.toml constraints.txt labctl/runner/collections.json | cksum)"
current() { [ "$(cat "$venv/.stamp-$1" 2>/dev/null)" = "$state" ] && [ -d "$collections/community/docker" ]; }
works() { "$venv/bin/python" -c 'import sys' 2>/dev/null; }

# Ansible finds the collection raft.labctl, which this folder is, beside the playbooks, before any other of that name.
collections=playbooks/collections/ansible_collections
link=$collections/raft/labctl
if [ ! -e "$link" ]; then
    mkdir -p "${link%/*}"
    ln -sfn ../../../.. "$link"
fi

if works && { current "${group:-run}" || current dev; }; then
    exit 0
fi

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        is_new_enough "$PYTHON" || fail "PYTHON=$PYTHON is no Python 3.11 or newer: name another one, or leave PYTHON away."
        echo "$PYTHON"
        return
    fi
    for name in python3 python3.13 python3.12 python3.11 python3.14; do
        if is_new_enough "$name"; then
            echo "$name"
            return
        fi
    done
    system=$( (. /etc/os-release && echo "$ID-$VERSION_ID") 2>/dev/null || uname -s)
    case $system in
        debian-10 | debian-11 | ubuntu-20.04) advice="this release has none, so use Debian 12, Ubuntu 22.04 or newer" ;;
        ubuntu-22.04) advice="install it with \`sudo apt-get install python3.11 python3.11-venv\`" ;;
        debian-* | ubuntu-*) advice="install it with \`sudo apt-get install python3 python3-venv\`" ;;
        fedora-*) advice="install it with \`sudo dnf install python3\`" ;;
        Darwin) advice="install it with \`brew install python\`" ;;
        *) advice="install it with your system's package manager" ;;
    esac
    fail "Looked for Python 3.11 or newer and found none: $advice, and repeat this."
}

# Debian and Ubuntu ship the part of Python that makes virtual environments as a package of its own.
bring_venv() {
    if "$1" -c 'import ensurepip, venv' 2>/dev/null; then
        return
    fi
    package=$("$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    command -v apt-get >/dev/null ||
        fail "$1 cannot make virtual environments (it has no ensurepip): install that part of Python, and repeat this."
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        fail "$1 cannot make virtual environments: as root, run \`apt-get install $package\`, and repeat this."
    fi
    say "Python's venv is missing; installing the package $package with apt-get."
    {
        as_root apt-get -qq update &&
            as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$package" >/dev/null
    } </dev/null || fail "Tried to install $package, and apt-get failed: fix what it says above, and repeat this."
}

python=$(find_python)
if ! works || [ "$(cat "$venv/.folder" 2>/dev/null)" != "$(pwd)" ]; then
    bring_venv "$python"
    say "making the virtual environment .venv with $("$python" --version)."
    rm -rf "$venv"
    "$python" -m venv "$venv"
    pwd >"$venv/.folder"
fi
rm -f "$venv"/.stamp-*

say "installing labctl and what it needs into .venv (half a minute or more)."
pip() { "$venv/bin/python" -m pip --disable-pip-version-check --quiet "$@"; }
# The pip of an old Python knows no dependency groups.
pip install --upgrade --constraint constraints.txt pip
if [ -n "$group" ]; then
    pip install --constraint constraints.txt --build-constraint constraints.txt --group "$group" --editable .
else
    pip install --constraint constraints.txt --build-constraint constraints.txt --editable .
fi || fail "Tried to install labctl's packages with pip, and it failed: fix what it says above, and repeat this."
# pip compiles what it puts into .venv, and an editable labctl is not there. Where PYTHONDONTWRITEBYTECODE is set, as in
# many containers, each command would compile it anew.
"$venv/bin/python" -m compileall -q labctl plugins
# Older versions of labctl brought Ansible's whole bundle of collections.
if "$venv/bin/python" -c 'import importlib.metadata as m; m.version("ansible")' 2>/dev/null; then
    pip uninstall --yes ansible
fi
"$venv/bin/python" scripts/galaxy_collections.py
echo "$state" >"$venv/.stamp-${group:-run}"

#!/bin/sh
# Writes constraints.txt: the newest versions that pyproject.toml allows, as pip resolves them in a fresh environment; and
# pins the collections of the newest bundle of Ansible's.
set -eu
cd "$(dirname "$0")/.."
sh scripts/venv.sh dev
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
.venv/bin/python -m venv "$work/venv"
pip() { "$work/venv/bin/python" -m pip --disable-pip-version-check --quiet "$@"; }
pip install --upgrade pip
pip install --group dev --editable .
{
    echo "# The versions that labctl is built and tested with, for itself and for its development, name==version and nothing else."
    echo "# \`make constraints\` rewrites this file; \`make test\` then shows whether the new versions work."
    pip list --format freeze --exclude-editable | grep -v '^setuptools=='
} >"$work/constraints.txt"
mv "$work/constraints.txt" constraints.txt
.venv/bin/python scripts/galaxy_collections.py --pin

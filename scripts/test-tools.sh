#!/bin/sh
# Brings the programs that the tests need and Python does not have: mmdebstrap, which makes root file systems, and a container
# registry. The registry is only unpacked into .cache/tools: no service is installed or started.
set -eu
cd "$(dirname "$0")/.."
tools=.cache/tools

say() { echo "labctl: $*"; }
fail() {
    echo "labctl: $*" >&2
    exit 1
}
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

if command -v mmdebstrap >/dev/null && [ -x "$tools/usr/bin/docker-registry" ]; then
    exit 0
fi
command -v apt-get >/dev/null ||
    fail "The integration tests need mmdebstrap and docker-registry, which this reads with apt: run them on Debian or Ubuntu."

say "bringing what the tests need with apt-get: mmdebstrap (installed), docker-registry (unpacked into $tools)."
as_root apt-get -qq update </dev/null
if ! command -v mmdebstrap >/dev/null; then
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install mmdebstrap </dev/null >/dev/null ||
        fail "Tried to install mmdebstrap, and apt-get failed: mend what it says above, and repeat this."
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# apt downloads as the user _apt.
chmod 777 "$work"
(cd "$work" && apt-get -qq download docker-registry) ||
    fail "Tried to download docker-registry, and apt-get failed: mend what it says above, and repeat this."
mkdir -p "$tools"
dpkg-deb --extract "$work"/docker-registry_*.deb "$tools"

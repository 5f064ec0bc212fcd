#!/bin/sh
# Brings the programs that tests need and Python does not have: mmdebstrap, which makes root file systems; chromium, a browser;
# docker-registry, which is only unpacked into .cache/tools: no service is installed or started.
# usage: test-tools.sh PROGRAM...
set -eu
cd "$(dirname "$0")/.."
tools=.cache/tools

say() { echo "labctl: $*"; }
fail() {
    echo "labctl: $*" >&2
    exit 1
}
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

there() {
    if [ "$1" = docker-registry ]; then [ -x "$tools/usr/bin/docker-registry" ]; else command -v "$1" >/dev/null; fi
}

missing=
for program; do
    there "$program" || missing="$missing $program"
done
[ -n "$missing" ] || exit 0
command -v apt-get >/dev/null ||
    fail "These tests need$missing, which this reads with apt: run them on Debian or Ubuntu."

say "bringing what the tests need with apt-get:$missing (docker-registry is only unpacked into $tools)."
as_root apt-get -qq update </dev/null
for program in $missing; do
    [ "$program" != docker-registry ] || continue
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$program" </dev/null >/dev/null ||
        fail "Tried to install $program, and apt-get failed: mend what it says above, and repeat this."
done
case " $missing " in *" docker-registry "*) ;; *) exit 0 ;; esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# apt downloads as the user _apt.
chmod 777 "$work"
(cd "$work" && apt-get -qq download docker-registry) ||
    fail "Tried to download docker-registry, and apt-get failed: mend what it says above, and repeat this."
mkdir -p "$tools"
dpkg-deb --extract "$work"/docker-registry_*.deb "$tools"

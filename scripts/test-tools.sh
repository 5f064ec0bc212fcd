#!/bin/sh
# Brings the programs that tests need and Python does not have: mmdebstrap, which makes root file systems; chromium, a browser;
# docker-registry; openssh-server, which makes Docker hosts to reach. The last two are only unpacked into .cache/tools: no
# service is installed or started, and no system file is changed.
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

# The packages of a program, where they are only unpacked; nothing where it is installed.
unpacked() {
    case $1 in
    docker-registry) echo docker-registry ;;
    openssh-server) echo openssh-server libwrap0 ;;
    esac
}

there() {
    case $1 in
    docker-registry) [ -x "$tools/usr/bin/docker-registry" ] ;;
    openssh-server) [ -x /usr/sbin/sshd ] || [ -x "$tools/usr/sbin/sshd" ] ;;
    *) command -v "$1" >/dev/null ;;
    esac
}

missing=
for program; do
    there "$program" || missing="$missing $program"
done
[ -n "$missing" ] || exit 0
command -v apt-get >/dev/null ||
    fail "These tests need$missing, which this reads with apt: run them on Debian or Ubuntu."

say "bringing what the tests need with apt-get:$missing."
as_root apt-get -qq update </dev/null
packages=
for program in $missing; do
    if [ -n "$(unpacked "$program")" ]; then
        packages="$packages $(unpacked "$program")"
        continue
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$program" </dev/null >/dev/null ||
        fail "Tried to install $program, and apt-get failed: fix what it says above, and repeat this."
done
[ -n "$packages" ] || exit 0

say "unpacking into $tools:$packages."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# apt downloads as the user _apt.
chmod 777 "$work"
for package in $packages; do
    (cd "$work" && apt-get -qq download "$package") ||
        fail "Tried to download $package, and apt-get failed: fix what it says above, and repeat this."
done
mkdir -p "$tools"
for archive in "$work"/*.deb; do
    dpkg-deb --extract "$archive" "$tools"
done

#!/bin/sh
# Installs one package of another Debian release, read from the machine's own mirror; the machine's apt sources stay as they are.
# usage: install-from-release.sh RELEASE PACKAGE
# On failure: one sentence on stderr, exit 1.
set -eu
release=$1
package=$2
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
. /etc/os-release
codename=${VERSION_CODENAME:-}

# Nobody may answer a question here. Another apt may hold the lock: wait for it.
export DEBIAN_FRONTEND=noninteractive
apt() { apt-get --quiet --yes -o DPkg::Lock::Timeout=600 "$@" </dev/null; }

# apt itself says which mirror it uses, whatever the form of its sources; it can only say it after an update.
mirror() {
    # shellcheck disable=SC2016 # apt, not the shell, fills these in
    apt-get indextargets --format '$(CREATED_BY) $(CODENAME) $(COMPONENT) $(REPO_URI)' |
        awk -v codename="$codename" '$1 == "Packages" && $2 == codename && $3 == "main" { print $4; exit }'
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
    echo "Tried to install $package of Debian's $release, and $1 ($(grep -h '^[EW]:' "$work/log" | tail -n 2 | tr '\n' ' '))" \
        "- see whether this machine's Debian mirror also carries $release, and repeat this." >&2
    exit 1
}

uri=$(mirror)
if [ -z "$uri" ]; then
    apt update >"$work/log" 2>&1 || fail "apt-get update failed"
    uri=$(mirror)
    [ -n "$uri" ] || fail "found no mirror for '$codename' in the machine's apt sources"
fi

mkdir -p "$work/sources" "$work/lists/partial" "$work/archives/partial" "$work/download"
printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' "$uri" "$release" "$keyring" \
    >"$work/sources/$release.sources"
# apt fetches as the user _apt.
chmod 755 "$work"
chown _apt "$work/lists/partial" "$work/archives/partial" "$work/download"

elsewhere() {
    apt -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$work/sources" -o Dir::State::lists="$work/lists" \
        -o Dir::Cache::archives="$work/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= "$@"
}

elsewhere update >"$work/log" 2>&1 || fail "reading the list of packages failed"
cd "$work/download"
elsewhere download "$package" >"$work/log" 2>&1 || fail "the download failed"
apt install --no-install-recommends ./"$package"_*.deb >"$work/log" 2>&1 || fail "the installation failed"

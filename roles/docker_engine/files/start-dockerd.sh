#!/bin/sh
# Starts dockerd in the background on a machine without systemd and waits until it answers.
# usage: start-dockerd.sh LOG_FILE SECONDS
# Prints "started" or "answers already". On failure: one sentence on stderr, exit 1.
set -eu
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
unset DOCKER_HOST DOCKER_CONTEXT
log=$1
seconds=$2
pid_file=/var/run/docker.pid

answers() { docker -H unix:///var/run/docker.sock version >/dev/null 2>&1; }

# A zombie does not count as alive.
lives() { [ -e "/proc/$1/status" ] && ! grep -q '^State:.Z' "/proc/$1/status"; }

# Whether process $1 runs program $2; its number may belong to another program by now.
runs() { lives "$1" && [ "$(cat "/proc/$1/comm")" = "$2" ]; }

# dockerd refuses to start, or waits for ever, when the process number in such a file belongs to some other process by now.
forget_stale_pid() {
    if [ -e "$1" ] && ! runs "$(cat "$1")" "$2"; then
        rm -f "$1"
    fi
}

# dockerd takes a containerd of the system for granted as soon as its socket exists, even if nothing listens there.
forget_stale_socket() {
    if [ -S "$1" ] && ! grep -q " $1\$" /proc/net/unix; then
        rm -f "$1"
    fi
}

fail() {
    echo "Started dockerd in the background, but $1; its last words: $(tail -n 2 "$log" 2>/dev/null | tr '\n' ' ' | cut -c 1-500)" \
        "- read $log, fix what it says, and repeat this." >&2
    exit 1
}

# Several labs may ask at once for the engine of one machine: the first one starts it, the others find it answering.
exec 9>/var/run/labctl-start-dockerd.lock
flock 9

if answers; then
    echo "answers already"
    exit 0
fi

forget_stale_pid "$pid_file" dockerd
forget_stale_pid /var/run/docker/containerd/containerd.pid containerd
forget_stale_socket /run/containerd/containerd.sock

if [ -e "$pid_file" ]; then
    pid=$(cat "$pid_file")
else
    # The limits of the distribution's own service.
    # shellcheck disable=SC3045 # dash and bash know it, and one without it goes on
    ulimit -n 1048576 2>/dev/null || true
    umask 022
    cd /
    setsid dockerd </dev/null >>"$log" 2>&1 9>&- &
    pid=$!
fi

waited=0
until answers; do
    lives "$pid" || fail "it ended"
    [ "$waited" -lt "$seconds" ] || fail "it did not answer within $seconds seconds"
    waited=$((waited + 1))
    sleep 1
done
echo "started"

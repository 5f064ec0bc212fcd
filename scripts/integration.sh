#!/bin/sh
# Runs the tests with real Docker and real Consul: first, side by side, those that mostly wait for an election or a lease;
# then, one after the other on a machine that does nothing else, those that measure time (the marker `alone`).
# usage: integration.sh [WORD...]    WORD: for pytest, as in -k join. LABCTL_TEST_WORKERS: how many run side by side.
set -eu
cd "$(dirname "$0")/.."

together=0
pytest tests/integration -m "not alone" --numprocesses "${LABCTL_TEST_WORKERS:-3}" --dist loadfile --no-loadscope-reorder "$@" ||
    together=$?
# Interrupted: nobody waits for the other half.
[ "$together" != 2 ] || exit 2
alone=0
pytest tests/integration -m alone "$@" || alone=$?

# 5 is pytest's code for no test: one half may have none when WORDs choose some of them.
case "$together $alone" in
"0 0" | "0 5" | "5 0") exit 0 ;;
esac
exit 1

#!/bin/sh
# Runs targets of the Makefile one after the other, goes on after a failure, and ends with a line for each and the ten
# slowest of all their tests.
# usage: test.sh TARGET...
set -eu
cd "$(dirname "$0")/.."
logs=.cache/test
mkdir -p "$logs"
summary=$logs/summary
: >"$summary"
rm -f "$logs"/*.log
export PYTEST_ADDOPTS="--durations=10 ${PYTEST_ADDOPTS:-}"

for target; do
    echo
    echo "=== make $target"
    begin=$(date +%s)
    { make --no-print-directory "$target" 2>&1 && echo 0 >"$logs/status" || echo 1 >"$logs/status"; } | tee "$logs/$target.log"
    seconds=$(($(date +%s) - begin))
    if [ "$(cat "$logs/status")" = 0 ]; then result="passed"; else result="FAILED"; fi
    # pytest's own last lines, and the last one of Molecule's.
    words=$(sed 's/\x1b\[[0-9;]*m//g' "$logs/$target.log" |
        sed -nE 's/^=+ (.*(passed|failed|error).*[^ =]) =+$/\1/p; s/^[0-9]+ scenarios, .*/&/p' | paste -sd ';' -) || true
    printf '%-12s %s in %4d s %s\n' "$target" "$result" "$seconds" "$words" >>"$summary"
done

echo
echo "=== the ten slowest"
sed 's/\x1b\[[0-9;]*m//g' "$logs"/*.log | grep -hE '^[0-9]+\.[0-9]+s +(call|setup|teardown|scenario) ' | sort -rn | head -n 10
echo
echo "=== all of it"
cat "$summary"
! grep -q FAILED "$summary"

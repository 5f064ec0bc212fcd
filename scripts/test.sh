#!/bin/sh
# Runs targets of the Makefile one after the other, goes on after a failure, and ends with a line for each.
# usage: test.sh TARGET...
set -eu
cd "$(dirname "$0")/.."
logs=.cache/test
mkdir -p "$logs"
summary=$logs/summary
: >"$summary"

for target; do
    echo
    echo "=== make $target"
    begin=$(date +%s)
    { make --no-print-directory "$target" 2>&1 && echo 0 >"$logs/status" || echo 1 >"$logs/status"; } | tee "$logs/$target.log"
    seconds=$(($(date +%s) - begin))
    if [ "$(cat "$logs/status")" = 0 ]; then result="passed"; else result="FAILED"; fi
    # pytest's own last line, or how many of Molecule's scenarios went well.
    words=$(sed 's/\x1b\[[0-9;]*m//g' "$logs/$target.log" | grep -E '^=+ .*(passed|failed|error).* =+$' | tail -n 1 | tr -d '=') || true
    printf '%-12s %s in %4d s %s\n' "$target" "$result" "$seconds" "$words" >>"$summary"
done

echo
echo "=== make test"
cat "$summary"
! grep -q FAILED "$summary"

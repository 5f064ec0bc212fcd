#!/bin/sh
# Runs targets of the Makefile one after the other, goes on after a failure, and ends with a line for each and the ten
# slowest of all their tests. Targets joined by a comma run side by side, and each of them is printed when it has ended.
# usage: test.sh TARGET[,TARGET...]...
set -eu
cd "$(dirname "$0")/.."
logs=.cache/test

# Notes in a file what came of the target and how many seconds it took.
run() {
    begin=$(date +%s)
    result=passed
    make --no-print-directory "$1" 2>&1 || result=FAILED
    echo "$result $(($(date +%s) - begin))" >"$logs/$1.result"
}

if [ "${1:-}" = --one ]; then
    run "$2" >"$logs/$2.log"
    # Two that end together do not mix their lines.
    exec flock "$logs" sh -c 'echo && echo "=== make $1" && cat "$2"' sh "$2" "$logs/$2.log"
fi

mkdir -p "$logs"
rm -f "$logs"/*
export PYTEST_ADDOPTS="--durations=10 ${PYTEST_ADDOPTS:-}"

targets=
for group; do
    members=$(echo "$group" | tr , ' ')
    targets="$targets $members"
    echo
    echo "=== make $members"
    if [ "$members" = "$group" ]; then
        run "$group" | tee "$logs/$group.log"
    else
        # xargs and not `&`: a shell's own background would not hear Ctrl-C.
        printf '%s\n' $members | xargs -P 0 -I TARGET sh "$0" --one TARGET
    fi
done

echo
echo "=== the ten slowest"
sed 's/\x1b\[[0-9;]*m//g' "$logs"/*.log | grep -hE '^[0-9]+\.[0-9]+s +(call|setup|teardown|scenario) ' | sort -rn | head -n 10
echo
echo "=== all of it"
failed=0
for target in $targets; do
    read -r result seconds <"$logs/$target.result"
    # pytest's own last lines, and the last one of Molecule's.
    words=$(sed 's/\x1b\[[0-9;]*m//g' "$logs/$target.log" |
        sed -nE 's/^=+ (.*(passed|failed|error).*[^ =]) =+$/\1/p; s/^[0-9]+ scenarios, .*/&/p' | paste -sd ';' -) || true
    printf '%-12s %s in %4d s %s\n' "$target" "$result" "$seconds" "$words"
    [ "$result" = passed ] || failed=1
done
exit "$failed"

#!/bin/sh
# Runs Molecule's scenarios, two at a time, because a scenario mostly waits. A scenario's output is printed when it has
# ended, with a line for how long it took.
# usage: molecule.sh [SCENARIO]    without one: all
set -eu
cd "$(dirname "$0")/.."
logs=.cache/molecule
mkdir -p "$logs"

if [ "${1:-}" = --one ]; then
    begin=$(date +%s)
    result=passed
    molecule --base-config .config/molecule/config.yml test --scenario-name "$2" >"$logs/$2.log" 2>&1 </dev/null || result=FAILED
    seconds=$(($(date +%s) - begin))
    # Two scenarios that end together do not mix their lines.
    flock "$logs" sh -c 'cat "$1" && echo "$2"' sh "$logs/$2.log" "$seconds.00s scenario $2 $result"
    [ "$result" = passed ]
    exit
fi
if [ -n "${1:-}" ]; then
    exec molecule --base-config .config/molecule/config.yml test --scenario-name "$1"
fi
# The slowest first: it decides how long all of them take.
set -- docker_engine consul_lab
for file in molecule/*/molecule.yml; do
    name=$(basename "$(dirname "$file")")
    case " $* " in *" $name "*) ;; *) set -- "$@" "$name" ;; esac
done
failed=0
printf '%s\n' "$@" | xargs -P 2 -I SCENARIO sh "$0" --one SCENARIO || failed=1
printf '%d scenarios, %s\n' "$#" "$([ "$failed" = 0 ] && echo 'all passed' || echo 'some FAILED: see their lines above')"
exit "$failed"

# Remove a workshop's labs from this Docker host when its time has come, and then itself.
# $1 is the workshop, $2 its end in seconds since 1970. The engine is asked over its socket, with nothing but nc.
set -u
workshop=$1
end=$2
socket=/run/docker.sock

# By the clock, not by counting: a machine that slept, or was switched off, is late and not wrong.
while [ "$(date +%s)" -lt "$end" ]; do
    left=$((end - $(date +%s)))
    [ "$left" -lt 30 ] || left=30
    [ "$left" -lt 1 ] || sleep "$left" &
    wait $!
done

# HTTP/1.0: the engine closes the connection behind its answer, and nc ends.
ask() {
    printf '%s %s HTTP/1.0\r\nHost: docker\r\n\r\n' "$1" "$2" | nc -U -w 60 "$socket" | tr -d '\r'
}

# %22 is ", %3A :, %3D =, %5B and %5D the brackets, %7B and %7D the braces.
labelled() {
    echo "filters=%7B%22label%22%3A%5B%22raft-labctl.$1%3D$2%22%5D%7D"
}

# The labs of the workshop, by the labels of their containers, networks and volumes. Fails where the engine did not
# answer each question to its end: then nobody knows that nothing is left.
labs() {
    answers=
    for kind in 'containers/json?all=1&' 'networks?' 'volumes?'; do
        answer=$(ask GET "/$kind$(labelled workshop "$workshop")")
        case $answer in
            'HTTP/1.'?' 200 '*[]}]) answers="$answers $answer" ;;
            *) return 1 ;;
        esac
    done
    printf '%s\n' "$answers" | grep -o '"raft-labctl.lab":"[a-z0-9-]*"' | cut -d'"' -f4 | sort -u
}

remove() {
    for id in $(ask GET "/containers/json?all=1&$(labelled lab "$1")" | grep -o '"Id":"[0-9a-f]*"' | cut -d'"' -f4); do
        ask DELETE "/containers/$id?force=1&v=1" >/dev/null
    done
    for id in $(ask GET "/networks?$(labelled lab "$1")" | grep -o '"Id":"[0-9a-f]*"' | cut -d'"' -f4); do
        ask DELETE "/networks/$id" >/dev/null
    done
    for name in $(ask GET "/volumes?$(labelled lab "$1")" | grep -o '"Name":"[A-Za-z0-9_.-]*"' | cut -d'"' -f4); do
        ask DELETE "/volumes/$name?force=1" >/dev/null
    done
}

echo "the workshop $workshop has come to its end: removing its labs from this Docker host"
# An engine that restarts, or a lab that is being made at this moment, is met again on the next round.
while :; do
    if found=$(labs) && [ -z "$found" ]; then break; fi
    for lab in $found; do
        echo "removing $lab"
        remove "$lab"
    done
    sleep 1
done
echo "nothing of the workshop $workshop is left on this Docker host"
ask DELETE "/containers/$(hostname)?force=1&v=1" >/dev/null

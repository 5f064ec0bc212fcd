# Remove a workshop's labs from this Docker host when its time has come, and then itself.
# $1 is the workshop, $2 its end in seconds since 1970, $3 its owner as in a URL, $4 as in an answer of the engine: labs
# of others stay, whatever they say of themselves. The engine is asked over its socket, with nothing but nc.
set -u
workshop=$1
end=$2
owner=$3
owner_said=$4
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

# The labels of our containers; a container without them is foreign, as for `labctl down`.
parts='server helper fault probe reserved-servers'

# %22 is ", %2C the comma, %3A :, %3D =, %5B and %5D the brackets, %7B and %7D the braces. $1=$2 is a label of ours, $3
# one that has to be there.
labelled() {
    label="%22raft-labctl.$1%3D$2%22%2C%22raft-labctl.owner%3D$owner%22${3:+%2C%22raft-labctl.$3%22}"
    echo "filters=%7B%22label%22%3A%5B$label%5D%7D"
}

# Add an answer to the others. Fails on an incomplete answer: then it is unknown whether anything is left.
collect() {
    answer=$(ask GET "/$1")
    case $answer in
        'HTTP/1.'?' 200 '*[]}]) answers="$answers $answer" ;;
        *) return 1 ;;
    esac
}

# The labs of the workshop, by the labels of their containers, networks and volumes.
labs() {
    answers=
    for part in $parts; do
        collect "containers/json?all=1&$(labelled workshop "$workshop" "$part")" || return 1
    done
    collect "networks?$(labelled workshop "$workshop")" && collect "volumes?$(labelled workshop "$workshop")" || return 1
    printf '%s\n' "$answers" | grep -o "\"raft-labctl.lab\":\"$workshop-[a-z0-9-]*\"" | cut -d'"' -f4 | sort -u
}

# An engine may list more than what was asked for, and what a list calls "Id" or "Name" may be a label of that name,
# which says another one's. So each of them is looked at by itself: within a text, JSON escapes a quote, so these words
# are labels of just that one. $1 is the kind, $2 the lab, $3 the part, $4 `id` or `name`.
ours() {
    case $4 in
        id) said='"Id":"[0-9a-f]\{64\}"' ;;
        name) said='"Name":"[A-Za-z0-9][A-Za-z0-9_.-]*"' ;;
    esac
    listed="$1?"
    about=
    if [ "$1" = containers ]; then
        listed='containers/json?all=1&'
        about=/json
    fi
    for one in $(ask GET "/$listed$(labelled lab "$2" "$3")" | grep -o "$said" | cut -d'"' -f4 | sort -u); do
        answer=$(ask GET "/$1/$one$about")
        for label in "raft-labctl.lab\":\"$2\"" "raft-labctl.owner\":\"$owner_said\"" ${3:+"raft-labctl.$3\":"}; do
            case $answer in
                *"\"$label"*) ;;
                *) continue 2 ;;
            esac
        done
        printf '%s\n' "$one"
    done
}

remove() {
    for part in $parts; do
        for id in $(ours containers "$1" "$part" id); do
            ask DELETE "/containers/$id?force=1&v=1" >/dev/null
        done
    done
    for id in $(ours networks "$1" '' id); do
        ask DELETE "/networks/$id" >/dev/null
    done
    for name in $(ours volumes "$1" '' name); do
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

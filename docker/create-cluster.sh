#!/usr/bin/env bash
# create-cluster.sh HOST:PORT ...: makes one cluster of these nodes, with one
# replica for each primary, unless they are one already, and waits until every
# node sees all the others at their addresses and every slot is served.
#
# Nodes that know each other and do not become whole within HEAL_S seconds have
# come back at other addresses, or their creation was interrupted. They are
# emptied and joined anew: what they hold is a cache.
set -euo pipefail

: "${HEAL_S:=20}"

say() {
    echo "create-cluster: $*" >&2
}

# ask NODE COMMAND...
ask() {
    timeout 5 redis-cli -h "${1%:*}" -p "${1##*:}" "${@:2}" 2>/dev/null
}

# CLUSTER MEET takes addresses only. Nothing if the name is not known yet.
address_of() {
    local line
    line=$(getent ahostsv4 "${1%:*}") || return 0
    echo "${line%% *}:${1##*:}"
}

# The nodes that one of them knows: id and address, and what is wrong there.
view() {
    ask "$1" cluster nodes | awk '{
        split($2, address, "@")
        print $1, address[1], $3 ~ /fail|noaddr|handshake/ ? $3 : ""
    }' | sort
}

is_whole() {
    local node info first
    first=$(view "${nodes[0]}")
    [ "$(awk '{ print $2, $3 }' <<<"$first" | sort)" = "$expected" ] || return
    for node in "${nodes[@]}"; do
        info=$(ask "$node" cluster info)
        [[ $info == *cluster_state:ok* ]] || return
        [ "$(view "$node")" = "$first" ] || return
    done
}

# wait_for SECONDS COMMAND...
wait_for() {
    local end=$((SECONDS + $1))
    until "${@:2}"; do
        [ "$SECONDS" -lt "$end" ] || return
        sleep 0.2
    done
}

all_answer() {
    local name address
    nodes=()
    for name in "${names[@]}"; do
        address=$(address_of "$name")
        [ -n "$address" ] && ask "$address" ping >/dev/null || return
        nodes+=("$address")
    done
}

all_are_blank() {
    local node info
    for node in "${nodes[@]}"; do
        info=$(ask "$node" cluster info)
        [[ $info == *cluster_known_nodes:1[!0-9]* &&
            $info == *cluster_slots_assigned:0* ]] || return
    done
}

empty_all() {
    local node
    for node in "${nodes[@]}"; do
        # A replica refuses the first and needs it not.
        ask "$node" flushall >/dev/null || true
        ask "$node" cluster reset hard >/dev/null || true
    done
}

[ $# -ge 6 ] || { say "six nodes at least, as HOST:PORT" && exit 2; }
names=("$@")
nodes=()
if ! wait_for 60 all_answer; then
    say "not all of ${names[*]} answer"
    exit 1
fi
# Each address, with nothing wrong there.
expected=$(printf '%s \n' "${nodes[@]}" | sort)
if ! all_are_blank; then
    wait_for "$HEAL_S" is_whole && exit 0
    say "the nodes know each other and are not whole after $HEAL_S s, so" \
        "they are emptied and joined anew; one of them saw" "$(view "${nodes[0]}")"
    empty_all
fi
timeout 60 redis-cli --cluster create "${nodes[@]}" --cluster-replicas 1 \
    --cluster-yes
if ! wait_for 30 is_whole; then
    say "the cluster is not whole after 30 s; one node sees" \
        "$(view "${nodes[0]}")"
    exit 1
fi

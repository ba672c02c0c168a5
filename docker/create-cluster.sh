#!/usr/bin/env bash
# Makes one cluster of redis-1 to redis-6, unless they are one already, and
# waits until every slot is served.
set -euo pipefail

is_whole() {
    redis-cli -h redis-1 cluster info | grep -q '^cluster_state:ok'
}

if ! is_whole; then
    nodes=()
    for i in 1 2 3 4 5 6; do
        # CLUSTER MEET takes addresses only.
        address=$(getent hosts "redis-$i")
        nodes+=("${address%% *}:6379")
    done
    redis-cli --cluster create "${nodes[@]}" --cluster-replicas 1 --cluster-yes
fi
for _ in $(seq 300); do
    is_whole && exit 0
    sleep 0.1
done
echo "create-cluster: the cluster is not whole after 30 s" >&2
exit 1

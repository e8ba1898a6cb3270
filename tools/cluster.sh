#!/usr/bin/env bash
# A cluster of separate processes on loopback, state in .cluster/.   tools/cluster.sh up|down
# Proxies on 19530 and 19531, metrics 9091-9099 in role order. MQ=woodpecker (on S3, the default) or MQ=kafka.
set -euo pipefail
cd "$(dirname "$0")/.."
export GYR_SERVERS=${GYR_SERVERS:-$PWD/.cache/servers}
state=$PWD/.cluster
mq=${MQ:-woodpecker}

# down reads the list once: Ctrl-C's own clean-up may be at work beside `make cluster-down`.
down() {
  local pids=() pid alive i
  mapfile -t pids < <(tac "$state/pids" 2>/dev/null || true)
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for i in $(seq 100); do
    alive=0
    for pid in "${pids[@]}"; do if kill -0 "$pid" 2>/dev/null; then alive=1; fi; done
    [ $alive = 1 ] || break
    sleep 0.1
  done
  for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
  rm -f "$state/pids"
}

start() { # NAME COMMAND...
  local name=$1; shift
  "$@" >"$state/log/$name.log" 2>&1 &
  echo $! >>"$state/pids"
}

wait_http() { # NAME URL
  for _ in $(seq 300); do
    code=$(curl -s -o /dev/null -w '%{http_code}' "$2" || true)
    [ "$code" != 000 ] && [ "$code" != 503 ] && return 0
    sleep 0.1
  done
  echo "cluster: $1 is not ready, see $state/log/$1.log" >&2; tail -5 "$state/log/$1.log" >&2; exit 1
}

case ${1:-up} in
down) down; rm -rf "$state"; exit ;;
up) ;;
*) echo "usage: tools/cluster.sh up|down" >&2; exit 2 ;;
esac

[ -f "$state/pids" ] && { echo "cluster: $state/pids exists; run make cluster-down first" >&2; exit 1; }
tools/servers/etcd setup; tools/servers/s3 setup; [ "$mq" != kafka ] || tools/servers/kafka setup
mkdir -p "$state/log" "$state/s3"
trap 'down' EXIT
trap 'exit 130' INT TERM
start etcd tools/servers/etcd run "$state/etcd" 12379
start s3 tools/servers/s3 run "$state/s3" 17070
wait_http etcd http://127.0.0.1:12379/health
wait_http s3 http://127.0.0.1:17070/
queue='woodpecker://?storage=s3&bucket=gyr&prefix=wal'
if [ "$mq" = kafka ]; then
  start kafka tools/servers/kafka run "$state/kafka" 19092
  for _ in $(seq 300); do (exec 3<>/dev/tcp/127.0.0.1/19092) 2>/dev/null && break; sleep 0.1; done
  queue=kafka://127.0.0.1:19092/gyr
fi
export GYR_STORAGE_ACCESS_KEY=testkey GYR_STORAGE_SECRET_KEY=testsecret123
common=(--etcd 127.0.0.1:12379 --storage 's3://gyr/data?endpoint=http://127.0.0.1:17070&path_style=true&create=true' --mq "$queue")
role() { # ROLE NAME METRICS ARGS...
  local r=$1 n=$2 m=$3; shift 3
  start "$n" bin/gyr-"$r" "${common[@]}" --metrics-listen 127.0.0.1:"$m" "$@"
}
role coordinator coordinator1 9091
role coordinator coordinator2 9092
role datanode datanode1 9093
role datanode datanode2 9094
role querynode querynode1 9095
role querynode querynode2 9096
role indexnode indexnode1 9097
role proxy proxy1 9098 --listen 127.0.0.1:19530
role proxy proxy2 9099 --listen 127.0.0.1:19531
for m in 9098 9099; do wait_http "proxy$((m - 9097))" http://127.0.0.1:$m/healthz; done
cat <<T

  A Gyr cluster is up: 1 coordinator and 1 standby, 2 proxies, 2 datanodes, 2 querynodes, 1 indexnode.

    API       127.0.0.1:19530 and 127.0.0.1:19531
    log       $queue
    state     $state (logs in $state/log)
    look      bin/gyr-ctl status --address 127.0.0.1:19530
    stop      Ctrl-C

T
wait

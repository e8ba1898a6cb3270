#!/usr/bin/env bash
# Loads real embeddings into Gyr, builds HNSW, prints recall, speed and answers.
#   tools/demo.sh [--data FOLDER] [--seconds N]        on a server of its own, in a temporary folder
#   tools/demo.sh --address HOST:PORT [...]            on a server that runs already
# Other options: tools/demo.sh --help
set -euo pipefail
cd "$(dirname "$0")/.."
command -v go >/dev/null || { echo "demo: Go is missing (see go.work for the version)" >&2; exit 1; }
work=$(mktemp -d "${TMPDIR:-/tmp}/gyr-demo.XXXXXX")
server=
stop() {
  if [ -n "$server" ]; then
    kill "$server" 2>/dev/null || true
    for _ in $(seq 100); do kill -0 "$server" 2>/dev/null || break; sleep 0.1; done
    kill -9 "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap stop EXIT
trap 'exit 130' INT TERM

go build -o "$work/gyr-demo" ./integration/demo/cmd/gyr-demo

for arg; do
  case $arg in
  --address | --address=* | -address | -address=* | --help | -help | -h)
    code=0; "$work/gyr-demo" "$@" || code=$?
    exit $code ;;
  esac
done

[ -x bin/gyr-standalone ] || { echo "demo: bin/gyr-standalone is not built; run make build (make demo does it)" >&2; exit 1; }

# A port is free when nothing accepts on it; another program may take it before the server does, then the next is tried.
free_port() { # FROM
  local p=$1
  while (exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null; do p=$((p + 1)); done
  echo "$p"
}
for _ in 1 2 3; do
  port=$(free_port $((20000 + RANDOM % 10000)))
  metrics=$(free_port $((30000 + RANDOM % 2000)))
  bin/gyr-standalone --data-dir "$work/data" --listen "127.0.0.1:$port" --metrics-listen "127.0.0.1:$metrics" >"$work/server.log" 2>&1 &
  server=$!
  for _ in $(seq 300); do
    code=$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$metrics/healthz" || true)
    [ "$code" != 200 ] || break 2
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
  done
  kill -9 "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; server=
done
[ -n "$server" ] || { echo "demo: gyr-standalone does not start; its last words:" >&2; tail -20 "$work/server.log" >&2; exit 1; }

code=0
"$work/gyr-demo" --address "127.0.0.1:$port" "$@" || code=$?
if [ $code -ne 0 ] && ! kill -0 "$server" 2>/dev/null; then
  echo "demo: the server ended; its last words:" >&2; tail -20 "$work/server.log" >&2
fi
exit $code

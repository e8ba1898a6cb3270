#!/usr/bin/env bash
# The log's conformance suite, verbosely, on real servers: Kafka, local disk, and S3 (versitygw). Skips nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
export GYR_SERVERS=${GYR_SERVERS:-$PWD/.cache/servers}
tools/servers/kafka setup
tools/servers/s3 setup
dir=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"' EXIT
port() { python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])'; }
kafka=$(port); s3=$(port)
tools/servers/kafka run "$dir/kafka" "$kafka" >"$dir/kafka.log" 2>&1 & pids+=($!)
mkdir -p "$dir/s3"
tools/servers/s3 run "$dir/s3" "$s3" >"$dir/s3.log" 2>&1 & pids+=($!)
for p in "$kafka" "$s3"; do
  for _ in $(seq 600); do (exec 3<>/dev/tcp/127.0.0.1/"$p") 2>/dev/null && break; sleep 0.1; done
done
out=$dir/out
GYR_TEST_KAFKA=127.0.0.1:$kafka GYR_TEST_S3=http://127.0.0.1:$s3 go test -count=1 -v -timeout 15m -run 'Conformance' ./pkg/mq/... | tee "$out"
for driver in kafka woodpecker/local woodpecker/s3; do
  grep -q -- "--- PASS: .*/$driver" "$out" || { echo "test-mq: no passing test names $driver" >&2; exit 1; }
done
if grep -q -- '--- SKIP' "$out"; then echo "test-mq: a test was skipped" >&2; exit 1; fi

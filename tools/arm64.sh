#!/usr/bin/env bash
# Runs the engine's and the formats' tests for arm64 under qemu's user emulation (Debian package qemu-user-static): the
# kernels on a processor with dot products and on one without, the rest on the first. Says nothing about speed.
set -euo pipefail
cd "$(dirname "$0")/.."
qemu=$(command -v qemu-aarch64-static || command -v qemu-aarch64 || true)
if [ -z "$qemu" ]; then
  apt-get install -y -qq qemu-user-static >/dev/null || { echo "arm64: install qemu-user-static first" >&2; exit 1; }
  qemu=$(command -v qemu-aarch64-static)
fi
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
run() { # CPU MODULE PACKAGE ARGS...
  local cpu=$1 dir=$2 pkg=$3; shift 3
  (cd "$dir" && GOOS=linux GOARCH=arm64 CGO_ENABLED=0 go test -c -o "$work/t" "./$pkg" && cd "./$pkg" && "$qemu" -cpu "$cpu" "$work/t" -test.short -test.timeout 10m "$@")
  echo "arm64: $dir/$pkg passed on $cpu"
}
(cd pkg/vector && GOOS=linux GOARCH=arm64 go vet ./kernel && GOOS=linux GOARCH=arm64 go vet -tags purego ./kernel)
tiers() { # CPU   the tiers that the tests have run on it
  "$qemu" -cpu "$1" "$work/t" -test.v -test.run '^TestNew$|^TestOutOfRange$' | sed -n 's/.*PASS: TestOutOfRange\/\([^ ]*\).*/\1/p' | xargs
}
for want in "max generic neon neon-dot" "cortex-a53 generic neon"; do
  cpu=${want%% *}
  run "$cpu" pkg/vector kernel
  have=$(tiers "$cpu")
  [ "$have" = "${want#* }" ] || { echo "arm64: $cpu runs the tiers '$have', expected '${want#* }'" >&2; exit 1; }
done
for p in flat binary internal/rotate internal/sq4 internal/pq; do run max pkg/vector "$p"; done
run max pkg/vector hnsw -test.run 'TiersAgree|RoundTrip|Truncated'
run max pkg/vector ivf -test.run 'RoundTrip|Golden|TestTiers'
for p in schema plan expr wal; do run max pkg "$p" -test.run 'Test.*(RoundTrip|Codec|Table|Parse|Encode|Decode|Keys|Batch|Little)'; done

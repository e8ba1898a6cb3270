#!/usr/bin/env bash
# Runs the engine's and the formats' tests for arm64 under qemu's user emulation (Debian package qemu-user-static).
set -euo pipefail
cd "$(dirname "$0")/.."
qemu=$(command -v qemu-aarch64-static || command -v qemu-aarch64 || true)
if [ -z "$qemu" ]; then
  apt-get install -y -qq qemu-user-static >/dev/null || { echo "arm64: install qemu-user-static first" >&2; exit 1; }
  qemu=$(command -v qemu-aarch64-static)
fi
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
run() { # MODULE PACKAGE ARGS...
  local pkg=$2 dir=$1; shift 2
  (cd "$dir" && GOOS=linux GOARCH=arm64 CGO_ENABLED=0 go test -c -o "$work/t" "./$pkg" && cd "./$pkg" && "$qemu" "$work/t" -test.short -test.timeout 10m "$@")
  echo "arm64: $dir/$pkg passed"
}
for p in kernel flat; do run pkg/vector "$p"; done
run pkg/vector hnsw -test.run 'Small|Format|Load|Distance|Score|Filter|Duplicate'
for p in schema plan expr wal; do run pkg "$p" -test.run 'Test.*(RoundTrip|Codec|Table|Parse|Encode|Decode|Keys|Batch|Little)'; done

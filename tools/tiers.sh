#!/usr/bin/env bash
# The engine's tests with each tier of vector kernels that this machine can run, and without assembly. `kernels` as the
# argument: only the kernels without assembly, which no other test builds; their tests go through all tiers by themselves.
set -euo pipefail
cd "$(dirname "$0")/.."
quick=(./pkg/vector/kernel ./pkg/vector/flat ./pkg/vector/binary)
go vet -tags purego ./pkg/vector/kernel
go test -tags purego -short -timeout 10m "${quick[@]}"
[ "${1:-all}" = all ] || exit 0
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
go build -o "$work/ctl" ./services/ctl/cmd/gyr-ctl
tiers=$("$work/ctl" cpu | awk '$2 == "can" && $3 == "run" {print $1}')
[ -n "$tiers" ] || { echo "tiers: gyr-ctl cpu names none" >&2; exit 1; }
for tier in $tiers; do
  echo "-- tier $tier"
  GYR_VECTOR_TIER=$tier go test -short -timeout 20m ./pkg/vector/...
done

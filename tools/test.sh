#!/usr/bin/env bash
# Every test that CI runs. Fetches what it needs into .cache/. GYR_TEST_ONLY=go|integration runs a part.
set -euo pipefail
cd "$(dirname "$0")/.."
export GYR_SERVERS=${GYR_SERVERS:-$PWD/.cache/servers}
only=${GYR_TEST_ONLY:-go integration}
case $only in *go*)
  (cd tools && GOWORK=off go test -count=1 -timeout 15m ./house)
  go test -timeout 10m ./pkg/... ./pkg/vector/... ./services/...
  ;;
esac
case $only in *integration*)
  tools/sdk-setup.sh
  tools/servers/etcd setup
  tools/servers/s3 setup
  tools/servers/kafka setup
  # One package at a time: each starts servers and measures time.
  go test -p 1 -count=1 -timeout 20m ./integration/...
  ;;
esac

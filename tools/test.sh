#!/usr/bin/env bash
# Every test that CI runs. Fetches what it needs into .cache/. GYR_TEST_ONLY=go|integration runs a part.
set -uo pipefail
cd "$(dirname "$0")/.."
export GYR_SERVERS=${GYR_SERVERS:-$PWD/.cache/servers}
only=${GYR_TEST_ONLY:-go integration}
failed=()
part() { # NAME COMMAND...   a failing part does not keep the next ones from running
  local name=$1 start=$SECONDS; shift
  "$@" || failed+=("$name")
  echo "-- $name: $((SECONDS - start)) s"
}
house() { (cd tools && GOWORK=off go test -count=1 -timeout 15m ./house); }
setup() { tools/sdk-setup.sh && tools/servers/etcd setup && tools/servers/s3 setup && tools/servers/kafka setup; }
case $only in *go*)
  part "house rules" house
  part "packages and services" go test -timeout 10m ./pkg/... ./pkg/vector/... ./services/...
  ;;
esac
case $only in *integration*)
  part "servers and SDKs" setup
  # One package at a time: each starts servers and measures time.
  part "integration" go test -p 1 -count=1 -timeout 25m ./integration/...
  ;;
esac
[ ${#failed[@]} -eq 0 ] || { printf 'test: failed: %s\n' "${failed[@]}" >&2; exit 1; }

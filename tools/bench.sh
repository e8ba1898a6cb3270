#!/usr/bin/env bash
# Measures Gyr and prints a table.   tools/bench.sh [--only search,write] [--json] [--address HOST:PORT] [--data FOLDER]
# All options: tools/bench.sh --help. For figures that mean something, let nothing else run on the machine.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v go >/dev/null || { echo "bench: Go is missing (see go.work for the version)" >&2; exit 1; }
case " $* " in
*" --address"* | *" -address"* | *" --help "* | *" -help "* | *" -h "* | *" --binary"*) ;;
*) [ -x bin/gyr-standalone ] || { echo "bench: bin/gyr-standalone is not built; run make build (make bench does it)" >&2; exit 1; } ;;
esac
work=$(mktemp -d "${TMPDIR:-/tmp}/gyr-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT
go build -o "$work/gyr-bench" ./integration/bench/cmd/gyr-bench
"$work/gyr-bench" "$@"

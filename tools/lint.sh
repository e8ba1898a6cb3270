#!/usr/bin/env bash
# Formatting, vet, staticcheck (versions pinned in tools/go.mod) over every module.
set -euo pipefail
cd "$(dirname "$0")/.."
tool() { GOWORK=off go tool -modfile=tools/go.mod "$@"; }
bad=$(tool gofumpt -l pkg services integration tools | grep -v -E '\.pb\.go$' || true)
[ -z "$bad" ] || { echo "lint: not formatted by gofumpt (run: go tool -modfile=tools/go.mod gofumpt -w FILE):" >&2; echo "$bad" >&2; exit 1; }
go vet ./pkg/... ./pkg/vector/... ./services/... ./integration/...
staticcheck=$(mktemp -d)/staticcheck
(cd tools && GOWORK=off go build -o "$staticcheck" honnef.co/go/tools/cmd/staticcheck)
"$staticcheck" ./pkg/... ./pkg/vector/... ./services/... ./integration/...
rm -rf "$(dirname "$staticcheck")"
echo "lint: clean"

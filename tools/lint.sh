#!/usr/bin/env bash
# Formatting, vet, staticcheck (versions pinned in tools/go.mod) and the rules of the house over every module.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$(mktemp -d); trap 'rm -rf "$bin"' EXIT
(cd tools && GOWORK=off GOBIN="$bin" go install mvdan.cc/gofumpt honnef.co/go/tools/cmd/staticcheck)
modules=(./pkg/... ./pkg/vector/... ./services/... ./integration/...)
bad=$(git ls-files '*.go' | grep -v -E '\.pb\.go$' | xargs "$bin/gofumpt" -l)
[ -z "$bad" ] || { echo "lint: not formatted by gofumpt; run 'make fmt':" >&2; echo "$bad" >&2; exit 1; }
go vet "${modules[@]}"
"$bin/staticcheck" "${modules[@]}"
(cd tools && GOWORK=off go test -count=1 -timeout 15m ./house)
echo "lint: clean"

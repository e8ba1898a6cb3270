#!/usr/bin/env bash
# Generates pkg/rpc/pb from proto/internal with protoc and the plugins pinned in tools/go.mod, and the assembly of pkg/vector/kernel.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v protoc >/dev/null || apt-get install -y -qq protobuf-compiler >/dev/null 2>&1 || { apt-get update -qq && apt-get install -y -qq protobuf-compiler >/dev/null; } ||
  { echo "generate: protoc is missing (Debian package protobuf-compiler)" >&2; exit 1; }
bin=$(mktemp -d); trap 'rm -rf "$bin"' EXIT
(cd tools && GOWORK=off GOBIN="$bin" go install google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc)
PATH="$bin:$PATH" protoc -I proto/internal --go_out=. --go_opt=module=github.com/gyr-db/gyr \
  --go-grpc_out=. --go-grpc_opt=module=github.com/gyr-db/gyr,require_unimplemented_servers=false proto/internal/gyr.proto
go run ./pkg/rpc/gen
(cd tools && GOWORK=off go run ./kernelgen ../pkg/vector/kernel)

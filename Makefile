# Gyr's commands. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export CGO_ENABLED ?= 0
export GYR_SERVERS ?= $(CURDIR)/.cache/servers

ROLES := proxy coordinator datanode querynode indexnode standalone ctl
BINS := $(ROLES:%=bin/gyr-%)
DATA ?= ./data
VECTORS ?= demo:

.PHONY: help
help: ## this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build every binary into bin/ (static, no cgo)
	@mkdir -p bin
	@for r in $(ROLES); do go build -trimpath -ldflags='-s -w' -o bin/gyr-$$r ./services/$$r/cmd/gyr-$$r || exit 1; done
	@go build -trimpath -ldflags='-s -w' -o bin/vectorbench ./integration/vectorbench/cmd/vectorbench

.PHONY: run
run: ## one process with all roles, data in ./data, ports 19530 and 9091
	@mkdir -p bin && go build -trimpath -ldflags='-s -w' -o bin/gyr-standalone ./services/standalone/cmd/gyr-standalone
	@exec bin/gyr-standalone --data-dir $(DATA)

.PHONY: test
test: build ## every test that CI runs: Go, SDKs, crashes, cluster (fetches what it needs)
	@tools/test.sh

.PHONY: test-go
test-go: ## the Go tests of the packages and services only
	go test ./pkg/... ./pkg/vector/... ./services/...

.PHONY: test-mq
test-mq: ## the log's conformance suite on a real Kafka, on local disk and on a real S3 server, verbosely
	@tools/test-mq.sh

.PHONY: test-long
test-long: build ## the crash loops at full length
	GYR_LONG=1 go test -count=1 -timeout 120m -v ./integration/...

.PHONY: cluster
cluster: build ## separate processes on loopback with etcd and an S3 server; MQ=kafka for Kafka; Ctrl-C stops all
	@tools/cluster.sh up

.PHONY: cluster-down
cluster-down: ## stop a cluster that was left running and remove .cluster/
	@tools/cluster.sh down

.PHONY: demo
demo: build ## load real embeddings, build HNSW, print recall, QPS and latency, answer questions
	@tools/demo.sh $(ARGS)

.PHONY: bench
bench: build ## a table of figures (ARGS="--json" or ARGS="--address host:port"), then the engine alone (VECTORS=folder: on own data)
	@tools/bench.sh $(ARGS)
	@case "$(ARGS)" in *--address*|*--only*) ;; *) tools/bench-engine.sh $(filter --json,$(ARGS)) --data $(VECTORS) ;; esac

.PHONY: bench-full
bench-full: build ## the engine beside other libraries: more index types, 1M rows; hours (VECTORS=folder, ARGS=--json)
	@tools/bench-engine.sh --full --data $(VECTORS) $(ARGS)

.PHONY: lint
lint: ## gofumpt, vet, staticcheck, house rules
	@tools/lint.sh

.PHONY: fmt
fmt: ## format every Go file the way lint wants it
	@bin=$$(mktemp -d) && (cd tools && GOWORK=off GOBIN=$$bin go install mvdan.cc/gofumpt) && git ls-files '*.go' | grep -v '\.pb\.go$$' | xargs $$bin/gofumpt -w; rm -rf $$bin

.PHONY: race
race: ## race detector on the core packages (needs gcc)
	CGO_ENABLED=1 go test -race -timeout 15m ./pkg/wal ./pkg/mq/... ./pkg/segment ./pkg/catalog ./pkg/rpc ./services/querynode ./services/datanode ./services/coordinator ./services/proxy

.PHONY: generate
generate: ## regenerate code from proto/
	@tools/generate.sh

.PHONY: cross
cross: ## build for linux/arm64 and darwin/arm64
	@for p in linux/arm64 darwin/arm64; do GOOS=$${p%/*} GOARCH=$${p#*/} go build -o /dev/null ./services/standalone/cmd/gyr-standalone && echo "$$p builds" || exit 1; done

.PHONY: test-arm64
test-arm64: ## tests of the engine and the formats for arm64 under qemu
	@tools/arm64.sh

.PHONY: test-tiers
test-tiers: ## tests of the engine with each tier of vector kernels, and without assembly; minutes for each
	@tools/tiers.sh

.PHONY: vuln
vuln: ## known vulnerabilities, where the database answers
	@for m in pkg/vector pkg services; do (cd $$m && go run golang.org/x/vuln/cmd/govulncheck@latest ./...) || exit 1; done

.PHONY: clean
clean: ## remove what builds made (not ./data)
	rm -rf bin .cluster

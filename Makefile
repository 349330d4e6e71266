.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "%-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Handle a crypto-miner event on this machine, from webhook to killed container (ARGS=--auto-approve: unattended)
	@[ -e bin/dev ] || echo "Building. The first time compiles the Temporal server: five to ten minutes on two cores."
	@go -C dev build -o ../bin/dev . && cd dev && exec ../bin/dev demo $(ARGS)

.PHONY: build
build: ## Build bin/firebreak
	CGO_ENABLED=0 go build -trimpath -tags disable_grpc_modules -o bin/firebreak . # Google's store needs no gRPC: a fifth less

.PHONY: bench
bench: ## Measure latencies and throughput beside a bare-SDK program (ARGS=--help lists the sizes)
	@go run -C dev ./bench $(ARGS)

.PHONY: bench-ingest
bench-ingest: ## Measure the webhook in a flood, beside a bare-SDK program (ARGS=--help lists the sizes)
	@go run -C dev ./bench ingest $(ARGS)

.PHONY: bench-capture
bench-capture: ## Measure how captures are saved in files and in S3, beside curl (ARGS=--help lists the sizes)
	@go run -C dev ./bench capture $(ARGS)

.PHONY: bench-memory
bench-memory: build ## Measure the worker's memory while 10,000 incidents wait, some five minutes (ARGS=--help lists the sizes)
	@go run -C dev ./bench memory --firebreak ../bin/firebreak $(ARGS)

.PHONY: bench-enrich
bench-enrich: build ## Measure incidents that lack host.id among 20,000 agents, some two minutes (ARGS=--help lists the sizes)
	@go run -C dev ./bench enrich --firebreak ../bin/firebreak $(ARGS)

.PHONY: chaos
chaos: ## Handle 300 incidents while everything is killed and Sysdig fails (ARGS="--incidents 300 --for 2m --seed 1")
	@go -C dev test ./e2e -run '^TestChaos$$' -count=1 -v -timeout 15m -args --incidents 300 --for 2m $(ARGS)

.PHONY: cluster-test
cluster-test: ## The same on a Temporal of several processes over PostgreSQL, then its throughput (needs Debian's package postgresql)
	@go -C dev test ./e2e -run '^TestChaosOfACluster$$' -count=1 -v -timeout 15m -args --incidents 300 --for 2m $(ARGS)
	@go run -C dev ./bench cluster

.PHONY: compose-test
compose-test: ## Run docker-compose.yml in the sandbox and kill everything in it (needs Docker and root; ARGS=--real-images pulls)
	@dev/compose/test.sh $(ARGS)

.PHONY: test
test: ## Run every test of all modules
	go test -timeout 10m ./...
	go -C dev build ./... # once, before tests that build it too run beside the compiler
	@go -C dev/s3server tool -n versitygw >/dev/null # likewise
	@go -C dev tool -n go.temporal.io/server/cmd/server >/dev/null
	@go -C dev tool -n go.temporal.io/server/cmd/tools/sql >/dev/null
	go -C dev test -timeout 20m ./...
	go -C dev/kubernetes test -timeout 20m ./...

FUZZTIME = 60s
# By default Go makes each new input smaller for up to a minute before it goes on.
FUZZ = go test -run '^$$' -fuzzminimizetime 1s -fuzztime $(FUZZTIME) $(ARGS) ./internal/incident

.PHONY: fuzz
fuzz: ## Fuzz the decoder, the unwrapper and the router, a minute each (FUZZTIME=10m, ARGS="-parallel 1")
	$(FUZZ) -fuzz '^FuzzParse$$'
	$(FUZZ) -fuzz '^FuzzUnwrap$$'
	$(FUZZ) -fuzz '^FuzzRouter$$'

.PHONY: lint
lint: ## Check format, code, workflows and go.mod of all modules
	go -C dev build -o ../bin/ honnef.co/go/tools/cmd/staticcheck mvdan.cc/gofumpt go.temporal.io/sdk/contrib/tools/workflowcheck
	@unformatted=$$(bin/gofumpt -l .) && { [ -z "$$unformatted" ] || { echo "gofumpt would change:" && echo "$$unformatted" && false; }; }
	go vet ./...
	go -C dev vet ./...
	go -C dev/kubernetes vet ./...
	bin/staticcheck ./...
	cd dev && ../bin/staticcheck ./...
	cd dev/kubernetes && ../../bin/staticcheck ./...
	bin/workflowcheck -config workflowcheck.config.yaml ./workflows/...
	go mod tidy -diff
	go -C dev mod tidy -diff
	go -C dev/kubernetes mod tidy -diff
	go -C dev/s3server mod tidy -diff

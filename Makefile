# 'make' alone lists the targets. Everything that is not in the repository is installed by name and version: Go tools into
# .tools, npm packages into web/node_modules, Debian packages by .ci/packages where they are missing.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

GOLANGCI_VERSION := v2.15.0
SQLC_VERSION := v1.31.1

tools := $(CURDIR)/.tools
golangci := $(tools)/golangci-lint-$(GOLANGCI_VERSION)
sqlc := $(tools)/sqlc-$(SQLC_VERSION)
npm_stamp := web/node_modules/.package-lock.json
# With --prefix, npm would not read the machine's own settings.
npm := cd web && npm
# What tests run takes its Postgres from here, and never a database that is somebody's.
for_tests = env -u DATABASE_URL -u HERALD_DATABASE_URL -u HERALD_DIRECT_DATABASE_URL HERALD_POSTGRES_BIN="$$($(CURDIR)/.ci/packages postgres-bin)"

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: ## install what is missing, build, and start Herald on http://127.0.0.1:8080 (ARGS="--addr …" for more)
	@.ci/packages ffmpeg $(if $(HERALD_DATABASE_URL)$(DATABASE_URL),,postgres)
	@$(MAKE) --no-print-directory build
	@HERALD_POSTGRES_BIN="$$(.ci/packages postgres-bin)" exec bin/herald up $(ARGS)

.PHONY: build
build: $(npm_stamp) ## build the web app and the program bin/herald
	$(npm) run build
	go build -o bin/ ./cmd/...

.PHONY: test
test: $(npm_stamp) ## run all tests: Go with the race detector, TypeScript, and the browser
	.ci/packages ffmpeg postgres chromium compiler network curl nginx pgbouncer psql python
	$(MAKE) --no-print-directory build
	$(for_tests) go test -race -p 2 ./...
	cd web && $(for_tests) npm test
	cd web && $(for_tests) npm run e2e

.PHONY: soak
soak: ## kill everything at random for an hour and check the log, one seed after another; then half an hour of streams (SOAK=10m)
	.ci/packages postgres compiler network
	$(for_tests) HERALD_TEST_SOAK="$(or $(SOAK),1h)" go test -race -v -count=1 -timeout 0 ./internal/eventlog/logtest
	HERALD_TEST_SOAK="$(or $(SOAK),30m)" go test -v -count=1 -timeout 0 ./internal/httpapi/streamtest

.PHONY: check
check: fmt-check generate-check lint web-check test ## all that CI runs: formatting, lint, generated code, then the tests

.PHONY: e2e
e2e: build ## run the browser tests alone
	.ci/packages ffmpeg postgres chromium
	cd web && $(for_tests) npm run e2e

.PHONY: bench-page
bench-page: build ## measure what the web page costs a browser, and how soon it shows what happens
	.ci/packages ffmpeg postgres chromium
	cd web && $(for_tests) npm run bench

.PHONY: fmt
fmt: $(golangci) $(npm_stamp) ## format all code
	$(golangci) fmt ./...
	$(npm) run format

.PHONY: fmt-check
fmt-check: $(golangci)
	$(golangci) fmt --diff ./...

.PHONY: lint
lint: $(golangci) web/app/dist/.gitkeep ## look for mistakes in the Go code
	go mod tidy -diff
	$(golangci) run ./...

.PHONY: web-check
web-check: $(npm_stamp) ## look at the web code's formatting, types and lint
	$(npm) run check

.PHONY: generate
generate: $(sqlc) ## write the generated code anew: queries, the OpenAPI and AsyncAPI documents, the schemas of notifications
	$(sqlc) generate
	go test ./internal/httpapi -run TestOpenAPI -update

.PHONY: generate-check
generate-check: $(sqlc)
	$(sqlc) diff

.PHONY: fuzz
fuzz: ## fuzz every parser for a while (FUZZTIME=30s), and every operation of the API
	.ci/packages postgres
	$(for_tests) HERALD_TEST_CONTRACT=2000 go test -count=1 ./internal/httpapi -run '^TestTheAPIKeepsToItsDocument$$'
	@grep -rlE '^func Fuzz' --include='*_test.go' internal | while read -r file; do \
	  grep -oE '^func Fuzz[A-Za-z]+' "$$file" | cut -c6- | while read -r name; do \
	    go test "./$$(dirname "$$file")" -run '^$$' -fuzz "^$$name$$" -fuzztime "$${FUZZTIME:-10s}"; \
	  done; \
	done

.PHONY: bench
bench: ## measure Herald against the naive ways, side by side
	.ci/packages postgres
	go build -o bin/ ./cmd/...
	$(for_tests) bin/herald-bench log
	$(for_tests) bin/herald-bench http
	$(for_tests) bin/herald-bench stream
	.ci/packages ffmpeg
	$(for_tests) bin/herald-bench jobs
	$(for_tests) bin/herald-bench history
	.ci/packages psql
	$(for_tests) bin/herald-bench export

.PHONY: clean
clean: ## remove what was built or installed here
	rm -rf bin .tools web/node_modules web/client/dist web/app/dist/assets web/app/dist/dev web/app/dist/index.html web/docs/dist/*.gz

$(npm_stamp): web/package-lock.json
	$(npm) ci --no-audit --no-fund

$(golangci):
	GOBIN=$(tools)/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv $(tools)/bin/golangci-lint $@

$(sqlc):
	GOBIN=$(tools)/bin CGO_ENABLED=0 go install github.com/sqlc-dev/sqlc/cmd/sqlc@$(SQLC_VERSION)
	mv $(tools)/bin/sqlc $@

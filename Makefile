# Every command of the project. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OPA_VERSION := v1.22.4
# Programs that tests run, and modules of which they read a file: Kubernetes' and Compose's schemas.
GO_PROGRAMS := helm.sh/helm/v3/cmd/helm@v3.16.4 github.com/yannh/kubeconform/cmd/kubeconform@v0.6.7
GO_MODULES := k8s.io/kubernetes@v1.31.14 github.com/compose-spec/compose-go/v2@v2.16.2
KEYCLOAK_VERSION := 26.7.3
CACHE = $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/gatehouse
KEYCLOAK = $(CACHE)/keycloak-$(KEYCLOAK_VERSION)
PROMTOOL = $(CACHE)/promtool
MAVEN_COPY := org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy
RUNTIME := --extra kong --extra service --extra dashboard --extra build
# Hashes, but no addresses: where packages come from is the installing machine's business. With extras:
# pip takes `name[extra]` for not pinned, once there is a newer one, when the lock says `name` only.
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --no-header --no-strip-extras --upgrade pyproject.toml
# Tests that start nothing share the processors; each process of them takes 0.7 GB. Tests that start
# services run one after the other: two at once on two processors, and some wait in vain.
AT_ONCE := -n auto --maxprocesses 4
AUDIT := .audit
SBOM := dist
SBOM_OF := requirements requirements-dev
AUDIT_TOOLS := pip-audit==2.10.1 cyclonedx-bom==7.5.0
# What `make services` could not do is told, and the rest is done.
OR_TELL = $(1) || echo "Failed, see above: $(1). Is the network there? Then run make services again."
# Programs that `go install` leaves behind are found wherever Go puts them.
export PATH := $(PATH):$(shell go env GOPATH 2>/dev/null)/bin

.DEFAULT_GOAL := help
.PHONY: help demo demo-stop test check fuzz format services keycloak promtool bench bench-runtime bench-gateway bench-decision bench-policy bench-limits bench-ledger bench-watching bench-relay bench-peers bench-dashboard soak lock golden audit sbom clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Gatehouse needs Python 3.11 or newer; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing what the demo needs into $(VENV) ..."
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.demo
	@echo "Installing what the tests need into $(VENV) ..."
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

demo: $(VENV)/.demo ## Start everything and print what to try; DETACH=1 returns when it is ready
	$(BIN)/gatehouse demo start $(if $(DETACH),--detach) $(DEMO_ARGS)

demo-stop: $(VENV)/.demo ## Stop a detached demo
	$(BIN)/gatehouse demo stop

test: check ## All tests; those that need a missing program are skipped, and say so
	$(BIN)/python -m pytest -q tests/integration tests/e2e tests/browser tests/kong

check: $(VENV)/.dev ## Format, lint, types, import contracts, Rego, fast tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@if command -v opa >/dev/null; then \
	  opa fmt --fail --diff rego && \
	  opa check --strict --schema rego/schemas rego && \
	  opa test rego --coverage --threshold 100 >/dev/null && echo "Rego: format, types, tests and coverage are good"; \
	elif [ "$(GATEHOUSE_REQUIRE_SERVICES)" = 1 ]; then echo "opa is missing: run 'make services'" >&2; exit 1; \
	else echo "SKIPPED: the Rego checks need opa; 'make services' installs it"; fi
	$(BIN)/python -m pytest -q $(AT_ONCE) --dist worksteal tests/unit tests/golden tests/property tests/fuzz tests/contract

fuzz: $(VENV)/.dev ## Feed every reader of foreign input with odd input, for longer than the tests do
	GATEHOUSE_FUZZ_EXAMPLES=$(or $(EXAMPLES),5000) $(BIN)/python -m pytest -q $(AT_ONCE) tests/fuzz

format: $(VENV)/.dev ## Put code and policy into their standard form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	@if command -v opa >/dev/null; then opa fmt --write rego; fi

services: ## Install Redis, PostgreSQL, Chromium, promtool (Debian), OPA, Helm (Go), Keycloak (Maven) and what makes the SBOM (pip) for the full tests
	@if command -v apt-get >/dev/null; then \
	  SUDO=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	  $$SUDO apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive $$SUDO apt-get install -y -qq redis-server postgresql chromium; \
	else echo "Install redis-server, postgresql and chromium with your system's package manager."; fi
	@if command -v opa >/dev/null; then :; \
	elif ! command -v go >/dev/null; then \
	  echo "Install OPA $(OPA_VERSION): https://www.openpolicyagent.org/docs#running-opa"; \
	else $(call OR_TELL,go install github.com/open-policy-agent/opa@$(OPA_VERSION)); fi
	@for program in $(GO_PROGRAMS); do \
	  name=$${program%@*}; \
	  if command -v "$${name##*/}" >/dev/null; then :; \
	  elif ! command -v go >/dev/null; then echo "Install Go, and then: go install $$program"; \
	  else $(call OR_TELL,go install $$program); fi; \
	done
	@if ! command -v go >/dev/null; then echo "Install Go, and then: go mod download $(GO_MODULES)"; \
	else $(call OR_TELL,go mod download $(GO_MODULES)); fi
	@$(call OR_TELL,$(MAKE) --no-print-directory $(AUDIT)/.tools)
	@if command -v promtool >/dev/null || [ -x "$(PROMTOOL)" ]; then :; \
	elif command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; then $(MAKE) --no-print-directory promtool; \
	else echo "Install promtool, which comes with Prometheus: https://prometheus.io/download/"; fi
	@if [ -x "$(KEYCLOAK)/bin/kc.sh" ]; then :; \
	elif ! command -v mvn >/dev/null || ! command -v java >/dev/null; then \
	  echo "Keycloak needs Java 17 and Maven (Debian: apt-get install default-jre-headless maven)."; \
	  echo "Or name the folder of a Keycloak, built with --db=dev-file, in GATEHOUSE_KEYCLOAK."; \
	else $(MAKE) --no-print-directory keycloak; fi

# Out of Debian's package, which is not installed: it would start a server.
promtool:
	@echo "Installing promtool into $(PROMTOOL) ..."
	@mkdir -p "$(CACHE)" && work=$$(mktemp -d "$(PROMTOOL).XXXXXX") && trap 'rm -rf "$$work"' EXIT && \
	cd "$$work" && apt-get -o APT::Sandbox::User=root download -qq prometheus && \
	dpkg-deb --extract prometheus_*.deb . && mv usr/bin/promtool "$(PROMTOOL)"

# Built in a folder of its own and then moved: what is there is whole. The zip keeps no modes.
keycloak:
	@echo "Installing Keycloak $(KEYCLOAK_VERSION) into $(KEYCLOAK) ..."
	@mkdir -p "$(dir $(KEYCLOAK))" && work=$$(mktemp -d "$(KEYCLOAK).XXXXXX") && \
	trap 'rm -rf "$$work"' EXIT && \
	mvn --batch-mode --quiet $(MAVEN_COPY) -DoutputDirectory="$$work" \
	  -Dartifact=org.keycloak:keycloak-quarkus-dist:$(KEYCLOAK_VERSION):zip && \
	$(PYTHON) -m zipfile -e "$$work/keycloak-quarkus-dist-$(KEYCLOAK_VERSION).zip" "$$work" && \
	sh "$$work/keycloak-$(KEYCLOAK_VERSION)/bin/kc.sh" build --db=dev-file --health-enabled=false >"$$work/log" \
	  || { cat "$$work/log"; exit 1; } && \
	chmod +x "$$work/keycloak-$(KEYCLOAK_VERSION)/bin/kc.sh" && \
	mv "$$work/keycloak-$(KEYCLOAK_VERSION)" "$(KEYCLOAK)"

bench: bench-runtime bench-gateway bench-decision bench-policy bench-limits bench-ledger bench-relay bench-watching ## Measure all of ours but the dashboard

bench-runtime: $(VENV)/.dev ## Measure: a PDK call on our plugin runtime and on kong-pdk's; HTTP clients; start and memory
	$(BIN)/python -m tests.load.runtime_pdk_calls
	$(BIN)/python -m tests.load.http_clients
	$(BIN)/python -m tests.load.starting

bench-gateway: $(VENV)/.dev ## Measure: the whole gateway, by phase, body and clients; KONG_PROXY_URL names a real Kong
	@if [ -n "$(KONG_PROXY_URL)" ]; then $(BIN)/python -m tests.load.gateway_sizes; else \
	  $(BIN)/python -m tests.load.gateway_latency --services && \
	  $(BIN)/python -m tests.load.plugin_phases && \
	  $(BIN)/python -m tests.load.gateway_sizes; fi

bench-decision: $(VENV)/.dev ## Measure: the decision endpoint, and with 10,000 teams
	$(BIN)/python -m tests.load.decision_endpoint
	$(BIN)/python -m tests.load.many_teams

bench-policy: $(VENV)/.dev ## Measure: OPA beside the embedded engines; replay of 100,000 decisions
	$(BIN)/python -m tests.load.policy_engines
	$(BIN)/python -m tests.load.policy_replay

bench-limits: $(VENV)/.dev ## Measure: reserving and settling, in Redis' scripts and in memory
	$(BIN)/python -m tests.load.limits_store

bench-ledger: $(VENV)/.dev ## Measure: rows a second to PostgreSQL, by batch; the audit chain; what a call leaves behind
	$(BIN)/python -m tests.load.ledger_rows
	$(BIN)/python -m tests.load.audit_chain
	$(BIN)/python -m tests.load.footprint

bench-watching: $(VENV)/.dev ## Measure: what metrics and traces add to a call
	$(BIN)/python -m tests.load.watching

bench-relay: $(VENV)/.dev ## Measure: lateness and memory of 100 relayed streams
	$(BIN)/python -m tests.load.relay_streams

bench-peers: $(VENV)/.dev ## Measure: LiteLLM's and Portkey's gateways beside Gatehouse (installs them; needs npm)
	$(BIN)/python -m tests.load.peers

bench-dashboard: $(VENV)/.dev ## Measure: the dashboard over 10 million requests: its questions, and its pages in a browser
	$(BIN)/python -m tests.load.dashboard_queries
	$(BIN)/python -m tests.load.dashboard_pages

soak: $(VENV)/.dev ## Traffic while everything is killed, paused, slowed and cut off: MINUTES=10 SEED=1
	$(BIN)/python -m tests.load.soak --minutes $(or $(MINUTES),10) --seed $(or $(SEED),1)

golden: $(VENV)/.dev ## Rewrite the golden files; review the diff
	$(BIN)/python -m tests.golden.rewrite

lock: $(VENV)/.dev ## Renew both lock files from pyproject.toml
	$(LOCK) --output-file requirements.lock $(RUNTIME)
	$(LOCK) --output-file requirements-dev.lock --constraints requirements.lock $(RUNTIME) --extra dev

# In an environment of their own: what looks at the locks is in none of them.
$(AUDIT)/.tools:
	@echo "Installing pip-audit and cyclonedx-bom into $(AUDIT) ..."
	@$(PYTHON) -m venv $(AUDIT)
	@$(AUDIT)/bin/pip install --quiet --disable-pip-version-check $(AUDIT_TOOLS)
	@touch $@

audit: $(AUDIT)/.tools ## Look both locks up in a vulnerability database; AUDIT_SERVICE=osv takes another
	@status=0; for lock in requirements.lock requirements-dev.lock; do \
	  $(AUDIT)/bin/pip-audit --require-hashes --disable-pip --requirement $$lock --progress-spinner off \
	    --vulnerability-service $(or $(AUDIT_SERVICE),pypi) --format json 2>$(AUDIT)/log >$(AUDIT)/found; \
	  tail -1 $(AUDIT)/log >&2; \
	  $(AUDIT)/bin/python deploy/audit.py $$lock <$(AUDIT)/found || status=$$?; \
	done; exit $$status

sbom: $(AUDIT)/.tools ## Write dist/*.cdx.json (or into SBOM=<folder>): what is in the locks, as CycloneDX
	@mkdir -p $(SBOM)
	@for lock in $(SBOM_OF); do \
	  $(AUDIT)/bin/cyclonedx-py requirements $$lock.lock --pyproject pyproject.toml --mc-type application \
	    --output-reproducible --of JSON --output-file $(SBOM)/$$lock.cdx.json || exit 1; \
	  echo "$(SBOM)/$$lock.cdx.json"; \
	done

clean: ## Remove what building and testing leave behind
	rm -rf $(VENV) $(AUDIT) .demo dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

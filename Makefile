SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --warn-undefined-variables --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
ARGS ?=

PACKAGES := gen/python services/shared services/chat services/inference services/retrieval clients/python clients/cli deploy/envoy deploy/local
HAND_WRITTEN := services clients deploy benches tests
IN_HOUSE := parley-protos parley-shared parley-chat parley-inference parley-retrieval parley-client parley-cli parley-edge parley-local

.PHONY: help
help: ## Print this list.
	@grep -hE '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## (.*)/\1\t\2/' | while IFS=$$'\t' read -r name text; do printf '  make %-14s %s\n' "$$name" "$$text"; done

# ---- Use -----------------------------------------------------------------------------------------------------------

.PHONY: run
run: setup ## Set everything up and run Parley on embedded defaults.
	$(BIN)/parley up $(ARGS)

.PHONY: setup
setup: $(VENV)/.installed node_modules/.installed web/dist/.built ## Install the locked packages and build the page.

$(VENV)/.uv: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Parley needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another with PYTHON=…")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

$(VENV)/.installed: $(VENV)/.uv requirements/dev.txt $(addsuffix /pyproject.toml,$(PACKAGES))
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation $(addprefix -e ,$(PACKAGES))
	@touch $@

node_modules/.installed: package.json package-lock.json gen/ts/package.json clients/ts/package.json web/package.json
	npm ci --no-fund --no-audit --loglevel=error
	@touch $@

web/dist/.built: node_modules/.installed $(shell find web/src web/public web/index.html web/vite.config.ts clients/ts/src gen/ts/src -type f 2>/dev/null)
	npm run build
	@touch $@

.PHONY: migrate
migrate: $(VENV)/.installed ## Bring every database to the newest schema.
	$(BIN)/python -m parley_chat.migrate
	$(BIN)/python -m parley_retrieval.migrate

# ---- Contracts -----------------------------------------------------------------------------------------------------

GOOGLEAPIS := .build/googleapis

.PHONY: googleapis
googleapis: $(VENV)/.installed
	@site=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	mkdir -p $(GOOGLEAPIS)/google/api $(GOOGLEAPIS)/google/rpc; \
	cp "$$site"/google/api/{annotations,http,httpbody}.proto $(GOOGLEAPIS)/google/api/; \
	cp "$$site"/google/rpc/{code,error_details,status}.proto $(GOOGLEAPIS)/google/rpc/

.PHONY: gen
gen: googleapis node_modules/.installed ## Generate the Python and TypeScript code of the contracts.
	$(BIN)/python gen/generate.py

.PHONY: gen-check
gen-check: gen ## Fail when the committed generated code is not what the contracts give.
	@changed=$$(git status --porcelain -- gen); if [ -n "$$changed" ]; then echo "$$changed"; git --no-pager diff --stat -- gen; echo "gen/ is not fresh: run 'make gen' and commit it." >&2; exit 1; fi

# ---- Locks ---------------------------------------------------------------------------------------------------------

COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command 'make lock' $(foreach name,$(IN_HOUSE),--no-emit-package $(name))

.PHONY: lock
lock: $(VENV)/.uv ## Resolve every dependency anew and write the hashed requirement files.
	$(COMPILE) --output-file requirements/uv.txt requirements/uv.in
	$(COMPILE) --all-extras --group dev --output-file requirements/dev.txt $(addsuffix /pyproject.toml,$(PACKAGES))
	for service in chat inference retrieval; do $(COMPILE) --all-extras --output-file services/$$service/requirements.txt services/$$service/pyproject.toml; done
	npm install --package-lock-only --no-fund --no-audit

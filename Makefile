# Two commands for people: `make demo` and `make test`. Both set themselves up in .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-header --no-annotate

# Two at a time, where make can keep their outputs apart: that of macOS cannot.
TOGETHER := $(if $(filter output-sync,$(.FEATURES)),--jobs=2 --output-sync=target)

.DEFAULT_GOAL := help
.PHONY: help schemas demo test test-browser lint types contracts unit unit-core unit-rest setup lock golden bench bench-deciding mutants clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

demo: $(STAMP) ## Show the whole loop on this machine, in .demo/; with SERVE=1, go on in the browser
	@$(BIN)/stagewright demo $(if $(SERVE),--serve)

test: $(STAMP) ## Everything that has to pass
	@$(MAKE) --no-print-directory $(TOGETHER) types lint contracts unit-core
	@$(MAKE) --no-print-directory unit-rest

test-browser: $(STAMP) ## The forge's pages in Chromium; SCREENSHOTS=folder keeps pictures
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/browser

lint: $(STAMP) ## Style and mistakes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## Strict types
	$(BIN)/mypy

contracts: $(STAMP) ## Which module may import which
	$(BIN)/lint-imports --no-logo

unit: unit-core unit-rest ## Tests, with branch coverage of bot/core at 100%

unit-core: $(STAMP)
	$(BIN)/python -m pytest -n 2 --cov --cov-report=term tests/core

unit-rest: $(STAMP)
	$(BIN)/python -m pytest -n 3 --dist loadgroup --no-loadscope-reorder --ignore=tests/core --ignore=tests/browser

setup: $(STAMP) ## Create .venv from the hash-locked requirements

# .venv/run and .venv/picture have what the workflows install on GitHub and nothing else: the sandbox runs them with it.
# The workflows import a tenth of that, so it is compiled as it is imported.
$(STAMP): requirements.lock requirements-picture.lock requirements-dev.lock requirements-uv.lock pyproject.toml
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-uv.lock
	$(BIN)/uv pip sync --quiet --compile-bytecode --require-hashes --python $(BIN)/python requirements-dev.lock
	$(PYTHON) -m venv --without-pip $(VENV)/run
	$(BIN)/uv pip sync --quiet --require-hashes --python $(VENV)/run/bin/python requirements.lock
	$(PYTHON) -m venv --without-pip $(VENV)/picture
	$(BIN)/uv pip sync --quiet --require-hashes --python $(VENV)/picture/bin/python requirements-picture.lock
	$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --python $(BIN)/python --editable .
	@touch $(STAMP)

lock: $(STAMP) ## Renew the locked requirements: to run, to draw as well, and to develop
	$(COMPILE) --extra build pyproject.toml -o requirements.lock
	$(COMPILE) --extra build --extra picture --constraint requirements.lock pyproject.toml -o requirements-picture.lock
	$(COMPILE) --all-extras --constraint requirements-picture.lock pyproject.toml -o requirements-dev.lock

schemas: $(STAMP) ## Renew bot/schemas/ from the types of the documents
	$(BIN)/python -m bot.schemas

golden: $(STAMP) ## Renew the golden files; read the difference before you commit it
	UPDATE_GOLDEN=1 $(BIN)/python -m pytest tests/views

bench: $(STAMP) ## How fast it is, beside other ways; ROWS="propose plan" runs a part, SMALL=1 tries it, RESUME=1 goes on, PUBLISH=1 renews docs/performance.md
	$(BIN)/python -m benchmarks $(ROWS) $(if $(SMALL),--small) $(if $(RESUME),--resume) $(if $(PUBLISH),--publish)

bench-deciding: $(STAMP) ## How often luck is promoted, by four ways to decide
	$(BIN)/python benchmarks/deciding.py

mutants: $(STAMP) ## Break bot/core/approval and bot/core/plan.py in each place, and see whether a test notices: docs/mutants.md
	$(BIN)/mutmut run --max-children 2

clean: ## Remove what the commands above made
	rm -rf $(VENV) .demo .bench mutants .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

# The project's commands. `make help` lists them.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet

.PHONY: help install run test lint format migrate lock bench translations widget-images

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

# Each stamp stands for one lock file as it was installed, so that a second run installs nothing.
$(VENV)/.installed: requirements.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes -r requirements.txt
	$(PIP) --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(PIP) --require-hashes -r requirements-dev.txt
	@touch $@

$(VENV)/.installed-test: requirements-test.txt $(VENV)/.installed
	$(PIP) --require-hashes -r requirements-test.txt
	@touch $@

install: $(VENV)/.installed ## install what running needs into .venv

run: install ## serve on http://127.0.0.1:8000 with the journal and simulated calls
	$(BIN)/connector run --demo

test: $(VENV)/.installed-test ## run all tests, on SQLite and PostgreSQL
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(VENV)/.installed-dev ## ruff, mypy, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev ## format the code
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

migrate: install ## bring the database up to date
	$(BIN)/connector db upgrade

bench: $(VENV)/.installed-test ## measure what the README and CHANGELOG quote
	$(BIN)/python -m benchmarks

lock: $(VENV)/.installed-dev ## pin all requirements with hashes, without index addresses
	$(BIN)/uv pip compile -q pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements.txt
	$(BIN)/uv pip compile -q pyproject.toml --extra test -c requirements.txt --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements-test.txt
	$(BIN)/uv pip compile -q pyproject.toml --extra test --extra dev -c requirements-test.txt --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements-dev.txt

translations: $(VENV)/.installed-dev ## collect and compile the panel's texts
	$(BIN)/pybabel -q extract -F connector/panel/babel.cfg -k lazy_gettext --no-location --sort-output -o $(VENV)/messages.pot connector crm_adapters
	$(BIN)/pybabel -q update -N --ignore-obsolete --ignore-pot-creation-date -w 120 -i $(VENV)/messages.pot -d connector/panel/translations
	$(BIN)/pybabel -q compile -d connector/panel/translations

widget-images: $(VENV)/.installed-dev ## draw the pictures of the amoCRM widget
	$(BIN)/python -m crm_adapters.amocrm.widget.draw

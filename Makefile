# The habits of this project. `make demo` and `make test` need nothing but Python 3.11 and, for the
# page tests, a Debian system (scripts/system-packages installs what is missing there).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check bench fuzz docs format lock clean

demo: $(VENV)/.runtime
	@$(BIN)/tailrace demo

test: $(VENV)/.dev
	@scripts/system-packages
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check src tests bench scripts/reference
	$(BIN)/ruff check src tests bench scripts/reference
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry src
	$(BIN)/vulture
	$(BIN)/codespell src tests bench docs examples scripts *.md Makefile
	$(BIN)/djlint --check --lint src/tailrace/web/templates src/tailrace/packs
	scripts/check-javascript

bench: $(VENV)/.dev
	$(BIN)/python -m bench

format: $(VENV)/.dev
	$(BIN)/ruff format src tests bench scripts/reference
	$(BIN)/ruff check --fix src tests bench scripts/reference
	$(BIN)/djlint --reformat --quiet src/tailrace/web/templates src/tailrace/packs
	scripts/check-javascript --write

fuzz: $(VENV)/.dev
	$(BIN)/python -m tests.fuzz $(ARGS)

docs: $(VENV)/.dev
	$(BIN)/python -m scripts.reference
	TAILRACE_SCREENSHOT_DIR=docs/images $(BIN)/pytest -q tests/end_to_end -k screenshot

lock:
	scripts/lock

clean:
	rm -rf $(VENV) build dist

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: constraints.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r constraints-build.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: constraints-dev.txt $(VENV)/.runtime
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r constraints-dev.txt
	@touch $@

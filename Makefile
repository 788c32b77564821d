# Two commands for a fresh clone: `make demo` and `make test`. `make check` is exactly what CI runs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo test check format tools bench schemas locks clean

help: ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: $(VENV)/runtime.stamp ## Allow one real promotion and deny another
	$(BIN)/python examples/run_demo.py

test: $(VENV)/dev.stamp tools ## Everything that CI checks
	$(MAKE) --no-print-directory check

check: ## Format, lint, types, layers, then all tests with branch coverage
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/gatekeeper policy lint policies
	$(BIN)/gatekeeper policy test policies --threshold 100
	$(BIN)/gatekeeper policy docs policies -o docs/rules --check
	$(BIN)/python -m pytest -n 2 --cov --cov-report=term:skip-covered -q

format: ## Format Python and Rego
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	.tools/bin/opa fmt --write policies

tools: ## Build pinned opa, conftest, regal and actionlint where Go is present
	@bash tools/build.sh

bench: $(VENV)/dev.stamp tools ## Measure throughput, cold start and growth beside conftest and opa
	$(BIN)/python benchmarks/run.py

schemas: ## Generate contracts/*.schema.json and the pages of the rules
	$(BIN)/python -m gatekeeper.schemas
	$(BIN)/gatekeeper policy docs policies -o docs/rules

locks: ## Resolve the lock files again
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header pyproject.toml -o requirements/runtime.lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --group dev pyproject.toml -c requirements/runtime.lock -o requirements/dev.lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header requirements/uv.in -o requirements/uv.lock

clean: ## Remove what was built
	rm -rf $(VENV) .tools build dist

$(VENV)/uv.stamp: requirements/uv.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.lock
	@touch $@

$(VENV)/runtime.stamp: $(VENV)/uv.stamp requirements/runtime.lock pyproject.toml
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements/runtime.lock
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/runtime.stamp requirements/dev.lock
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements/dev.lock
	@touch $@

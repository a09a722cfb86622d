# Everything runs in .venv, which `make setup` creates; only python3 (3.11 or newer) and make are needed.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
CODE := qflow workers examples benchmarks tests

.DEFAULT_GOAL := help
.PHONY: help setup check test bench dev format api docs screenshots

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Install qflow and all that its checks and tests need into .venv

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is older than 3.11; name a newer one: make setup PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev,examples]'
	@touch $@

check: $(READY) ## Check format, style, types and the shape of the code
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy $(CODE)
	$(BIN)/pytest --quiet tests/shape tests/api

test: $(READY) ## Run every test: first side by side (they mostly wait), then alone those that need the machine
	$(BIN)/pytest -n 4 -m 'not serial'
	$(BIN)/pytest -m serial || [ $$? -eq 5 ]  # 5: there are none

bench: $(READY) ## Measure durable steps and latencies beside other libraries
	$(BIN)/qflow bench

dev: $(READY) ## Run Redis, router, scheduler and worker on workers/, and reload on change
	$(BIN)/qflow dev

format: $(READY) ## Format the code and mend what can be mended
	$(BIN)/ruff check --fix-only --quiet $(CODE)
	$(BIN)/ruff format $(CODE)

api: $(READY) ## Write the public names and signatures to tests/api/public_api.txt
	$(BIN)/python tests/api/surface.py

docs: $(READY) ## Write the generated parts of docs/
	PYTHONPATH=tests $(BIN)/python tests/docs/generated.py

screenshots: $(READY) ## Write the pictures of the dashboard in docs/, with the system's Chromium
	PYTHONPATH=.:tests $(BIN)/python -m browser.screenshots

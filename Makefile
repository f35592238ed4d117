# Everything a developer runs. `make` alone lists the targets.
BIN := .venv/bin
# Any Python can start setup.py, which looks for a good one.
PYTHON = $(shell for p in python3 python3.13 python3.12 python3.11; do command -v $$p && exit; done)

.DEFAULT_GOAL := help
.PHONY: help setup check test demo bench lock docs clean

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## Make or update .venv; quick when up to date
	@$(or $(PYTHON),$(error Python 3.11 or newer is needed, found none)) scripts/setup.py

check: setup ## Format, lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check ## All checks and all tests
	$(BIN)/pytest -n 3

demo: setup ## Ask a small local model about your installed packages
	$(BIN)/python scripts/demo.py

bench: setup ## Measure throughput, memory and overhead
	$(BIN)/python -m benchmarks

lock: setup ## Bring requirements.lock up to pyproject.toml; ARGS=--upgrade takes the newest versions
	$(BIN)/uv pip compile pyproject.toml --quiet --all-extras --universal --generate-hashes \
		--no-annotate --no-header $(ARGS) -o requirements.lock

docs: setup ## Write the generated pages
	$(BIN)/python scripts/reference.py
	$(BIN)/python scripts/crds.py
	$(BIN)/python scripts/telemetry.py
	$(BIN)/python scripts/dashboards.py
	$(BIN)/python scripts/alerts.py
	$(BIN)/python scripts/notify_schema.py
	$(BIN)/python scripts/deliver_schema.py

clean: ## Remove .venv, caches and what the demo made
	rm -rf .venv .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

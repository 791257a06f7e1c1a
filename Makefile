# Everything here installs what it needs by scripts/bootstrap; a repeat costs nothing.
PY := .venv/bin/python
ARGS ?=

# Tests start some hundred processes: let them find what is compiled, whatever is set outside.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo test look check bench soak faults format messages wheel lock clean tools servers peers

help: ## show this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: servers ## the gateway between a real XMPP and a real Matrix server, to watch (ONCE=1: play it and exit)
	@$(PY) -m tests.demo $(ARGS)

test: peers ## all tests, or those that ARGS names (ARGS="tests/unit -k name -n0")
	@$(PY) -m pytest -m "not soak and not thorough" -n auto --dist worksteal $(ARGS)

look: ## pictures of what people see in Gajim and Dino, in .look
	@scripts/bootstrap look
	@$(PY) -m tests.look

check: tools ## formatting, lint, types and import rules
	@status=0; for step in "ruff format --check ." "ruff check ." mypy "lint-imports --no-logo"; do \
	  echo "== $$step"; .venv/bin/$$step || status=1; \
	done; exit $$status

bench: peers ## measure speed and memory
	@$(PY) -m tests.bench $(ARGS)

soak: peers ## the tests that take minutes or gigabytes
	@$(PY) -m pytest -m soak --timeout 0 $(ARGS)

faults: peers ## every fault at every server, and docs/developer/fault-matrix.md (SOAK=1: bursts of 1,000)
	@rm -rf .faults
	@$(PY) -m pytest tests/faults -m "$(if $(SOAK),soak,not soak)" --timeout $(if $(SOAK),0,300) $(ARGS)
	@$(PY) -m tests.faults.page

format: tools ## put the code into its standard form
	@.venv/bin/ruff check --fix-only --quiet .; .venv/bin/ruff format .

messages: tools ## bring the catalogues up to date with what the code says to users
	@$(PY) -m gateway.locale.messages gateway $(patsubst %/__init__.py,%,$(wildcard adapters/*/__init__.py)) $(ARGS)

wheel: tools ## build dist/*.whl
	@rm -rf build # what lies there from an older state would get into the wheel
	@said=$$($(PY) -m build --wheel --no-isolation --outdir dist . 2>&1) || { printf '%s\n' "$$said" >&2; exit 1; }; \
	  rm -rf build; printf '%s\n' "$$said" | tail -n 1

lock: ## write requirements/*.txt and package-lock.json anew (UPGRADE=1: newest versions)
	@scripts/bootstrap lock

clean: ## remove everything that was made in this folder
	@rm -rf .venv .bench .faults .look build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

tools:
	@scripts/bootstrap tools

servers:
	@scripts/bootstrap servers

peers:
	@scripts/bootstrap peers

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast test-long test-kernel lint bench bench-money bench-gateway bench-fleet docs messages requirements clean

BIN := .venv/bin
# Namespaces and tunnels need root; everything else does not.
ROOT := $(if $(filter 0,$(shell id -u)),,sudo --preserve-env=PATH)

# Tests that ask no database, or make SQLite files of their own.
NO_DATABASE := $(addprefix --ignore=tests/,agent cli house sandbox test_agent_without_django.py)

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

demo: ## do business once, from shop to packets (ONCE=1: exit at the end; PORT=8100: there)
	@./setup
	@$(ROOT) $(BIN)/ferriage demo $(if $(ONCE),--once) $(if $(PORT),--port $(PORT))

test: ## check and test everything: both databases, real tunnels, a real browser
	@./setup test
	@$(MAKE) --no-print-directory lint
	$(BIN)/pytest -q -n 2 -m "not tunnel and not browser and not long"
	FERRIAGE_TEST_DATABASE=postgres $(BIN)/pytest -q -n 2 -m "not tunnel and not browser and not long" $(NO_DATABASE)
	$(ROOT) $(BIN)/pytest -q -p no:randomly -m "(tunnel or browser) and not long"

test-fast: ## unit and property tests on SQLite
	@./setup test
	$(BIN)/pytest -q -n 2 -m "not tunnel and not browser and not long"

test-long: ## what `make test` leaves out because it takes minutes; needs root
	@./setup test
	$(ROOT) $(BIN)/pytest -q -p no:randomly -m long

# The machine is emulated, so limits of time are eight times longer in there.
VM := env FERRIAGE_TEST_BACKEND=kernel FERRIAGE_TEST_PATIENCE=8 PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 \
	$(BIN)/python tests/kernel/vm.py

test-kernel: ## test WireGuard in a kernel of Debian's, in an emulated machine (BENCH=1: figures)
	@./setup kernel
	$(ROOT) $(VM) $(BIN)/python -m pytest -q -c tests/kernel/pytest.ini --confcutdir=tests/tunnel \
		tests/tunnel/test_backend.py tests/kernel/inside.py
	$(if $(BENCH),$(ROOT) $(VM) $(BIN)/python benchmarks/backend.py --backend kernel --sizes 500 2000)

lint: ## imports, style, types
	$(BIN)/lint-imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy --python-version 3.11 src/ferriage/agent src/ferriage/config src/ferriage/wire

bench: ## print the figures that README quotes
	@./setup test
	@for file in $(filter-out benchmarks/fleet.py benchmarks/gateway.py,$(wildcard benchmarks/[a-z]*.py)); do echo "== $$file"; $(ROOT) $(BIN)/python $$file || exit 1; done

SIZES := 10000 100000 1000000
bench-money: ## print what the books cost, on both databases (SIZES="10000 100000": sooner)
	@./setup test
	$(BIN)/python benchmarks/money.py --sizes $(SIZES)
	FERRIAGE_TEST_DATABASE=postgres $(BIN)/python benchmarks/money.py --sizes $(SIZES)

bench-gateway: ## print what a full gateway costs
	@./setup test
	@for file in backend agent gateway; do \
		echo "== benchmarks/$$file.py"; $(ROOT) $(BIN)/python benchmarks/$$file.py || exit 1; done

FLEET := --agents 100 300 1000 --changes 10000 --rate 20 --outage 30
bench-fleet: ## print what a fleet of simulated gateways costs, a quarter of an hour (FLEET="…": another)
	@./setup test
	$(BIN)/python benchmarks/fleet.py $(FLEET)

docs: ## build the book into docs/_build
	@./setup test
	$(BIN)/sphinx-build -q -W docs docs/_build

messages: ## collect strings and compile translations
	cd src/ferriage && ../../$(BIN)/django-admin makemessages -v 0 --no-obsolete --no-location --no-wrap -l zh_Hans
	cd src/ferriage && ../../$(BIN)/django-admin compilemessages -v 0

requirements: ## write requirements/*.txt again from pyproject.toml
	requirements/compile

clean: ## remove what was made here, but not .demo of a running demo
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist docs/_build
	$(ROOT) rm -rf .demo

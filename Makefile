# make train   a fresh machine to a trained tagger; ARGS="model=transformer_crf" passes overrides
# make test    a fresh machine to passed tests
# make test-long   many kills of real processes; some minutes
# make lint    ruff and mypy

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN = .venv/bin
INSTALLED = .venv/installed

.PHONY: train test test-long lint clean

train: $(INSTALLED)
	$(BIN)/python train.py $(ARGS)

test: $(INSTALLED) lint
	$(BIN)/python -m pytest --numprocesses auto $(ARGS)

test-long: $(INSTALLED)
	$(BIN)/python -m pytest -m long -rP --no-header tests/faults

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Installed again only when what is to be installed has changed.
$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable ".[dev]" --constraint constraints.txt
	touch $@

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis

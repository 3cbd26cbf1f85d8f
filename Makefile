# make train   a fresh machine to a trained tagger; ARGS="model=transformer_crf" passes overrides
# make test    a fresh machine to passed tests
# make test-long   many kills of real processes; some minutes
# make fuzz    coverage-guided fuzzing, three minutes a target; ARGS="--seconds 600 columns"
# make lint    ruff and mypy

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN = .venv/bin
INSTALLED = .venv/installed

.PHONY: train test test-long fuzz lint clean

train: $(INSTALLED)
	$(BIN)/python train.py $(ARGS)

test: $(INSTALLED) lint
	$(BIN)/python -m pytest --numprocesses auto $(ARGS)

test-long: $(INSTALLED)
	$(BIN)/python -m pytest -m long -rP --no-header tests/faults

fuzz: $(INSTALLED)
	@$(BIN)/python -m pip install --quiet --only-binary :all: "atheris>=2.3,<4" 2>/dev/null \
		|| { echo "error: atheris does not install here; it comes for Linux alone" >&2; exit 1; }
	$(BIN)/python tests/faults/fuzz.py $(ARGS)

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
	rm -rf .venv .fuzz .mypy_cache .pytest_cache .ruff_cache .hypothesis

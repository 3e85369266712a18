# make run · make test · make check · make evaluate · make bench · make soak
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := app.py corpus index retrieval web evaluation training tests

.PHONY: run test check evaluate bench soak

run: $(VENV)/.installed
	$(BIN)/python app.py

check: $(VENV)/.tools
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/pytest -m "not model and not browser and not policies130 and not milvus and not faults"

test: $(VENV)/.milvus check
	$(BIN)/pytest -m "model or browser or policies130 or milvus or faults"

evaluate: $(VENV)/.installed
	$(BIN)/python -m evaluation

bench: $(VENV)/.installed
	$(BIN)/python -m evaluation bench

soak: $(VENV)/.milvus
	$(BIN)/pytest -m faults --soak

$(VENV)/.installed: requirements.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check -r requirements.txt
	$(BIN)/pip install --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/.tools: requirements-dev.txt $(VENV)/.installed
	$(BIN)/pip install --disable-pip-version-check -r requirements-dev.txt
	touch $@

$(VENV)/.milvus: requirements-milvus.txt $(VENV)/.tools
	$(BIN)/pip install --disable-pip-version-check -r requirements-milvus.txt
	touch $@

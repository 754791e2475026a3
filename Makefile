PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
CHIMERAX ?= chimerax

.PHONY: env demo test fuzz lint matrix bundle clean

# Everything is installed into .venv, so nothing of the user's own Python changes.
env: $(VENV)/.ready

$(VENV)/.engine: requirements.txt requirements-demo.txt
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet -r requirements.txt -r requirements-demo.txt
	touch $@

$(VENV)/.ready: $(VENV)/.engine requirements-dev.txt requirements-train.txt
	$(PY) -m pip install --quiet -r requirements-dev.txt
	touch $@

demo: $(VENV)/.engine
	$(PY) scripts/demo.py

test: env
	$(PY) -m pytest

fuzz: env
	$(PY) scripts/fuzz.py --seconds 60

lint: env
	$(PY) -m ruff check .
	$(PY) -m mypy

# Some tests with every Python and numpy that can be had here; .matrix keeps the environments.
matrix:
	$(PYTHON) .ci/matrix.py

bundle:
	$(CHIMERAX) --nogui --exit --cmd "devel build $(CURDIR)"

clean:
	rm -rf build dist demo .matrix src/*.egg-info

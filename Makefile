PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
CHIMERAX ?= chimerax

.PHONY: env demo test lint bundle clean

# Everything is installed into .venv, so nothing of the user's own Python changes.
env: $(VENV)/.ready

$(VENV)/.ready: requirements.txt requirements-dev.txt requirements-train.txt
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet -r requirements.txt -r requirements-dev.txt -r requirements-train.txt
	touch $@

demo: env
	$(PY) scripts/demo.py

test: env
	$(PY) -m pytest

lint: env
	$(PY) -m ruff check .

bundle:
	$(CHIMERAX) --nogui --exit --cmd "devel build $(CURDIR)"

clean:
	rm -rf build dist demo src/*.egg-info

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
CHIMERAX ?= chimerax
VERSION := $(shell sed -n 's/.*<BundleInfo .*version="\([^"]*\)".*/\1/p' bundle_info.xml)

.PHONY: env demo test fuzz lint matrix bundle pictures release maintained clean

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

# All pictures of README and help, in a window, by the bundle that is installed: make pictures MAPS=FOLDER MODEL=1xdn.pdb
pictures:
	$(CHIMERAX) --script "$(CURDIR)/scripts/help_pictures.py $(MAPS) $(MODEL)"

# A public release with the wheel, by GitHub's program gh.
release: maintained bundle
	gh release create v$(VERSION) dist/chimerax_mapenhance-$(VERSION)-py3-none-any.whl --title "Map Enhance $(VERSION)" --notes-file CHANGELOG.md

maintained:
	@! grep 'FILL IN' bundle_info.xml || { echo 'bundle_info.xml: say first who maintains it'; exit 2; }

clean:
	rm -rf build dist demo .matrix src/*.egg-info

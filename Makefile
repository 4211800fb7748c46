# Two commands are enough: `make lab` and `make test`. The rest is for those who work on the code.
# PORT= chooses the port, BROWSER=no leaves the browser closed, PYTHON= names another Python.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BROWSER ?= yes
PORT ?=
PIP := $(BIN)/python -m pip --disable-pip-version-check

# An environment is installed once for each content of these two files, and again when they change.
KEY := $(shell cat pyproject.toml constraints.txt | cksum | cut -d ' ' -f 1)
LAB_READY := $(VENV)/.installed-lab-$(KEY)
TEST_READY := $(VENV)/.installed-test-$(KEY)
BENCH_READY := $(VENV)/.installed-bench-$(KEY)
SERVER_OPTIONS := $(if $(PORT),--port $(PORT)) $(if $(filter no,$(BROWSER)),--no-browser)

.PHONY: help lab serve test bench check format clean

help:
	@echo "make lab     JupyterLab on the start notebook, with the Panel pages beside it"
	@echo "make test    every test"
	@echo "make serve   the Panel pages alone"
	@echo "make bench   speed on this machine beside the other libraries and the copy limit"
	@echo "make check   lint, format and types"
	@echo "make format  let ruff reformat the code"
	@echo "make clean   remove the environment and what the tools left"
	@echo "PORT=8890 chooses the port; BROWSER=no leaves the browser closed."

lab: $(LAB_READY)
	@$(BIN)/workbench lab $(SERVER_OPTIONS)

serve: $(LAB_READY)
	@$(BIN)/workbench serve $(SERVER_OPTIONS)

# Two files at a time; what drives a browser has the machine for itself. 5 is pytest's word for "nothing chosen".
test: $(TEST_READY)
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not browser" $(PYTEST); rest=$$?; \
	$(BIN)/python -m pytest -q -m browser $(PYTEST); browser=$$?; \
	[ $$rest = 0 -o $$rest = 5 ] && [ $$browser = 0 -o $$browser = 5 ] && [ $$rest$$browser != 55 ]

bench: $(BENCH_READY)
	@$(BIN)/workbench bench casts

check: $(TEST_READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(TEST_READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis tests/browser/output
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(LAB_READY): | $(BIN)/python
	@echo "Installing into $(VENV): some minutes and 2 GB, once."
	@$(PIP) install -q -c constraints.txt setuptools
	@$(PIP) install --progress-bar off -c constraints.txt --no-build-isolation -e ".[notebook,apps,models]"
	@touch $@

$(TEST_READY): $(LAB_READY)
	@$(PIP) install -q --progress-bar off -c constraints.txt --no-build-isolation -e ".[notebook,apps,models,cluster,dev]"
	@touch $@

# The other libraries only make the table longer: where they cannot be had, it is made without them.
$(BENCH_READY): $(LAB_READY)
	@$(PIP) install -q --progress-bar off -c constraints.txt --no-build-isolation -e ".[notebook,apps,models,peers]" \
	  && touch $@ || echo "The other libraries could not be installed: the table has this one and the copy limit."

# A Python without ensurepip (Debian's, before python3-venv is installed) still has a pip that can fill
# an environment from outside.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$$($(PYTHON) -V) → the workbench needs Python 3.11 or newer → make lab PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || \
	  { rm -rf $(VENV); $(PYTHON) -m venv --without-pip $(VENV) && $(PYTHON) -m pip -q --python $@ install pip; }

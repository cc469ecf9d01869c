# make demo    data, server and what to click, from nothing
# make demo-pacs  the same from a PACS: Orthanc with simulated studies, server, and the OHIF viewer
# make test    checks and tests, from nothing (TEST_PROCESSES=2 files of them side by side)
# make check   style, types, layers
# make bench   measurements: beside the stock server, the review page, the CT pipeline, OpenVINO, ultrasound,
#              a PACS of 5,000 series
# make install the virtual environment alone
# make slicer  3D Slicer's own code, in an environment of its own, for the tests that open our files with it (1 GB)

VENV  := .venv
BIN   := $(VENV)/bin

# A GPU machine chooses its own build: HEPATIC_TORCH="torch==2.13.0" with its index, or a wheel's path. It is then
# installed with the CUDA packages it asks for, and remembered. Without it the CPU build is taken, and CUDA packages
# never are; HEPATIC_TORCH=cpu returns to that.
HEPATIC_TORCH ?= $(or $(shell cat $(VENV)/.torch 2>/dev/null),cpu)

PINS  := $(shell { cat pyproject.toml constraints.txt; echo '$(HEPATIC_TORCH)'; } | sha256sum | cut -c1-16)
STAMP := $(VENV)/.installed-$(PINS)

# A Python that hepatic runs on, the one its tests run on first; PYTHON=... chooses another.
PYTHON ?= $(shell for p in python3.11 python3.12 python3; do \
  $$p -c 'import sys; sys.exit(not (3,11) <= sys.version_info[:2] < (3,13))' 2>/dev/null && echo $$p && break; done)

# 3D Slicer's code without its windows. It pins its own vtk and runs on one Python only.
SLICER_CORE   := slicer-core==5.13.31053.0
SLICER_VENV   := .venv-slicer
SLICER_STAMP  := $(SLICER_VENV)/.installed-$(SLICER_CORE)
SLICER_PYTHON ?= $(shell for p in python3.11 python3; do \
  $$p -c 'import sys; sys.exit(sys.version_info[:2] != (3,11))' 2>/dev/null && echo $$p && break; done)

# Files of tests that run side by side.
TEST_PROCESSES ?= 2

DEMO  ?= demo
PORT  ?= 8000
RUNS  ?= 12
PATIENTS ?= 6

.PHONY: install slicer demo demo-pacs test check bench clean

install: $(STAMP)

$(STAMP):
	@test -n "$(PYTHON)" || { echo "hepatic needs Python 3.11 or 3.12; none was found. Set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
ifeq ($(strip $(HEPATIC_TORCH)),cpu)
	$(BIN)/pip install --quiet --no-deps "torch==2.13.0+cpu" 2>/dev/null || $(BIN)/pip install --quiet --no-deps "torch==2.13.0"
	@! $(BIN)/python -c "import importlib.metadata as m; print(*m.requires('torch'), sep='\n')" | grep -qi '^nvidia\|^cuda' || { \
	  echo "This index gave the CUDA build of torch. Set HEPATIC_TORCH to a CPU build (a wheel's path or a requirement),"; \
	  echo "or, on a machine with a GPU, to the build you want, and run make install again."; exit 1; }
else
	$(BIN)/pip install --quiet $(HEPATIC_TORCH)
endif
	PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --no-warn-conflicts --constraint constraints.txt --editable ".[dev]"
	$(BIN)/pip install --quiet --no-deps "monailabel==0.8.5"
	@rm -f $(VENV)/.installed-*; echo '$(HEPATIC_TORCH)' > $(VENV)/.torch; touch $@
	@echo "Installed into $(VENV): $$(du -sh $(VENV) | cut -f1)"

slicer: $(SLICER_STAMP)

$(SLICER_STAMP):
	@test -n "$(SLICER_PYTHON)" || { \
	  echo "$(SLICER_CORE) needs Python 3.11, which was not found: unavailable. Set SLICER_PYTHON=/path/to/python3.11"; exit 1; }
	$(SLICER_PYTHON) -m venv --clear $(SLICER_VENV)
	$(SLICER_VENV)/bin/python -m pip install --quiet --disable-pip-version-check "$(SLICER_CORE)"
	@touch $@
	@echo "Installed into $(SLICER_VENV): $$(du -sh $(SLICER_VENV) | cut -f1)"

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(TEST_PROCESSES) --dist loadfile

demo: $(DEMO)/.ready
	$(BIN)/hepatic serve --app apps/hepatic --studies $(DEMO)/studies --host 127.0.0.1 --port $(PORT)

$(DEMO)/.ready: | $(STAMP)
	$(BIN)/hepatic sample-data $(DEMO) --dsa $(RUNS) --seed 0 --size small
	$(BIN)/hepatic sample-data $(DEMO) --ct $(PATIENTS) --seed 0 --size small
	$(BIN)/hepatic import-dir $(DEMO)/truth --studies $(DEMO)/studies --first 4 --author "phantom truth"
	@touch $@

demo-pacs: $(DEMO)/.ready-pacs
	HEPATIC_DICOMWEB_DATA_DIR=$(abspath $(DEMO))/pacs/hepatic HEPATIC_DICOMWEB_FILTER='PatientID=*' $(BIN)/python -m sample_data.pacs $(DEMO)/pacs/studies \
	  $(BIN)/hepatic serve --app apps/hepatic --studies DICOMWEB --ohif --host 127.0.0.1 --port $(PORT)

$(DEMO)/.ready-pacs: | $(STAMP)
	$(BIN)/hepatic sample-data $(DEMO)/pacs --ct $(PATIENTS) --dsa 2 --us 2 --ceus 1 --seed 0 --size small
	@touch $@

bench: $(STAMP)
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) $(SLICER_VENV) $(DEMO) build *.egg-info .mypy_cache .ruff_cache .pytest_cache

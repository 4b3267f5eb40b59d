# radgate's commands. Everything runs in a virtual environment of its own (VENV), made on first use.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
READY = $(VENV)/ready
STUDY ?=
KEEP ?=
MARKS ?=
JOBS ?= 2
# Each of the jobs computes with its share of the cores: threads that wait for each other's cores take several times as long.
THREADS ?= $(shell python3 -c "import os; print(max(1, (os.cpu_count() or 1) // $(JOBS)))")

.PHONY: help install demo test pylinac lint bench clean
help:            ## this list
	@grep -E '^[a-z-]+: *.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## */\1\t/' | expand -t 12

install: $(READY)  ## make the virtual environment with everything that the commands below need
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"radgate needs Python 3.11 to 3.13, this is {v[0]}.{v[1]}; call make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt "torch==2.13.0"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[ai,engines,dev]"
	@touch $(READY)

demo: $(READY)   ## start the service, send a study through it and show what came back (STUDY=folder, KEEP=0 to end by itself)
	$(BIN)/radgate demo $(if $(STUDY),--study "$(STUDY)") $(if $(filter 0,$(KEEP)),--no-keep)

test: $(READY)   ## all tests, JOBS at once; says what it skipped and why
	OMP_NUM_THREADS=$(THREADS) $(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal $(MARKS)

pylinac: .pylinac/ready  ## the environment of its own in which phantoms are measured

.pylinac/ready: qc/image/phantom/requirements.txt
	python3 -m venv .pylinac
	.pylinac/bin/python -m pip install --quiet --requirement $<
	@touch $@

lint: $(READY)   ## style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)  ## every benchmark beside its peer; prints ratios
	$(BIN)/python -m bench

clean:           ## remove the virtual environment and what was built
	rm -rf $(VENV) .pylinac build demo

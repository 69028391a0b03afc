# Two commands: `make bow` (first run) and `make test`. A second call installs nothing.

VENV   := .venv
PYTHON := $(VENV)/bin/python
PIP    := $(PYTHON) -m pip --disable-pip-version-check -q
LISTS  := setup.cfg pyproject.toml constraints.txt
DATA   ?=

.PHONY: bow grade test test-slow lint install install-all vlfeat clean

bow: install ## recognise scenes by bags of SIFT; DATA=DIR uses your own images
	$(PYTHON) scripts/run_bow.py --step 1 --k 8 $(if $(DATA),--data "$(DATA)")

GRADE := runs/grade
grade: install-all ## a baseline and a network on the synthetic scenes, compared and graded
	rm -rf $(GRADE)
	$(PYTHON) scripts/run_tiny.py --dataset synthetic --runs-dir $(GRADE)/submission/tiny
	$(PYTHON) scripts/run_bow.py --dataset synthetic --runs-dir $(GRADE)/submission/bow
	$(PYTHON) scripts/train_cnn.py --model fastnet --dataset synthetic --runs-dir $(GRADE)/submission/cnn
	$(PYTHON) scripts/compare.py $(GRADE)/submission/bow/* $(GRADE)/submission/cnn/* --out $(GRADE)/comparison
	$(PYTHON) scripts/grade.py $(GRADE)/submission --truth synthetic --out $(GRADE)/grades

test: install-all lint ## everything but the slow tests
	$(PYTHON) -m pytest -q

test-slow: install-all ## the slow tests
	$(PYTHON) -m pytest -q -m slow

lint: install-all
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy

install: $(VENV)/.installed ## the base: what the scripts need

install-all: $(VENV)/.installed-all ## and what tests and checks need

$(PYTHON):
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: Python 3.11 or later is needed, python3 is older: install it and try again"; exit 2; }
	@python3 -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "error: python3 cannot make environments: on Debian and Ubuntu run apt-get install python3-venv"; exit 2; }

$(VENV)/.installed: $(LISTS) | $(PYTHON)
	@echo "setting up $(VENV), about a minute"
	$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-all: $(LISTS) $(VENV)/.installed
	$(PIP) install -c constraints.txt -e '.[deep,onnx,tensorboard,test]'
	@touch $@

# cyvlfeat is source only, needs VLFeat's headers and library, and does not declare what it builds with.
vlfeat: install ## the back end that dense SIFT is checked against
	@$(PYTHON) -c 'import cyvlfeat.sift' 2>/dev/null && exit 0; \
	test -e /usr/include/vl/dsift.h || \
		{ echo "error: VLFeat's headers are missing: on Debian and Ubuntu run apt-get install gcc libvlfeat-dev"; exit 2; }; \
	$(PIP) install -c constraints.txt numpy scipy cython setuptools wheel && \
	$(PIP) install -c constraints.txt --no-build-isolation --no-binary cyvlfeat cyvlfeat==0.7.1

clean: ## everything that was made here but data, runs and results
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

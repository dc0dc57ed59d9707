# Every target makes what it needs on a fresh machine.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.complete
FAST := $(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile

.PHONY: env quickstart test test-all lint bench clean

env: $(STAMP)

$(STAMP): requirements/all.txt requirements/orbit.txt setup.py
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/all.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements/orbit.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $(STAMP)

quickstart: $(STAMP)
	$(BIN)/electra-tf quickstart --output quickstart

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

test: $(STAMP)
	$(FAST)

# Everything, bounded to an hour; REQUIRE_PEERS makes a missing peer a failure instead of a skipped test. Slow tests run
# one after another: some measure time.
test-all: $(STAMP)
	REQUIRE_PEERS=1 timeout --kill-after=30 3600 sh -c '$(FAST) && $(BIN)/python -m pytest -m slow'

bench: $(STAMP)
	$(BIN)/python benchmarks/pretraining.py
	$(BIN)/python benchmarks/data_builder.py
	$(BIN)/python benchmarks/data_reader.py

clean:
	rm -rf .venv build *.egg-info quickstart

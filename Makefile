# Every target makes what it needs on a fresh machine.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.complete
BOOKS := electra_tf/quickstart/*.xz
# A core that has done its tests takes over half of what is left to the other; files, and what they share, stay together
# until then.
FAST := $(BIN)/python -m pytest -m "not slow" -n 2 --dist worksteal
# Those that measure time run by themselves, after the others.
SLOW := $(BIN)/python -m pytest -m "slow and not alone" -n 2 --dist load && $(BIN)/python -m pytest -m "slow and alone"

.PHONY: env quickstart test test-slow test-all lint bench clean

env: $(STAMP)

$(STAMP): requirements/all.txt requirements/orbit.txt requirements/seqeval.txt setup.py
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/all.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements/orbit.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -r requirements/seqeval.txt --editable .
	touch $(STAMP)

quickstart: $(STAMP)
	$(BIN)/electra-tf quickstart --output quickstart

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

test: $(STAMP)
	$(FAST)

# The slow ones, bounded to an hour; REQUIRE_PEERS makes a missing peer a failure instead of a skipped test.
test-slow: $(STAMP)
	REQUIRE_PEERS=1 timeout --kill-after=30 3600 sh -c '$(SLOW)'

test-all: $(STAMP)
	REQUIRE_PEERS=1 $(FAST)
	$(MAKE) test-slow

bench: $(STAMP)
	$(BIN)/electra-tf vocab --input '$(BOOKS)' --size 8000 --output runs/bench/vocab
	test -d runs/bench/data || $(BIN)/electra-tf data --input '$(BOOKS)' --vocab runs/bench/vocab --length 128 --output runs/bench/data
	$(BIN)/python benchmarks/data_builder.py --input $(BOOKS) --vocab runs/bench/vocab
	$(BIN)/python benchmarks/data_reader.py --data runs/bench/data
	$(BIN)/python benchmarks/first_step.py pretrain --gin_file electra_tiny --data runs/bench/data
	$(BIN)/python benchmarks/pretraining.py
	$(BIN)/python benchmarks/finetuning.py
	$(BIN)/python benchmarks/predicting.py
	$(BIN)/python benchmarks/conversion_cost.py

clean:
	rm -rf .venv build *.egg-info quickstart

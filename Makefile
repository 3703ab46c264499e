# Two commands do everything on a fresh machine: `make run` (the main job) and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable
BUILD := $(BIN)/python -P emulator/link/engine/build.py
SANITIZED := build/sanitized/libengine.so
CHECKED = SKYLOOM_ENGINE=$(CURDIR)/$(SANITIZED) LD_PRELOAD=$$(gcc -print-file-name=libasan.so) \
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1
DURATION ?= 60s
FUZZ_S ?= 60

.PHONY: run setup engine dev test test-ray lint sanitize fuzz wheels bench clean

run: setup
	$(BIN)/skyloom run leo --duration $(DURATION)

setup: engine

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) .
	touch $@

# Compiles the packet engine again where its sources changed. Where no compiler works, pip fetches one for the time of the build.
engine: $(VENV)/.installed
	@$(BUILD) --if-changed || { [ $$? -eq 69 ] && echo "make: pip fetches a compiler for this build" && $(INSTALL) . --no-deps; }

dev: $(VENV)/.installed-dev engine

$(VENV)/.installed-dev: $(VENV)/.installed
	$(INSTALL) ".[dev]"
	touch $@

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Whole runs mostly wait, so three play at a time. Those that measure real time run alone: nothing else makes them late.
test: lint
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal tests/unit tests/property tests/conformance tests/adversary
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile -m "not alone" tests/netns tests/platform
	$(BIN)/python -m pytest -m alone tests/netns
	@if CC=gcc $(BUILD) --probe --sanitize address,undefined; then $(MAKE) sanitize; \
	else echo "make: no run with sanitizers here: apt-get install gcc libc6-dev"; fi

# Runs on real Ray nodes, which `make test` skips, because only this environment has the extra `cluster`.
test-ray: $(VENV)-ray/.installed engine
	$(VENV)-ray/bin/python -m pytest tests/netns/runtime/test_ray_cluster.py

$(VENV)-ray/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)-ray
	$(VENV)-ray/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[cluster,dev]"
	touch $@

# The engine's tests with a library that stops at the first wrong access, overflow or undefined step. Everything is slower
# then, and neither Hypothesis nor the limit of a test may mind. pytest leaves file descriptor 2 alone, or findings were lost.
sanitize: dev
	CC=gcc $(BUILD) --sanitize address,undefined --output $(SANITIZED)
	$(CHECKED) $(BIN)/python -m pytest --capture sys --timeout 600 --hypothesis-profile ci --numprocesses 2 \
	--max-worker-restart 0 -k "not oracle" tests/conformance/link
	$(CHECKED) $(BIN)/python -m pytest --capture sys --timeout 600 tests/unit/link/test_link_relay.py

# Every target of tests/fuzz for FUZZ_S seconds; inputs that reach new code are kept in tests/fuzz/corpus.
fuzz: dev
	$(BUILD) --fuzz
	@set -e; for target in tests/fuzz/*.c; do name=$$(basename $$target .c); \
	kept=tests/fuzz/corpus/$$name; seen=build/fuzz/corpus/$$name; said=build/fuzz/$$name.log; mkdir -p $$kept $$seen; \
	echo "fuzz: $$name for $(FUZZ_S) s, output in $$said"; \
	build/fuzz/$$name -max_total_time=$(FUZZ_S) -timeout=10 -print_final_stats=1 \
	-artifact_prefix=build/fuzz/found-$$name- $$seen $$kept 2>$$said \
	|| { tail -n 60 $$said; echo "fuzz: replay with build/fuzz/$$name build/fuzz/found-$$name-..."; exit 1; }; \
	grep stat:: $$said; build/fuzz/$$name -merge=1 $$kept $$seen 2>>$$said; \
	echo "fuzz: $$kept holds $$(ls $$kept | wc -l) inputs"; done

# The source archive and wheels for other machines, compiled by zig and checked, in dist/
wheels: dev
	$(BIN)/python -P emulator/link/engine/shipping/wheels.py

bench: dev
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) $(VENV)-ray build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis emulator/link/engine/libengine.so

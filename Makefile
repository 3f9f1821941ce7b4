# Verbs for people. `make demo` shows the whole thing; `make test` checks it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := $(shell find src cmake protos python -type f -not -name '*.pyc') \
	CMakeLists.txt pyproject.toml
SCRIPTS := scripts/build-transport scripts/build-wheels scripts/bundle.py \
	scripts/check-source scripts/check-transport scripts/demo scripts/make-faults \
	scripts/make-layout scripts/parts.py scripts/sbom.py third_party/fetch-index
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: all demo test test-bundled test-servers test-pythons pythons wheels test-wheels bench lint \
	format clean

all: $(VENV)/installed

# The tools that build, in an environment of their own.
$(VENV)/tools: requirements/build.txt
	scripts/install-system-packages
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) -r requirements/build.txt
	touch $@

$(VENV)/test-tools: requirements/test.txt $(VENV)/tools
	$(PIP_INSTALL) -r requirements/test.txt
	touch $@

# The package, as a user would have it, but with warnings as errors.
$(VENV)/installed: $(VENV)/tools $(SOURCES)
	PATH="$(abspath $(BIN)):$$PATH" $(PIP_INSTALL) --no-build-isolation \
		--no-deps --force-reinstall \
		--config-settings=build-dir=build/wheel \
		--config-settings=cmake.define.CPROF_WERROR=ON .
	touch $@

demo: $(VENV)/installed
	$(BIN)/python scripts/demo

test: $(VENV)/installed $(VENV)/test-tools
	PATH="$(abspath $(BIN)):$$PATH" cmake --preset asan
	PATH="$(abspath $(BIN)):$$PATH" cmake --build --preset asan
	$(BIN)/python -m pytest

# The same end to end with what a wheel for this machine contains: gRPC core and OpenSSL
# from sources, which takes some minutes once.
$(VENV)/bundled: $(VENV)/installed $(VENV)/wheel-tools
	rm -rf build/wheels build/site
	$(BIN)/python scripts/build-wheels --target here --out build/wheels
	$(PIP_INSTALL) --no-deps --target build/site build/wheels/*-abi3-*.whl
	touch $@

test-bundled: $(VENV)/bundled
	CPROF_SITE=$(abspath build/site) $(BIN)/python -m pytest \
		tests/e2e tests/fault tests/google tests/neighbours

# The servers and event loops that programs run in, in an environment of their own.
$(VENV)/servers: requirements/servers.txt $(VENV)/bundled
	scripts/install-system-packages redis-server
	$(PYTHON) -m venv build/servers
	build/servers/bin/python -m pip install --quiet --disable-pip-version-check \
		-r requirements/servers.txt
	touch $@

test-servers: $(VENV)/servers
	CPROF_SITE=$(abspath build/site) CPROF_SERVERS=build/servers \
		$(BIN)/python -m pytest tests/servers

# What the sampler shows, on every Python that is here: a minute for each.
test-pythons: $(VENV)/installed $(VENV)/test-tools
	CPROF_EVERY_PYTHON=1 $(BIN)/python -m pytest tests/interpreters \
		tests/python/test_sampler.py tests/python/test_layout.py

# More Pythons, in a cache; see tests/interpreters/README.md.
pythons:
	tests/interpreters/debian.sh
	tests/interpreters/source.sh
	$(PYTHON) tests/interpreters/find.py

$(VENV)/wheel-tools: requirements/wheels.txt $(VENV)/test-tools
	scripts/install-system-packages --bundled
	$(PIP_INSTALL) -r requirements/wheels.txt
	touch $@

# Who else may be in a process with us.
$(VENV)/neighbours: requirements/neighbours.txt $(VENV)/wheel-tools
	scripts/install-system-packages libjemalloc2 libtcmalloc-minimal4
	$(PIP_INSTALL) -r requirements/wheels.txt -r requirements/neighbours.txt
	touch $@

# For glibc 2.17 and musl 1.2, x86_64 and aarch64: half an hour with an empty cache.
# And for the free-threaded Python that FREE_THREADED is the path of.
wheels: $(VENV)/wheel-tools
	$(BIN)/python scripts/build-wheels --out dist \
		$(addprefix --free-threaded=,$(FREE_THREADED))

test-wheels: $(VENV)/neighbours
	CPROF_WHEELS=dist CPROF_EVERY_PYTHON=1 $(BIN)/python -m pytest tests/wheel \
		tests/neighbours

# Ten minutes. What it costs to have it is told of the wheel that WHEEL is the path of.
bench: $(VENV)/installed $(VENV)/test-tools
	$(BIN)/python -W ignore tests/bench/edges.py
	$(BIN)/python tests/bench/everywhere.py 1
	$(BIN)/python tests/bench/cost.py
	$(BIN)/python tests/bench/forks.py 3
	$(BIN)/python tests/bench/beside.py $(addprefix --ours=,$(WHEEL))

lint: $(VENV)/test-tools
	scripts/check-source
	$(BIN)/clang-format --dry-run --Werror $$(git ls-files 'src/*.[ch]' 'tests/*.[ch]')
	$(BIN)/ruff check python tests examples $(SCRIPTS)
	$(BIN)/python scripts/make-faults --check

format: $(VENV)/test-tools
	$(BIN)/clang-format -i $$(git ls-files 'src/*.[ch]' 'tests/*.[ch]')
	$(BIN)/ruff check --fix python tests examples $(SCRIPTS)

clean:
	rm -rf build $(VENV)

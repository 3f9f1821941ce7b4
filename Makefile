# Verbs for people. `make demo` shows the whole thing; `make test` checks it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := $(shell find src cmake protos python -type f -not -name '*.pyc') \
	CMakeLists.txt pyproject.toml
PAGE := python/googlecloudprofiler/_page.html
SCRIPTS := scripts/build-page scripts/build-transport scripts/build-wheels \
	scripts/bundle.py scripts/check-source scripts/check-transport scripts/demo \
	scripts/make-faults scripts/make-layout scripts/make-opcodes scripts/parts.py \
	scripts/pyconfig.py scripts/sbom.py \
	third_party/fetch-index
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: all page demo test test-page test-bundled test-servers test-agents test-pythons pythons wheels \
	test-wheels bench bench-page stress fuzz test-threads lint format clean

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

# What `show --html` fills with profiles, and `serve` serves.
page: $(PAGE)

$(PAGE): $(wildcard page/*) scripts/build-page requirements/page.txt | $(VENV)/tools
	$(BIN)/python scripts/build-page

# The package, as a user would have it, but with warnings as errors.
$(VENV)/installed: $(VENV)/tools $(PAGE) $(SOURCES)
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

# The page in a browser, which `make test` leaves out where there is none.
$(VENV)/browser: requirements/browser.txt $(VENV)/test-tools
	scripts/install-system-packages chromium chromium-driver fonts-dejavu-core
	$(PIP_INSTALL) -r requirements/browser.txt
	touch $@

test-page: $(VENV)/installed $(VENV)/browser
	$(BIN)/python -m pytest tests/page

bench-page: $(VENV)/installed $(VENV)/browser
	$(BIN)/python tests/bench/page.py

# The same end to end with what a wheel for this machine contains: gRPC core and OpenSSL
# from sources, which takes some minutes once.
$(VENV)/bundled: $(VENV)/installed $(VENV)/wheel-tools
	rm -rf build/wheels build/site
	$(BIN)/python scripts/build-wheels --target here --out build/wheels
	$(PIP_INSTALL) --no-deps --target build/site build/wheels/*-abi3-*.whl
	touch $@

test-bundled: $(VENV)/bundled
	CPROF_SITE=$(abspath build/site) $(BIN)/python -m pytest \
		tests/e2e tests/fault tests/google tests/neighbours \
		tests/hard/test_scarcity.py

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

# Google's own agent for Go, of the modules that go.sum names by hash, at our service.
GO := $(or $(shell command -v go),/usr/local/go/bin/go)
build/go-agent: $(wildcard tests/agents/go/*)
	cd tests/agents/go && $(GO) build -o $(abspath $@)

test-agents: $(VENV)/installed $(VENV)/test-tools build/go-agent
	CPROF_GO_AGENT=$(abspath build/go-agent) $(BIN)/python -m pytest tests/agents

# What the sampler shows, on every Python that is here: a minute for each.
test-pythons: $(VENV)/installed $(VENV)/test-tools
	CPROF_EVERY_PYTHON=1 $(BIN)/python -m pytest tests/interpreters \
		tests/python/test_sampler.py tests/python/test_layout.py \
		tests/python/test_web.py::test_it_is_served_by_each_python

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
wheels: $(VENV)/wheel-tools $(PAGE)
	$(BIN)/python scripts/build-wheels --out dist \
		$(addprefix --free-threaded=,$(FREE_THREADED))

test-wheels: $(VENV)/neighbours
	CPROF_WHEELS=dist CPROF_EVERY_PYTHON=1 $(BIN)/python -m pytest tests/wheel \
		tests/neighbours

# The profilers that ours is measured beside, each in a folder of its own in build/peers,
# and Python 3.15, which brings one. What cannot be had is left out, and said.
$(VENV)/peers: requirements/bench.txt requirements/peers.txt $(VENV)/installed \
		$(VENV)/test-tools
	$(PIP_INSTALL) -r requirements/bench.txt
	-tests/interpreters/debian.sh 3.15
	$(BIN)/python tests/bench/peers.py
	touch $@

# Half an hour. What it costs to have it is told of the wheel that WHEEL is the path of.
# With WRITE=docs/benchmarks.md the tables and pictures there are made anew.
bench: $(VENV)/peers
	$(BIN)/python -W ignore tests/bench/edges.py
	$(BIN)/python tests/bench/everywhere.py $(addprefix --write=,$(WRITE))
	$(BIN)/python tests/bench/truth.py $(addprefix --write=,$(WRITE))
	$(BIN)/python tests/bench/slowdown.py $(addprefix --write=,$(WRITE))
	$(BIN)/python tests/bench/cost.py $(addprefix --write=,$(WRITE))
	$(BIN)/python tests/bench/encoding.py $(addprefix --write=,$(WRITE))
	$(BIN)/python tests/bench/forks.py 3
	$(BIN)/python tests/bench/beside.py $(addprefix --ours=,$(WHEEL)) \
		$(addprefix --write=,$(WRITE))

# Storms on every Python that is here, for ten minutes or SECONDS, and a thousand rounds,
# which take two.
stress: $(VENV)/installed $(VENV)/test-tools
	$(BIN)/python tests/stress/storms.py $(or $(SECONDS),600)
	CPROF_LONG=1 $(BIN)/python -m pytest tests/e2e/test_rounds.py

# The unit tests under ThreadSanitizer, which does not know gRPC core; one of them
# forgets a thread that lives, as only a forked child may.
NO_TSAN := agent copy cores service transport
test-threads: $(VENV)/installed $(VENV)/test-tools
	PATH="$(abspath $(BIN)):$$PATH" cmake --preset tsan
	PATH="$(abspath $(BIN)):$$PATH" cmake --build --preset tsan
	TSAN_OPTIONS=die_after_fork=0 CPROF_UNIT_BUILD=build/tsan/tests/unit \
		$(BIN)/python -m pytest tests/unit \
		$(NO_TSAN:%=--ignore=tests/unit/u-%.c) \
		--deselect tests/unit/u-home.c::test_home__an_abandoned_one_is_made_anew

# SECONDS for each decoder of bytes from outside.
fuzz: $(VENV)/tools
	scripts/install-system-packages clang libclang-rt-dev
	PATH="$(abspath $(BIN)):$$PATH" cmake --preset fuzz
	PATH="$(abspath $(BIN)):$$PATH" cmake --build --preset fuzz
	$(BIN)/python tests/fuzz/run.py build/fuzz/tests/fuzz $(or $(SECONDS),60)

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

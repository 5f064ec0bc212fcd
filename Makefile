# Two commands matter: `make demo` shows an election, `make test` proves that everything works.
# Each target brings what it needs; a second run finds it there.

# Which Python 3.11 or newer makes .venv; without it, one is looked for.
PYTHON ?=
# More words for `labctl up`, as in: make demo ARGS="--servers 5"
ARGS ?=
# More words for pytest, as in: make integration PYTEST="-k join"
PYTEST ?=
# One scenario instead of all, as in: make molecule SCENARIO=docker_engine
SCENARIO ?=
# A consul binary for every live test, as in: make soak CONSUL=./consul
CONSUL ?=
# How often `make fuzz` tries each reader.
TRIES ?= 200000

SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:
export PYTHON
# Tests start Python thousands of times: what it compiled is kept.
unexport PYTHONDONTWRITEBYTECODE
# Molecule and ansible-runner find Ansible by PATH; the registry of the tests is in .cache/tools.
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/.cache/tools/usr/bin:$(PATH)
# Ansible insists on UTF-8.
ifneq (,$(filter C POSIX,$(LC_ALL)))
export LC_ALL := C.UTF-8
endif

.PHONY: help
help: ## This list.
	@awk -F ': .*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: engine ## One lab from nothing: Docker Engine where it is missing, three Consul servers, their election.
	@sh scripts/with-docker.sh labctl up $(ARGS)
	@echo 'labctl is in .venv/bin; `. .venv/bin/activate` puts it within reach of this shell.'

.PHONY: venv
venv:
	@sh scripts/venv.sh

.PHONY: venv-dev
venv-dev:
	@sh scripts/venv.sh dev

.PHONY: engine
engine: venv ## Docker Engine and Compose, where they are missing.
	@sh scripts/engine.sh

.PHONY: check
check: ## Before each push, in minutes: lint, unit tests, and one real lab.
	@sh scripts/test.sh lint unit smoke

.PHONY: test
test: venv-dev ## Lint, sanity, unit, browser, integration, Molecule; goes on after a failure and ends with a table.
	@sh scripts/test.sh lint,sanity unit browser integration molecule

.PHONY: lint
lint: venv-dev ## ruff, mypy, yamllint, ansible-lint; shellcheck and actionlint where they are installed.
	ruff check .
	ruff format --check .
	mypy
	lint-imports --no-cache
	yamllint --strict .
	ansible-lint --offline
	@if command -v shellcheck >/dev/null; then \
	  set -x; shellcheck --shell=sh --severity=warning scripts/*.sh roles/*/files/*.sh .ci/run; fi
	@if command -v actionlint >/dev/null; then set -x; actionlint; fi

.PHONY: unit
unit: venv-dev ## Tests without Docker, in seconds.
	pytest --numprocesses auto --dist worksteal tests/unit $(PYTEST)

.PHONY: smoke
smoke: venv-dev engine ## One real lab: up, status, members, logs, down.
	sh scripts/with-docker.sh pytest tests/integration/test_one_lab.py $(PYTEST)

.PHONY: sanity
sanity: venv-dev ## ansible-test's sanity tests on the collection as it is packed, with every Python that is here.
	sh scripts/sanity.sh

.PHONY: browser
browser: venv-dev ## Pages in a real Chromium.
	@sh scripts/test-tools.sh chromium
	pytest tests/browser $(PYTEST)

.PHONY: integration
integration: venv-dev engine test-tools ## Tests with real Docker and real Consul.
	sh scripts/with-docker.sh sh scripts/integration.sh $(PYTEST)

.PHONY: molecule
molecule: venv-dev engine test-tools ## Every role on its own, and the whole lesson.
	sh scripts/with-docker.sh sh scripts/molecule.sh $(SCENARIO)

.PHONY: soak
soak: export LABCTL_TEST_CONSUL := $(if $(CONSUL),$(abspath $(CONSUL)))
soak: venv-dev engine test-tools ## Long, seeded trials; with CONSUL=FILE also every live test, all with that binary.
	$(if $(CONSUL),sh scripts/with-docker.sh sh scripts/integration.sh --ignore tests/integration/test_image.py $(PYTEST))
	sh scripts/with-docker.sh pytest -m soak tests/soak $(PYTEST)

.PHONY: fuzz
fuzz: ## A coverage-guided fuzzer at every reader of what others wrote, as in: make fuzz TRIES=1000000
	@sh scripts/venv.sh fuzz
	python -m tests.fuzz $(TRIES)

.PHONY: test-tools
test-tools:
	@sh scripts/test-tools.sh mmdebstrap docker-registry openssh-server

.PHONY: golden
golden: venv-dev engine ## Rewrite the golden files: the output of commands, stories, roles and labs as users see it.
	LABCTL_TEST_GOLDEN=write pytest tests/unit/test_golden.py
	LABCTL_TEST_GOLDEN=write sh scripts/with-docker.sh pytest tests/integration/test_golden.py

.PHONY: docs
docs: venv-dev ## The generated parts of the documentation.
	python scripts/generate_docs.py

.PHONY: constraints
constraints: ## Rewrite constraints.txt with the newest versions that pyproject.toml allows.
	@sh scripts/constraints.sh

.PHONY: clean
clean: ## What make put into this folder. Labs and Docker Engine stay; `labctl down --all` removes labs.
	rm -rf .venv playbooks/collections .cache .mypy_cache .pytest_cache .ruff_cache .ansible dist build

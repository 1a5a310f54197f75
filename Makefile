# The verbs of this repository. Each is a script in scripts/ or one command; nothing is decided here.
#
# What takes long is built once: tools and the mini cloud in ~/.cache/assay, Rust in target/ (or CARGO_TARGET_DIR).

.DEFAULT_GOAL := help
.PHONY: help demo test test-goss test-packers registry-model build lint clean distclean

help: ## Show these lines
	@echo "assay: tests machine images before they are used. Begin with: make demo"
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r verb text; do printf '%-20s %s\n' "$$verb" "$$text"; done

demo: ## A real Packer builds an AMI in a cloud on this machine; assay boots, tests and stamps it
	@scripts/prepare demo
	@examples/demo/run

test: ## Everything: unit and integration tests, a Go client of Packer's SDK, the mini cloud's own tests
	@scripts/test

test-goss: ## assay beside goss on many made-up suites: CASES=20000 SEED=7
	@scripts/tools recent
	ASSAY_GOSS_CASES=$(or $(CASES),20000) ASSAY_GOSS_SEED=$(or $(SEED),1) cargo test --test integration differential:: -- --nocapture

test-packers: ## The same assay under Packer 1.11.2 and 1.7.10 (builds them first)
	@scripts/test-packers

registry-model: ## Explore the model of the registry as far as memory goes: 10 million states of each of three kinds (half an hour, some GB)
	ASSAY_REGISTRY_MODEL_STATES=10000000 cargo test -p assay-model history -- --nocapture

build: ## Build assay (target/debug/assay)
	cargo build

lint: ## Formatting, clippy, go vet; no warning passes
	@scripts/lint

clean: ## Remove what was built in this folder
	cargo clean
	rm -rf build

distclean: clean ## Also remove what is kept in ~/.cache/assay (the next run builds it anew)
	@scripts/distclean

# SPDX-License-Identifier: GPL-2.0
#
# stable-pages: type `make help`.

# The kernel series of the virtual machine, and of the module where KDIR is not
# given; none: the newest of qemu/series that there is.
KERNEL ?=
export KERNEL

.DEFAULT_GOAL := module
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

release = $(shell make -s --no-print-directory -C $(KDIR) kernelrelease 2>/dev/null)

.PHONY: help
help:
	@sed -n 's/^## //p' $(firstword $(MAKEFILE_LIST))

## make demo          the failure on a plain disk, and the same load on stable-pi
## make test          everything that must pass, on the stock kernel
## make test-debug    the tests of the virtual machine on the debug kernel
## make hazards       which stacks lose what without stable-pi, and what is left with it; takes
##                    half an hour or more. STACKS="md1 xfs" LOADS="direct" do a part of it
## make bench         what stable-pi costs, in instructions, and what waiting does; takes a quarter
##                    of an hour. BENCH=quick is a part of it, BENCH="direct xfs" those groups
## make vm            a shell in the virtual machine, with the module at hand
## make               build the module for the virtual machine's kernel
## make KDIR=<tree>   build the module for a prepared kernel tree
## make check         the tests that need no virtual machine: format, lint, host, docs
## make deb           Debian packages, as build/deb/*.deb, for the virtual machine's kernel
## make docs          the documentation, as build/docs/html
## make debug-kernel  build a kernel with KASAN, lockdep, kmemleak and fault injection,
##                    and the module for it
## make setup         only fetch and build what the others need
## make clean         remove build/ (the cache outside of the tree stays)
##
## KERNEL=7.2|7.3     the series of the virtual machine's kernel (default: the newest)

.PHONY: setup
setup:
	@qemu/setup kernel

.PHONY: module
ifdef KDIR
module:
	$(if $(release),,$(error $(KDIR) is no prepared kernel tree: `make kernelrelease` fails there))
	@mkdir -p build/module/$(release)
	$(MAKE) -C $(KDIR) M=$(CURDIR) MO=$(CURDIR)/build/module/$(release) modules
else
module: setup
	@qemu/build
endif

.PHONY: tools
tools:
	@qemu/setup kernel loads
	@qemu/enter cargo build --quiet --release --locked -p loads -p stablepi

.PHONY: stablepi
stablepi:
	@qemu/enter cargo build --quiet --release --locked -p stablepi

.PHONY: crates
crates: setup
	@qemu/setup crates

# What can be made side by side is made by one call of the set-up.
.PHONY: demo
demo:
	@qemu/setup kernel loads
	@qemu/build
	@$(MAKE) --no-print-directory tools
	@tools/demo

.PHONY: test
test:
	@qemu/setup kernel loads crates
	@qemu/build
	@$(MAKE) --no-print-directory tools
	@selftests/run

.PHONY: test-debug
test-debug:
	@qemu/setup debug loads crates
	@qemu/build --kernel debug
	@$(MAKE) --no-print-directory tools
	@selftests/run --kernel debug

.PHONY: hazards
hazards:
	@qemu/setup kernel loads
	@qemu/build
	@$(MAKE) --no-print-directory tools
	@STACKS="$(STACKS)" LOADS="$(LOADS)" CONTINUE="$(CONTINUE)" tools/hazards

.PHONY: bench
bench:
	@qemu/setup kernel loads
	@qemu/build
	@$(MAKE) --no-print-directory tools
	@qemu/enter cargo build --quiet --release --locked -p profile
	@tools/bench $(if $(filter quick,$(BENCH)),--quick,$(BENCH))

.PHONY: check
check: setup
	@selftests/run --no-vm

.PHONY: debug-kernel
debug-kernel:
	@qemu/setup debug
	@qemu/build --kernel debug

.PHONY: vm
vm: module tools
	@qemu/run --shell

.PHONY: docs
docs: setup
	@qemu/enter sphinx-build -q -W --keep-going -b html -d build/docs/doctrees Documentation build/docs/html
	@qemu/build-docs build/docs/html/api
	@echo "build/docs/html/index.html"

.PHONY: deb
deb:
	@qemu/setup kernel deb
	@qemu/build
	@$(MAKE) --no-print-directory stablepi
	@qemu/build-deb

.PHONY: clean
clean:
	rm -rf build

# SPDX-License-Identifier: MIT
# A thin front for people; meson does the work (see CONTRIBUTING.md). `make help` lists the rest.
PREFIX ?= /usr/local
BUILD ?= build
export BUILD

# Words for the runner: parts of the names of tests, or --round NAME.
T ?=

sanitize = -Db_sanitize=address,undefined

.PHONY: build run test test-all quick soak bench install asan clean help
.DEFAULT_GOAL := build

build: ## build the library and the command in build/ (the default)
	@tools/setup build
	@tools/build $(BUILD) -Dprefix=$(abspath $(PREFIX))

run: build ## do the main job on real data, and show what happened
	@tools/demo $(BUILD)/cli/sluice

test: ## build and run the tests, as root and as nobody, and again under ASan and UBSan
	@tools/setup build test
	@tools/build $(BUILD) -Dprefix=$(abspath $(PREFIX))
	@tools/build $(BUILD)-asan $(sanitize)
	@tests/run $(T)

test-all: ## everything that test does, exhaustively; also valgrind, TSan, clang; no warning allowed
	@tools/setup build test
	@tools/build $(BUILD) -Dprefix=$(abspath $(PREFIX))
	@tools/build $(BUILD)-asan $(sanitize)
	@tools/build $(BUILD)-tsan -Db_sanitize=thread
	@tools/build $(BUILD)-gcc --werror
	@CC=clang tools/build $(BUILD)-clang --werror
	@tests/run --all $(T)

quick: ## build and run the tests once, as who you are
	@tools/setup build test
	@tools/build $(BUILD) -Dprefix=$(abspath $(PREFIX))
	@tests/run --round plain $(T)

soak: ## ten minutes of connections churning through sluice relay
	@tools/setup build test
	@tools/build $(BUILD) -Dprefix=$(abspath $(PREFIX))
	@SOAK=600 tests/run --round plain relay-stays-the-same-for-long

bench: ## measure against hand-written ceilings and other programs
	@tools/setup build bench
	@tools/build $(BUILD) -Dprefix=$(abspath $(PREFIX))
	@bench/run

install: build ## install under PREFIX (/usr/local), below DESTDIR where that is given
	@meson install -C $(BUILD) --no-rebuild --quiet $(if $(DESTDIR),--destdir $(abspath $(DESTDIR)))

asan: ## build with ASan and UBSan in build-asan/
	@tools/setup build
	@tools/build $(BUILD)-asan $(sanitize)

clean: ## remove what was built
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-tsan $(BUILD)-gcc $(BUILD)-clang

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 12

# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# memprobe: see README.md.
#
#   make              build ./memprobe
#   make deps         install what is missing (Debian, Ubuntu)
#   make demo         profile a small leaking program (root)
#   make check        every test tier; also check-unit, check-bpf, check-e2e ..., T=GLOB picks files
#   make static       one file without libraries: ./memprobe-static
#   make bench fuzz install clean
#   make format-check  how clang-format would write the C lines changed since BASE (HEAD)
#
#   O=DIR     objects elsewhere (default build); nothing is then put into the tree
#   V=1       print the commands
#   SAN=1     AddressSanitizer and UBSan
#
# New source files need no edit here: sources, tests and targets are found by their place.
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:

V ?= 0
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),@:,@printf '  %-8s %s\n' $(1) $(2))
O ?= build
override O := $(patsubst $(CURDIR)/%,%,$(abspath $(O)))
PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 30
CC := gcc
CXX := g++
CLANG ?= clang
# Ubuntu's /usr/sbin/bpftool is a script that only knows the running kernel's version
BPFTOOL ?= $(shell for b in /usr/sbin/bpftool /usr/local/sbin/bpftool /usr/bin/bpftool \
	/usr/lib/linux-tools/*/bpftool /usr/lib/linux-tools-*/bpftool; do \
	"$$b" version >/dev/null 2>&1 && echo "$$b" && exit; done; echo bpftool)
BPFTOOL := $(BPFTOOL)
ARCH := $(patsubst aarch64,arm64,$(patsubst x86_64,x86,$(shell uname -m)))

WARN := -Wall -Wextra -Wshadow -Wvla -Wundef -Wwrite-strings -Wmissing-prototypes -Werror
INCLUDE := -D_GNU_SOURCE -I. -Isrc -I$(O)
CFLAGS ?= -O2 -g
override CFLAGS += -std=gnu11 $(WARN) $(INCLUDE) -ffile-prefix-map=$(CURDIR)=.
ifeq ($(SAN),1)
override CFLAGS += -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
override LDFLAGS += -fsanitize=address,undefined
endif

# Pure code links without libbpf; the unit tests link nothing else.
PURE_DIRS := base model alloc proc symbol unwind runtime render cli
EDGE_DIRS := kern collect app
PURE_SRC := $(sort $(wildcard $(PURE_DIRS:%=src/%/*.c)))
EDGE_SRC := $(sort $(filter-out src/app/main.c,$(wildcard $(EDGE_DIRS:%=src/%/*.c))))
PURE_OBJ := $(PURE_SRC:%.c=$(O)/%.o)
EDGE_OBJ := $(EDGE_SRC:%.c=$(O)/%.o)
PURE_LIBS := -ldw -lelf -lz -llzma -liberty -lm
EDGE_LIBS := -lbpf $(PURE_LIBS) -lncursesw -ltinfo
PROGRAM := $(if $(filter build,$(O)),memprobe,$(O)/memprobe)
STATIC_PROGRAM := $(PROGRAM)-static

all: $(PROGRAM)
static: $(STATIC_PROGRAM)

# Objects are made again when the compiler or its flags change.
FLAGS_NOW := $(CC) $(CFLAGS) | $(CLANG) | $(LDFLAGS)
$(shell mkdir -p $(O); printf '%s\n' '$(FLAGS_NOW)' | cmp -s - $(O)/.flags || \
	printf '%s\n' '$(FLAGS_NOW)' >$(O)/.flags)

$(O)/%.o: %.c $(O)/.flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

$(EDGE_OBJ) $(O)/src/app/main.o: | $(O)/memprobe.skel.h

$(O)/libpure.a: $(PURE_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(O)/libedge.a: $(EDGE_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

PARTS := $(O)/src/app/main.o $(O)/libedge.a $(O)/libpure.a

$(O)/memprobe: $(PARTS)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(EDGE_LIBS)

# pkg-config knows what else this distribution's archives want (bz2, zstd). The two warnings that
# the linker would give are about code that libdw has for debuginfod, and cannot be helped here.
STATIC_LIBS = $(shell pkg-config --static --libs libbpf libdw libelf) $(EDGE_LIBS)
STATIC_MAX_BYTES := 6291456

$(O)/memprobe-static: $(PARTS)
	$(call say,LD,$@)
	$(Q)$(CC) -static $(LDFLAGS) -s -o $@ $^ -Wl,--start-group $(STATIC_LIBS) -Wl,--end-group \
		2>$@.log || { cat $@.log >&2; exit 1; }
	@test $$(stat -c %s $@) -lt $(STATIC_MAX_BYTES) || { echo "$@: 6 MB or more" >&2; exit 1; }

ifeq ($(O),build)
memprobe memprobe-static: %: $(O)/%
	$(Q)cp -f $< $@
endif

# BPF: a recorded vmlinux.h, never the build host's own BTF
BPF_CFLAGS := -O2 -g -target bpf -mcpu=v3 -Ibpf -I. -Wall -Werror
bpf_cc = $(CLANG) $(BPF_CFLAGS) -D__TARGET_ARCH_$(1) -Ivmlinux/$(1) -MMD -MP -MT $@ -MF $(@:.o=.d)

$(O)/%.bpf.o: %.bpf.c $(O)/.flags
	$(call say,BPF,$<)
	@mkdir -p $(@D)
	$(Q)$(call bpf_cc,$(ARCH)) -c -o $@.tmp $<
	$(Q)$(BPFTOOL) gen object $@ $@.tmp && rm $@.tmp

$(O)/memprobe.skel.h: $(O)/bpf/memprobe.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name memprobe_bpf >$@

# The other architecture's object, compiled only
$(O)/bpf/%/memprobe.o: bpf/memprobe.bpf.c $(O)/.flags
	$(call say,BPF,"$< ($*)")
	@mkdir -p $(@D)
	$(Q)$(call bpf_cc,$*) -c -o $@ $<

bpf-arches: $(O)/bpf/x86/memprobe.o $(O)/bpf/arm64/memprobe.o

# Unit and golden tests: tests/{unit,golden}/test_*.c, each a cmocka program over libpure.a and
# the directory's other sources
UNIT_BIN := $(patsubst %.c,$(O)/%,$(sort $(wildcard tests/unit/test_*.c)))
GOLDEN_BIN := $(patsubst %.c,$(O)/%,$(sort $(wildcard tests/golden/test_*.c)))
UNIT_OBJ := $(patsubst %.c,$(O)/%.o,$(filter-out tests/unit/test_%,$(wildcard tests/unit/*.c)))
GOLDEN_OBJ := $(patsubst %.c,$(O)/%.o,$(filter-out tests/golden/test_%,$(wildcard tests/golden/*.c)))

$(O)/tests/unit/%: $(O)/tests/unit/%.o $(UNIT_OBJ) $(O)/libpure.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lcmocka $(PURE_LIBS)

$(O)/tests/golden/%: $(O)/tests/golden/%.o $(GOLDEN_OBJ) $(O)/libpure.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lcmocka $(PURE_LIBS)

# BPF tests: tests/bpf/NAME.bpf.c -> "tests/bpf/NAME.skel.h" (NAME_bpf) -> tests/bpf/*_test.c
BPF_TEST_SKEL := $(patsubst %.bpf.c,$(O)/%.skel.h,$(sort $(wildcard tests/bpf/*.bpf.c)))
BPF_TEST_BIN := $(patsubst %.c,$(O)/%,$(sort $(wildcard tests/bpf/*_test.c)))

$(O)/tests/bpf/%.skel.h: $(O)/tests/bpf/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $(*F)_bpf >$@

$(BPF_TEST_BIN:=.o): | $(BPF_TEST_SKEL)

$(O)/tests/bpf/%_test: $(O)/tests/bpf/%_test.o $(O)/libpure.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lcmocka -lbpf $(PURE_LIBS)

# Programs that are profiled by the e2e tests, the demo and the benches: one file each, with its
# own flags in a comment `build: FLAGS` in its first three lines
TARGET_SRC := $(wildcard tests/e2e/targets/*.c tests/e2e/targets/*.cc)
TARGET_BIN := $(foreach s,$(TARGET_SRC),$(O)/$(basename $(s)))
BENCH_BIN := $(foreach s,$(wildcard tools/bench/*.c tools/bench/*.cc),$(O)/$(basename $(s)))
DEMO_BIN := $(O)/tools/demo/leaky_server
TARGET_FLAGS := -O2 -g -fno-optimize-sibling-calls -pthread
target_cc = CC="$(CC)" CXX="$(CXX)" tools/build-target.sh $< $@ $(TARGET_FLAGS)

$(O)/tests/e2e/targets/%: tests/e2e/targets/%.c tools/build-target.sh
	$(call say,TARGET,$<)
	$(Q)$(target_cc)

$(O)/tests/e2e/targets/%: tests/e2e/targets/%.cc tools/build-target.sh
	$(call say,TARGET,$<)
	$(Q)$(target_cc)

$(O)/tools/%: tools/%.c tools/build-target.sh
	$(call say,TARGET,$<)
	$(Q)$(target_cc)

$(O)/tools/%: tools/%.cc tools/build-target.sh
	$(call say,TARGET,$<)
	$(Q)$(target_cc)

# Tools of the e2e tests: tests/e2e/NAME.c, over both archives
E2E_TOOL_BIN := $(patsubst %.c,$(O)/%,$(sort $(wildcard tests/e2e/*.c)))
$(E2E_TOOL_BIN:=.o): | $(O)/memprobe.skel.h $(BPF_TEST_SKEL)

$(E2E_TOOL_BIN): $(O)/%: $(O)/%.o $(O)/libedge.a $(O)/libpure.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(EDGE_LIBS)

# Fuzzing: tests/fuzz/fuzz_NAME.c over the pure code; the corpus is replayed in the unit tier
FUZZ_NAMES := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_FLAGS := -O1 -g -std=gnu11 $(INCLUDE) -fsanitize=address,undefined \
	-fno-sanitize-recover=undefined -Wno-everything
FUZZ_OBJ := $(PURE_SRC:%.c=$(O)/fuzz/%.o)
REPLAY_BIN := $(FUZZ_NAMES:%=$(O)/tests/fuzz/replay_%)

$(O)/fuzz/%.o: %.c $(O)/.flags
	$(call say,FUZZCC,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

$(O)/fuzz/fuzz_%: $(O)/fuzz/tests/fuzz/fuzz_%.o $(FUZZ_OBJ)
	$(call say,LD,$@)
	$(Q)$(CLANG) $(FUZZ_FLAGS) -fsanitize=fuzzer -o $@ $^ $(PURE_LIBS)

$(O)/tests/fuzz/replay_%: $(O)/tests/fuzz/fuzz_%.o $(O)/tests/run_corpus.o $(O)/libpure.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(PURE_LIBS)

# New inputs go to $(O)/fuzz/corpus; what is worth keeping is copied to tests/fuzz/corpus/NAME
fuzz: $(FUZZ_NAMES:%=$(O)/fuzz/fuzz_%)
	$(Q)set -e; test -n "$(FUZZ_NAMES)" || { echo "no tests/fuzz/fuzz_*.c" >&2; exit 1; }; \
	for n in $(FUZZ_NAMES); do \
		mkdir -p $(O)/fuzz/corpus/$$n $(O)/fuzz/found; \
		seeds=$$(ls -d tests/fuzz/corpus/$$n 2>/dev/null || :); \
		echo "fuzz_$$n: $(FUZZ_SECONDS) s"; \
		$(O)/fuzz/fuzz_$$n -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=1024 -timeout=10 \
			-print_final_stats=1 -verbosity=0 -artifact_prefix=$(O)/fuzz/found/$$n- \
			$(O)/fuzz/corpus/$$n $$seeds; \
	done

# What a tier of tests/run needs to be built; see there
build-unit: $(UNIT_BIN) $(REPLAY_BIN)
build-golden: $(GOLDEN_BIN)
build-bpf: $(BPF_TEST_BIN)
build-tools: $(O)/libpure.a bpf-arches
build-vm: all $(TARGET_BIN)
build-e2e: all static $(TARGET_BIN) $(E2E_TOOL_BIN) $(DEMO_BIN)

RUN = +$(Q)MAKE="$(MAKE)" O="$(O)" T="$(T)" tests/run
TIERS := layers size tools unit golden bpf e2e vm
check:
	$(RUN) --deps $(TIERS)
$(TIERS:%=check-%): check-%:
	$(RUN) $*
unit: check-unit

# The unwinder against libdwfl, 20000 comparisons per program: minutes, so not part of check
check-oracle:
	+$(Q)ORACLE_COMPARISONS=20000 TEST_SECONDS=3000 MAKE="$(MAKE)" O="$(O)" T=test_unwind_oracle.py tests/run e2e

# A thousand times attached to each of the real servers: an hour or so; T=redis for one
check-cycles: all $(O)/tests/e2e/gate_cycles
	$(Q)CYCLES=1000 WHOLE=1 BUILD=$(abspath $(O)) tests/e2e/test_cycles.py -v $(T)

# A minute for each program that the budget is tested with; T=redis for one
check-budget: all
	$(Q)LONG=1 BUILD=$(abspath $(O)) tests/e2e/test_budget.py -v $(T)
	$(Q)LONG=1 BUILD=$(abspath $(O)) tests/e2e/test_budget_steps.py -v

# The verdict on programs that leak and that do not, into doc/verdicts.md: hours; goes on where it was stopped
check-corpus: all $(addprefix $(O)/tests/e2e/targets/corpus_,leaks steady throws)
	$(Q)export BUILD=$(abspath $(O)); tests/e2e/corpus/run.py -v --seconds 60 && \
	tests/e2e/corpus/run.py -v --seconds 300 --seeds 2 --loads 10 && \
	tests/e2e/corpus/run.py --table doc/verdicts.md && tests/e2e/corpus/run.py --check

deps:
	$(Q)tools/deps.sh install

demo:
	$(Q)tools/deps.sh ready
	+$(Q)$(MAKE) --no-print-directory all $(DEMO_BIN)
	$(Q)tools/demo/run.sh $(PROGRAM) $(DEMO_BIN)

# What the benches share with the e2e tests
BENCH_PARTS := $(addprefix $(O)/tests/e2e/,stack_cost table_cost targets/deep targets/deep_fp targets/many)

bench: all $(BENCH_BIN) $(BENCH_PARTS)
	$(Q)set -e; test -n "$(wildcard tools/bench/bench_*)" || { echo "no tools/bench/bench_*" >&2; exit 1; }; \
	for b in $(sort $(wildcard tools/bench/bench_*.sh tools/bench/bench_*.py)); do \
		echo "== $$b"; MEMPROBE=$(abspath $(PROGRAM)) BUILD=$(abspath $(O)) $$b; \
	done

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/doc/memprobe
	install -m 755 $(O)/memprobe $(DESTDIR)$(PREFIX)/bin/memprobe
	install -m 644 LICENSE $(DESTDIR)$(PREFIX)/share/doc/memprobe/LICENSE
	install -m 644 doc/json-lines.md $(DESTDIR)$(PREFIX)/share/doc/memprobe/json-lines.md
	install -m 644 doc/recording.md $(DESTDIR)$(PREFIX)/share/doc/memprobe/recording.md
	install -d $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 644 man/memprobe.8 $(DESTDIR)$(PREFIX)/share/man/man8/memprobe.8

# A hint, not a test: initialisers that fill their lines are not what clang-format makes of them
BASE ?= HEAD
format-check:
	$(Q)git clang-format --diff --quiet --extensions c,h,cc $(BASE) -- src bpf tests tools

clean:
	$(Q)rm -rf $(O) memprobe memprobe-static demo.folded demo.svg demo.txt

-include $(shell find $(O) -name '*.d' -type f 2>/dev/null)

# Keep what implicit rules make on the way. Not .SECONDARY without names: then a source whose object is
# missing is not compiled where the library is newer than it.
.PRECIOUS: $(O)/%.o $(O)/tests/bpf/%.skel.h
.PHONY: check-corpus check-oracle check-cycles check-budget all static bpf-arches fuzz deps demo bench install clean \
	format-check check unit \
	$(TIERS:%=check-%) build-unit build-golden build-bpf build-tools build-e2e build-vm

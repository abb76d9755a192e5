# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# memprobe: make, make check, make demo; see README.md.
#
#   O=DIR     objects elsewhere (default build)
#   V=1       print the commands
#   SAN=1     AddressSanitizer and UBSan
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:

V ?= 0
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),@:,@printf '  %-8s %s\n' $(1) $(2))
O ?= build
PREFIX ?= /usr/local
CC := gcc
CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool /usr/local/sbin/bpftool /usr/bin/bpftool) bpftool)
ARCH := $(patsubst aarch64,arm64,$(patsubst x86_64,x86,$(shell uname -m)))

WARN := -Wall -Wextra -Wshadow -Wvla -Wundef -Wwrite-strings -Wmissing-prototypes -Werror
CFLAGS ?= -O2 -g
override CFLAGS += -std=gnu11 $(WARN) -D_GNU_SOURCE -I. -Isrc -I$(O) -ffile-prefix-map=$(CURDIR)=.
ifeq ($(SAN),1)
override CFLAGS += -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
override LDFLAGS += -fsanitize=address,undefined
endif

# Pure code links without libbpf; the unit tests link nothing else.
PURE_DIRS := base model alloc proc symbol unwind runtime render cli
EDGE_DIRS := kern app
PURE_SRC := $(sort $(foreach d,$(PURE_DIRS),$(wildcard src/$(d)/*.c)))
EDGE_SRC := $(sort $(foreach d,$(EDGE_DIRS),$(filter-out src/app/main.c,$(wildcard src/$(d)/*.c))))
PURE_OBJ := $(PURE_SRC:%.c=$(O)/%.o)
EDGE_OBJ := $(EDGE_SRC:%.c=$(O)/%.o)
PURE_LIBS := -ldw -lelf -lz -liberty
EDGE_LIBS := -lbpf $(PURE_LIBS)

all: memprobe

$(O)/%.o: %.c
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

memprobe: $(O)/memprobe
	$(Q)cp -f $< $@

$(O)/memprobe: $(O)/src/app/main.o $(O)/libedge.a $(O)/libpure.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(EDGE_LIBS)

# BPF
BPF_CFLAGS := -O2 -g -target bpf -mcpu=v3 -D__TARGET_ARCH_$(ARCH) -D__bpf__ -Ivmlinux/$(ARCH) -Ibpf -I. -Wall -Werror

$(O)/bpf/%.bpf.o: bpf/%.bpf.c
	$(call say,BPF,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MT $@ -MF $(@:.o=.d) -c -o $@.tmp $<
	$(Q)$(BPFTOOL) gen object $@ $@.tmp

$(O)/memprobe.skel.h: $(O)/bpf/memprobe.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name memprobe_bpf > $@

# Unit tests: tests/unit/test_*.c, each a cmocka program
UNIT_SRC := $(sort $(wildcard tests/unit/test_*.c))
UNIT_BIN := $(UNIT_SRC:%.c=$(O)/%)

$(O)/tests/unit/%: $(O)/tests/unit/%.o $(O)/libpure.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lcmocka $(PURE_LIBS)

unit: $(UNIT_BIN)
	$(Q)set -e; for t in $(UNIT_BIN); do $$t; done

clean:
	$(Q)rm -rf $(O) memprobe

-include $(PURE_OBJ:.o=.d) $(EDGE_OBJ:.o=.d) $(O)/src/app/main.d $(UNIT_BIN:=.d) $(wildcard $(O)/bpf/*.d)

.PHONY: all unit clean

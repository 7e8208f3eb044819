# SPDX-License-Identifier: Apache-2.0
# One Makefile for all of berth; see README.md for the two commands a user needs.

VERSION = 0.1.0
BUILD ?= build
PREFIX ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
BINDIR ?= $(PREFIX)/bin
LIBEXECDIR ?= $(PREFIX)/libexec/berth
MANDIR ?= $(PREFIX)/share/man
UNITDIR ?= $(PREFIX)/lib/systemd/system

CC ?= gcc
CFLAGS ?= -O2 -g
PYTHON ?= /usr/bin/python3
V ?= 0
Q = $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-7s %s\n' $(1) $(2))

# What pkg-config knows only once contrib/install-dependencies has run.
packages = libnl-3.0 libnl-route-3.0 yaml-0.1 jansson libpcre2-8 libcap-ng libseccomp libsystemd
PKG_CFLAGS = $(shell pkg-config --cflags $(packages))
pkg_libs = $(shell pkg-config --libs $(1))

BASE_CPPFLAGS = -I. -D_GNU_SOURCE -DBERTH_VERSION='"$(VERSION)"' \
	-DBERTH_LIBEXECDIR='"$(LIBEXECDIR)"' -DPCRE2_CODE_UNIT_WIDTH=8
BASE_CFLAGS = -std=gnu11 -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wformat-security -Wvla $(if $(CI),-Werror) $(SANITIZE) -pthread
BASE_LDFLAGS = $(SANITIZE) -pthread -Wl,--as-needed
SANITIZERS = -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer

common_src = common/backend.c common/ip.c common/listener_spec.c common/log.c common/loop.c common/netns.c \
	common/netns_enter.c common/service.c
watcher_src =
rules_src =
binder_src =
daemon_src =
relay_src =
ctl_src =
lib_src =

berthd_src = $(daemon_src) $(watcher_src) $(rules_src) $(binder_src) $(common_src)
relay_all_src = $(relay_src) $(lib_src) $(common_src)
ctl_all_src = $(ctl_src) $(lib_src) $(common_src)
all_src = $(sort $(berthd_src) $(relay_all_src) $(ctl_all_src))

unit_tests = test_ip

objects = $(patsubst %.c,$(BUILD)/%.o,$(1))
programs = $(BUILD)/berthd $(BUILD)/berth-relay $(BUILD)/berthctl

all: $(programs)

$(BUILD)/berthd: $(call objects,$(berthd_src))
$(BUILD)/berthd: LIBS = $(call pkg_libs,$(packages))
$(BUILD)/berth-relay: $(call objects,$(relay_all_src))
$(BUILD)/berth-relay: LIBS = $(call pkg_libs,jansson libcap-ng libseccomp)
$(BUILD)/berthctl: $(call objects,$(ctl_all_src))
$(BUILD)/berthctl: LIBS = $(call pkg_libs,jansson)

$(programs):
	$(call say,LD,$@)
	$(Q)$(CC) $(BASE_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/%.o: %.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CPPFLAGS) $(PKG_CFLAGS) $(CPPFLAGS) $(BASE_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# Everything but the main functions: a unit test takes from it what it calls.
$(BUILD)/berth-test.a: $(call objects,$(filter-out %/main.c,$(all_src)))
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/berth-test.a
	$(call say,LD,$@)
	$(Q)$(CC) $(BASE_LDFLAGS) $(LDFLAGS) -o $@ $^ $(call pkg_libs,$(packages) cmocka)

clean:
	rm -rf $(BUILD)

-include $(patsubst %.o,%.d,$(call objects,$(all_src)))

.PHONY: all clean

# SPDX-License-Identifier: Apache-2.0
# One Makefile for all of berth. make check and make demo work on a fresh Debian machine: they install
# what is missing first. V=1 shows the commands, CI=1 makes warnings errors, PREFIX and DESTDIR are as usual.

VERSION = 0.1.0
BUILD ?= build
PREFIX ?= /usr/local
LIBEXECDIR ?= $(PREFIX)/libexec/berth

CC ?= gcc
CFLAGS ?= -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong
PYTHON ?= /usr/bin/python3
Q = $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-7s %s\n' $(1) $(2))

# What pkg-config knows only once contrib/install-dependencies has run.
packages = libnl-3.0 libnl-route-3.0 yaml-0.1 jansson libpcre2-8 libcap-ng libseccomp libsystemd libsctp
pkg = $(shell pkg-config $(1))$(if $(filter 0,$(.SHELLSTATUS)),,$(error run contrib/install-dependencies first))
pkg_libs = $(call pkg,--libs $(1))
PKG_CFLAGS = $(eval PKG_CFLAGS := $(call pkg,--cflags $(packages)))$(PKG_CFLAGS)

BASE_CPPFLAGS = -I. -D_GNU_SOURCE -DBERTH_VERSION='"$(VERSION)"' \
	-DBERTH_LIBEXECDIR='"$(LIBEXECDIR)"' -DPCRE2_CODE_UNIT_WIDTH=8
BASE_CFLAGS = -std=gnu11 -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wformat-security -Wvla $(if $(CI),-Werror) $(SANITIZE) -pthread
BASE_LDFLAGS = $(SANITIZE) -pthread -Wl,--as-needed -Wl,-z,relro,-z,now
COMPILE = $(CC) $(BASE_CPPFLAGS) $(PKG_CFLAGS) $(CPPFLAGS) $(BASE_CFLAGS) $(CFLAGS)
SANITIZERS = -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer

common_src = common/backend.c common/dirwatch.c common/holdoff.c common/ip.c common/listener_spec.c common/log.c \
	common/loop.c common/netns.c common/netns_enter.c common/service.c common/utf8.c
watcher_src = watcher/follow.c watcher/lingering.c watcher/monitor.c watcher/mounts.c watcher/names.c \
	watcher/netlink.c watcher/observed.c watcher/processes.c watcher/registry.c watcher/resolve.c \
	watcher/watcher.c
rules_src = rules/claims.c rules/load.c rules/match.c rules/parse.c rules/parse_action.c rules/parse_file.c \
	rules/parse_join.c rules/parse_listen.c rules/parse_match.c rules/parse_option.c rules/parse_values.c \
	rules/pattern.c rules/plan.c rules/plan_explain.c rules/rule.c rules/rule_names.c rules/rule_text.c \
	rules/rule_versions.c rules/ruleset_load.c rules/store.c rules/suggest.c rules/template.c rules/yaml_node.c
binder_src = binder/binder.c binder/opener.c binder/reason.c binder/retry.c binder/row.c binder/socket.c
daemon_src = daemon/berthd.c daemon/check.c daemon/consumer_message.c daemon/consumers.c daemon/control.c \
	daemon/describe.c daemon/explain.c daemon/interface.c daemon/json_text.c daemon/main.c daemon/options.c \
	daemon/privileges.c daemon/reconcile.c daemon/relay_process.c daemon/runtime_dir.c daemon/unserved.c \
	daemon/varlink.c daemon/varlink_call.c
relay_src = relay/buffer.c relay/confine.c relay/control.c relay/limits.c relay/listener.c relay/main.c \
	relay/serving.c relay/spread.c relay/tcp.c relay/tcp_forward.c relay/tcp_pump.c relay/tcp_respond.c \
	relay/timer.c relay/udp.c relay/udp_session.c relay/worker.c
ctl_src = ctl/client.c ctl/main.c ctl/show.c ctl/show_explain.c ctl/show_status.c ctl/table.c ctl/text.c
lib_src = lib/berth.c

berthd_src = $(daemon_src) $(watcher_src) $(rules_src) $(binder_src) $(common_src)
relay_all_src = $(relay_src) $(lib_src) $(common_src)
ctl_all_src = $(ctl_src) $(lib_src) $(common_src)
all_src = $(sort $(berthd_src) $(relay_all_src) $(ctl_all_src))

unit_tests = test_backend test_binder test_binder_failures test_binder_sockets test_consumer_message test_consumers \
	test_dirwatch test_holdoff test_ip test_lingering test_loop test_names test_observed test_pattern test_plan \
	test_rule_store test_rules test_utf8 test_util test_varlink test_varlink_conn test_watcher
fuzz_tests = fuzz_consumer fuzz_rules fuzz_text fuzz_varlink

objects = $(patsubst %.c,$(BUILD)/%.o,$(1))
programs = $(BUILD)/berthd $(BUILD)/berth-relay $(BUILD)/berthctl
library = $(BUILD)/libberth.a
unit_programs = $(addprefix $(BUILD)/tests/unit/,$(unit_tests))
fuzz_programs = $(addprefix $(BUILD)/tests/fuzz/,$(fuzz_tests))
bench_tests = floor_addresses floor_freed floor_names floor_startup launch measure_appears measure_freed world
bench_programs = $(addprefix $(BUILD)/tests/bench/,$(bench_tests))
bench_objects = $(addprefix $(BUILD)/tests/bench/,bench.o netlink.o)
headers = $(wildcard $(addsuffix /*.h,common watcher rules binder daemon relay ctl lib))

# Both cores, unless the user said how many.
make_parallel = +$(Q)$(MAKE) --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))
make_step = +$(Q)$(MAKE) --no-print-directory
pytest = $(Q)BERTH_BUILD=$(BUILD) PYTHONDONTWRITEBYTECODE=1 $(PYTHON) -m pytest -p no:cacheprovider -q -ra

all: $(programs) $(library)
	@:
test-programs: all $(unit_programs)
	@:

$(BUILD)/berthd: $(call objects,$(berthd_src))
$(BUILD)/berthd: LIBS = $(call pkg_libs,$(packages))
$(BUILD)/berth-relay: $(call objects,$(relay_all_src))
$(BUILD)/berth-relay: LIBS = $(call pkg_libs,jansson libcap-ng libseccomp)
$(BUILD)/berthctl: $(call objects,$(ctl_all_src))
$(BUILD)/berthctl: LIBS = $(call pkg_libs,jansson)

$(programs):
	$(call say,LD,$@)
	$(Q)$(CC) $(BASE_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/%.o: %.c $(BUILD)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -MMD -MP -c -o $@ $<

# The text inside the program; .incbin is no #include that -MMD could see.
$(BUILD)/daemon/interface.o: doc/io.berth.varlink

# Changes when the commands do: another prefix or compiler never leaves stale objects.
$(BUILD)/flags: export FLAGS = $(COMPILE)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' "$$FLAGS" | cmp -s - $@ || printf '%s\n' "$$FLAGS" >$@

# The library; and everything but the main functions: a test takes from it what it calls.
$(library): $(call objects,$(lib_src))
$(BUILD)/berth-test.a: $(call objects,$(filter-out %/main.c,$(all_src)))
$(library) $(BUILD)/berth-test.a:
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(unit_programs) $(fuzz_programs): %: %.o $(BUILD)/berth-test.a
	$(call say,LD,$@)
	$(Q)$(CC) $(BASE_LDFLAGS) $(LDFLAGS) -o $@ $^ $(call pkg_libs,$(packages) cmocka)

$(bench_programs): %: %.o $(bench_objects)
	$(call say,LD,$@)
	$(Q)$(CC) $(BASE_LDFLAGS) $(LDFLAGS) -o $@ $^

$(BUILD)/%.h.ok: %.h $(BUILD)/flags
	$(call say,HEADER,$<)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -fsyntax-only -x c $< && touch $@

check: dependencies-build-test
	$(make_parallel) test-programs
	$(make_step) unit
	$(make_step) check-build
	$(make_step) integration
	$(make_step) check-asan
	@echo "make check: everything passed"
unit: $(unit_programs)
	$(Q)tests/unit/run $(if $(filter 1,$(V)),-v) $^
integration: all
	$(pytest) tests/integration
check-build: all
	$(pytest) tests/build tests/lint
asan = BUILD=$(BUILD)/asan SANITIZE='$(SANITIZERS)' CFLAGS='-O1 -g'
check-asan: export UBSAN_OPTIONS = print_stacktrace=1
check-asan:
	$(make_parallel) $(asan) test-programs
	$(make_step) $(asan) unit
	$(make_step) $(asan) integration
headers: $(addprefix $(BUILD)/,$(addsuffix .ok,$(headers)))

lint: dependencies-build-test-lint
	$(Q)COMPILE='$(subst ','\'',$(BASE_CPPFLAGS) $(PKG_CFLAGS))' tests/lint/run
demo: dependencies-build
	$(make_parallel) all
	$(Q)BERTH_BUILD=$(BUILD) contrib/demo
bench: dependencies-build
	$(make_parallel) all $(bench_programs)
	$(Q)PYTHONDONTWRITEBYTECODE=1 $(PYTHON) tests/bench/bench.py --build $(BUILD) $(BENCH)
fuzz: fuzz_built = $(addprefix $(BUILD)/fuzz/tests/fuzz/,$(fuzz_tests))
fuzz: dependencies-build-test
	$(make_parallel) BUILD=$(BUILD)/fuzz CC=clang SANITIZE='-fsanitize=address,undefined,fuzzer-no-link' \
		LDFLAGS='-fsanitize=fuzzer' CFLAGS='-O1 -g' $(fuzz_built)
	$(Q)tests/fuzz/run $(fuzz_built)
dependencies-%:
	$(Q)contrib/install-dependencies $(subst -, ,$*)

install: all
install uninstall:
	$(Q)BUILD='$(BUILD)' PREFIX='$(PREFIX)' LIBEXECDIR='$(LIBEXECDIR)' DESTDIR='$(DESTDIR)' contrib/install-files $@
clean:
	$(Q)rm -rf $(BUILD)

-include $(patsubst %.o,%.d,$(call objects,$(all_src)) $(addsuffix .o,$(unit_programs) $(fuzz_programs) \
	$(bench_programs)) $(bench_objects))

.PHONY: all bench check check-asan check-build clean demo fuzz headers install integration lint \
	test-programs uninstall unit FORCE
.DELETE_ON_ERROR:

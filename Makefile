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
VM_KERNELS ?= 6.1 6.12
VM_STAGES ?= unit integration
VM_TESTS ?= kernel
Q = $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-7s %s\n' $(1) $(2))

# What pkg-config knows only once contrib/install-dependencies has run.
packages = libnl-3.0 libnl-route-3.0 yaml-0.1 jansson libpcre2-8 libcap-ng libseccomp libsystemd libsctp libcurl libmicrohttpd
pkg = $(shell pkg-config $(1))$(if $(filter 0,$(.SHELLSTATUS)),,$(error run contrib/install-dependencies first))
PKG_CFLAGS = $(eval PKG_CFLAGS := $(call pkg,--cflags $(packages)))$(PKG_CFLAGS)

BASE_CPPFLAGS = -I. -Ilib -D_GNU_SOURCE -DBERTH_VERSION='"$(VERSION)"' \
	-DBERTH_LIBEXECDIR='"$(LIBEXECDIR)"' -DPCRE2_CODE_UNIT_WIDTH=8
BASE_CFLAGS = -std=gnu11 -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wformat-security -Wvla $(if $(CI),-Werror) $(SANITIZE) -pthread
BASE_LDFLAGS = $(SANITIZE) -pthread -Wl,--as-needed -Wl,-z,relro,-z,now
COMPILE = $(CC) $(BASE_CPPFLAGS) $(PKG_CFLAGS) $(CPPFLAGS) $(BASE_CFLAGS) $(CFLAGS)
LIB_CFLAGS = -fPIC -fvisibility=hidden
SANITIZERS = -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer

# Every C file of a folder and its rooms belongs to its program, and each tests/*/*.c is a program of its own.
folders = common watcher rules binder daemon relay client ctl hook web lib
src = $(wildcard $(foreach folder,$(1),$(folder)/*.c $(folder)/*/*.c))
names = $(patsubst $(1)%.c,%,$(wildcard $(1)*.c))
bench_common = bench netlink
objects = $(patsubst %.c,$(BUILD)/%.o,$(1))
programs = $(addprefix $(BUILD)/,berthd berth-relay berthctl berth-hook berth-follow berth-web)
libraries = $(BUILD)/libberth.a $(BUILD)/libberth.so.1
unit_programs = $(addprefix $(BUILD)/tests/unit/test_,$(call names,tests/unit/test_))
fuzz_programs = $(addprefix $(BUILD)/tests/fuzz/fuzz_,$(call names,tests/fuzz/fuzz_))
example = $(BUILD)/contrib/consumers/c/http_name
bench_programs = $(addprefix $(BUILD)/tests/bench/,$(filter-out $(bench_common),$(call names,tests/bench/)))

# Both cores, unless the user said how many.
make_parallel = +$(Q)$(MAKE) --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))
make_step = +$(Q)$(MAKE) --no-print-directory
make_beside = $(make_step) -j$(or $(1),2) -Otarget
python = $(Q)BERTH_BUILD=$(BUILD) PYTHONDONTWRITEBYTECODE=1 $(PYTHON)
pytest = $(python) -m pytest -p no:cacheprovider -q -ra

all: $(programs) $(libraries)
test-programs: all $(unit_programs) $(example)
all test-programs: ; @:

$(BUILD)/berthd: $(call objects,$(call src,daemon client watcher rules binder common))
$(BUILD)/berth-relay: $(call objects,$(call src,relay lib common))
$(BUILD)/berthctl: $(call objects,$(call src,ctl client lib common))
$(BUILD)/berth-hook: $(BUILD)/hook/main.o $(BUILD)/berth-all.a
$(BUILD)/berth-follow: $(call objects,$(call src,hook/follow client common))
$(BUILD)/berth-web: $(call objects,$(call src,web client common))
$(unit_programs) $(fuzz_programs): %: %.o $(BUILD)/berth-all.a
$(example): %: %.o $(BUILD)/libberth.a
$(bench_programs): %: %.o $(addprefix $(BUILD)/tests/bench/,$(addsuffix .o,$(bench_common)))

# --as-needed leaves each program the libraries that it uses. Inside a program the sanitizers start in two thirds of the time.
LIBS = $(call pkg,--libs $(packages) ncursesw)
$(unit_programs) $(fuzz_programs): LIBS = $(call pkg,--libs $(packages) ncursesw cmocka) $(if $(findstring /fuzz_http,$@),-lhttp_parser)
$(programs) $(unit_programs) $(fuzz_programs) $(bench_programs) $(example):
	$(call say,LD,$@)
	$(Q)$(CC) $(BASE_LDFLAGS) $(if $(SANITIZE),$(if $(findstring clang,$(CC)),,-static-libasan -static-libubsan)) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/%.o: %.c $(BUILD)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) $(OBJECT_CFLAGS) -MMD -MP -c -o $@ $<

# Texts inside the programs; .incbin is no #include that -MMD could see.
$(BUILD)/daemon/control/interface.o: doc/io.berth.varlink doc/io.systemd.Metrics.varlink
$(BUILD)/web/page.o: OBJECT_CFLAGS = -Wa,-I$(BUILD)
$(BUILD)/web/page.o: $(BUILD)/web/page.html
$(BUILD)/web/page.html: $(wildcard web/page/*) ; $(Q)web/page/build $(basename $@)

# Changes when the commands do: another prefix or compiler never leaves stale objects.
$(BUILD)/flags: export FLAGS = $(COMPILE) $(LIB_CFLAGS)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' "$$FLAGS" | cmp -s - $@ || printf '%s\n' "$$FLAGS" >$@

# The library; and everything but the main functions: what is linked with it takes from it what it calls.
$(libraries): $(call objects,$(call src,lib))
$(call objects,$(call src,lib)): OBJECT_CFLAGS = $(LIB_CFLAGS)
$(BUILD)/libberth.so.1: lib/libberth.map
	$(call say,LD,$@)
	$(Q)$(CC) -shared $(BASE_LDFLAGS) $(LDFLAGS) -Wl,-soname,$(@F) -Wl,--version-script=lib/libberth.map -o $@ $(filter %.o,$^) $(LIBS)
$(BUILD)/berth-all.a: $(call objects,$(filter-out %/main.c,$(call src,$(folders))))
$(BUILD)/libberth.a $(BUILD)/berth-all.a:
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/%.h.ok: %.h $(BUILD)/flags
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -fsyntax-only -x c $< && touch $@

check: dependencies-build-test
	$(make_parallel) test-programs
	$(make_parallel) $(asan) test-programs
	$(call make_beside,3) PART=beside integration check-asan unit check-build
	$(make_step) PART=alone integration && $(MAKE) --no-print-directory PART=alone $(asan) integration
	@echo "make check: everything passed"
unit: $(unit_programs) ; $(Q)tests/unit/run $(if $(filter 1,$(V)),-v) $^
integration: all $(example) ; $(if $(PART),$(Q)BERTH_BUILD=$(BUILD) PYTHON=$(PYTHON) tests/integration/run $(PART),$(pytest) tests/integration)
check-build: all $(example) ; $(pytest) tests/build tests/lint
asan = BUILD=$(BUILD)/asan SANITIZE='$(SANITIZERS)' CFLAGS='-O1 -g' UBSAN_OPTIONS=print_stacktrace=1
check-asan:
	$(make_parallel) $(asan) test-programs
	$(make_step) $(if $(findstring -j,$(MAKEFLAGS)),,-j2 -Otarget) $(asan) integration unit
# Under Debian's other kernels, in virtual machines, built here: SCTP, and the same tests; of the integration tests
# those marked "kernel", or with VM_TESTS=all all of them.
check-vm: dependencies-build-test-vm
	$(make_parallel) test-programs
	$(pytest) tests/vm/test_run.py tests/vm/test_systemd.py
	$(make_beside) $(addprefix check-vm-,$(VM_KERNELS))
	@echo "make check-vm: everything passed"
check-vm-%:
	$(Q)BERTH_BUILD=$(BUILD) tests/vm/run --kernel $* --timeout $(or $(VM_TIMEOUT),3600) --cpus $(or $(VM_CPUS),1) --without-sctp -- \
		env STAGES='$(VM_STAGES)' TESTS='$(VM_TESTS)' KERNELS='$(VM_KERNELS)' tests/vm/suite $(unit_programs)
headers: $(patsubst %,$(BUILD)/%.ok,$(wildcard $(addsuffix /*.h,$(folders)) $(addsuffix /*/*.h,$(folders))))

lint: dependencies-build-test-lint
	$(Q)COMPILE='$(subst ','\'',$(BASE_CPPFLAGS) $(PKG_CFLAGS))' tests/lint/run
demo: dependencies-build
	$(make_parallel) all
	$(Q)BERTH_BUILD=$(BUILD) contrib/demo
bench soak: dependencies-build-test
	$(make_parallel) all $(bench_programs) $(example)
	$(python) tests/bench/$(if $(filter soak,$@),restarts.py $(SOAK),bench.py --build $(BUILD) $(BENCH))
fuzz: dependencies-build-test
	+$(Q)MAKE='$(MAKE)' tests/fuzz/run $(BUILD)/fuzz $(notdir $(fuzz_programs))
dependencies-%: ; $(Q)contrib/install-dependencies $(subst -, ,$*)
install: all
install uninstall:
	$(Q)BUILD='$(BUILD)' VERSION='$(VERSION)' PREFIX='$(PREFIX)' LIBEXECDIR='$(LIBEXECDIR)' DESTDIR='$(DESTDIR)' contrib/install-files $@
clean: ; $(Q)rm -rf $(BUILD)

-include $(wildcard $(BUILD)/*/*.d $(BUILD)/*/*/*.d) $(example).d
.PHONY: all bench check check-asan check-build check-vm clean demo fuzz headers install integration lint soak test-programs uninstall unit FORCE
.DELETE_ON_ERROR:

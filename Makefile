# Labs with which people really understand containers.
#
#   make lab-01 && sudo ./labs/01_chroot     builds one lab and plays its experiment
#   make help                                lists what else there is

# Here a student may have chosen the name of a directory: nothing in it is for make. First of all, because $(shell) hands
# on what was typed, evaluated (since GNU make 4.4).
override WORK        := $(or $(value WORK),work)
override SUBMISSIONS := $(value SUBMISSIONS)

# With CDPATH, cd in a script leads to directories of that name elsewhere. gcc also knows TMP and TEMP; only TMPDIR is
# checked below.
unexport CDPATH TMP TEMP

# A word for the shell, whatever is in it.
quoted = '$(subst ','\'',$($(1)))'

ifeq ($(origin CC),default)
CC      := gcc
endif
CFLAGS  ?= -O2 -g
BUILD   ?= build
# Where the programs are put: beside their sources, where the reader types them.
BIN     ?= labs
$(if $(filter-out 2,$(words $(value BUILD) $(value BIN)))$(findstring $$,$(value BUILD)$(value BIN)$(value TMPDIR)),\
    $(error BUILD and BIN are one name each, without blanks and $$; TMPDIR is without $$, too))
# What runs a command as root: nothing where we are root already.
ROOT    := $(if $(filter 0,$(shell id -u)),,sudo)
# Where another user could put links, or files of dependencies, root neither writes nor reads these: asked first of all.
# $(shell) has the TMPDIR of make's command line since GNU make 4.4.
ifneq ($(if $(ROOT),,$(filter-out undefined default file,$(foreach name,BUILD BIN TMPDIR,$(origin $(name))))),)
ifneq ($(shell BUILD=$(call quoted,BUILD) $(if $(TMPDIR),TMPDIR=$(call quoted,TMPDIR)) bash -c '. tests/kit/kit.bash && for_make "$$@"' - $(call quoted,BIN)),yes)
$(error nothing was made)
endif
endif
SUDO     = $(if $(ROOT),$(if $(shell command -v sudo 2>/dev/null),$(ROOT),\
    $(error this needs root, and no sudo is installed: become root by su -, or type make vm, which needs neither)))
# For what also works without root: sudo if it is installed and asks no password, or the user is in a group for which it
# is meant; else nothing. It is asked once, where it is first used: sudo logs each refusal.
SUDO_IF_THERE = $(eval SUDO_IF_THERE := $(if $(ROOT),$(shell command -v sudo 2>/dev/null | { read -r sudo && \
    { id -nG | grep -qwE 'sudo|wheel|admin' || sudo -n true; } >/dev/null 2>&1 && echo "$$sudo"; })))$(SUDO_IF_THERE)
# An experiment plays without root, and by sudo where it cannot (status 77) and there is sudo.
play = { $(1) || { status=$$?; [ $$status -eq 77 ] && [ '$(SUDO_IF_THERE)' ] || exit $$status; $(SUDO_IF_THERE) $(1); }; }
# A program as the shell wants it.
program = $(if $(filter-out /%,$(1)),./)$(1)

LAB_CFLAGS := -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Wshadow -Wstrict-prototypes -ffunction-sections -Icommon -include common/compat.h

# labs/NN_name.c is the page of a lab, labs/tools/NN_name.c its tool: together they are one program.
SOURCES := $(sort $(wildcard labs/*.c))
TOOLS   := $(sort $(wildcard labs/tools/[0-9]*.c))
# Programs without a page; and what several tools share.
ALONE   := labs/tools/busy.c labs/tools/doctor.c
SHARED  := $(filter-out $(TOOLS) $(ALONE),$(sort $(wildcard labs/tools/*.c)))
LABS    := $(patsubst labs/%.c,$(BIN)/%,$(SOURCES)) $(patsubst labs/tools/%.c,$(BIN)/%,$(ALONE))
COMMON  := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard common/*.c)))
# What calls the parsers on recorded trees, for tests/cgroup.bats.
UNIT    := $(BUILD)/tests/unit
# Programs that tests run under, and in containers: a file each.
TEST_PROGRAMS := $(patsubst %.c,$(BUILD)/%,tests/refuse.c $(addprefix tests/container/,probe.c take.c fill.c))
# One short line for each file that is made; V=1 shows the whole commands instead, and -s nothing.
ifneq ($(V),1)
Q := @
endif
quiet := $(findstring s,$(firstword -$(MAKEFLAGS)))
say = $(if $(Q),$(if $(quiet),,@printf '  %-3s %s\n' $(1) $(2)))

NUMBERS := $(patsubst labs/%,%,$(foreach lab,$(wildcard labs/[0-9][0-9]_*.c),$(firstword $(subst _, ,$(lab)))))

# The directory of what is made, which has to be writable: a checkout may not be.
place = @mkdir -p $(@D) 2>/dev/null && [ -w $(@D) ] || \
    { echo 'make: nothing can be written in $(@D); type: make BUILD=~/labs BIN=~/labs/bin' >&2; exit 1; }

.DELETE_ON_ERROR:
.PHONY: all
all: $(LABS) #: all labs [V=1: show the whole commands]

#: lab-NN         build lab NN
#: run-NN         build it and play its experiment (with sudo, where that needs root and you are not)
#: test-NN        build it and run its tests
#: trace-NN       build it and play its experiment under strace: the system calls that it teaches [STEP=N]
define LAB_TARGETS
.PHONY: lab-$(1) run-$(1) test-$(1) trace-$(1)
lab-$(1): $(filter $(BIN)/$(1)_%,$(LABS))
	@echo "Now type: sudo $$(call program,$$<)"
run-$(1): $(filter $(BIN)/$(1)_%,$(LABS))
	@$$(call play,$$(call program,$$<))
trace-$(1): $(filter $(BIN)/$(1)_%,$(LABS))
	@$$(SUDO) tests/kit/trace.sh $$(call program,$$<) $$(STEP)
test-$(1): $(LABS) test-programs $(BUILD)/.test-tools
	$$(BATS) tests/$(1)_*.bats
endef
$(foreach number,$(NUMBERS),$(eval $(call LAB_TARGETS,$(number))))

.PHONY: test-programs
test-programs: $(UNIT) $(TEST_PROGRAMS) #: what the tests need beside the labs
$(TEST_PROGRAMS): $(BUILD)/%: %.c Makefile | $(BUILD)/.compiler
	$(place)
	$(call say,CC,$<)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O1 -static -o $@ $<

$(UNIT): LDLIBS += -lm
$(UNIT): $(BUILD)/tests/unit.o $(BUILD)/libtools.a $(BUILD)/libcommon.a
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# What a lab needs beyond the C library.
$(BIN)/busy: LDLIBS += -pthread
$(BIN)/06_cpu_shares: LDLIBS += -lm
# The load that these two measure.
lab-05 lab-06 run-05 run-06 trace-05 trace-06: $(BIN)/busy
# What makes the file system of this one.
lab-09 run-09 trace-09: $(BIN)/02_rootfs

.PHONY: busy
busy: $(BIN)/busy #: the load of labs 05 and 06

# What a compiler for a 32-bit machine cannot build: launch.c makes its system calls itself.
TOO_SMALL := $(if $(shell echo | $(CC) $(CFLAGS) -dM -E - 2>/dev/null | grep 'SIZEOF_POINTER__ 4'),$(BIN)/09_full_container)

$(foreach tool,$(filter $(SOURCES:labs/%=labs/tools/%),$(TOOLS)),\
    $(eval $(tool:labs/tools/%.c=$(BIN)/%): $(tool:%.c=$(BUILD)/%.o)))
$(foreach program,$(ALONE),$(eval $(program:labs/tools/%.c=$(BIN)/%): $(program:%.c=$(BUILD)/%.o)))
$(foreach page,$(SOURCES),$(eval $(page:labs/%.c=$(BIN)/%): $(page:%.c=$(BUILD)/%.o)))
# Lab 09 has no tool: neither it nor common/ needs anything of labs/tools/.
$(filter-out %/09_full_container,$(LABS)): $(BUILD)/libtools.a
$(filter-out $(TOO_SMALL),$(LABS)): $(BUILD)/libcommon.a
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %/libtools.a,$^) $(BUILD)/libcommon.a $(LDLIBS)

# Lab 09 has a service of its own, and is the only one that needs libraries: in the program where that can
# be, it starts faster then.
SERVICE := $(patsubst %.c,$(BUILD)/%.o,$(filter-out %/make_filter.c %/launch.c,$(sort $(wildcard labs/container/*.c))))
FILTER := $(BUILD)/labs/container/default_filter.h
LAUNCH := $(BUILD)/labs/container/launch
static_or_shared = $(if $(filter /%,$(shell $(CC) -print-file-name=lib$(1).a)),-l:lib$(1).a,-l$(1))

$(filter-out $(TOO_SMALL),$(BIN)/09_full_container): $(SERVICE)
LINK_LIBRARIES_09 = $(call static_or_shared,cap) $(call static_or_shared,seccomp) -lmnl -ldl
$(BIN)/09_full_container: LDLIBS += $(LINK_LIBRARIES_09) -lm
$(SERVICE) $(BUILD)/labs/container/make_filter.o: | $(BUILD)/.container-libraries
$(BUILD)/labs/container/privileges.o: $(FILTER)
$(BUILD)/labs/container/privileges.o: LAB_CFLAGS += -I$(BUILD)/labs/container
$(BUILD)/labs/container/binary.o: $(LAUNCH)
$(BUILD)/labs/container/binary.o: LAB_CFLAGS += -DLAUNCH='"$(LAUNCH)"'

# A program for another machine does not run here: such a build leaves the filter to the lab's start.
CROSS = $(filter-out $(patsubst i%86,%86,$(shell uname -m)),\
    $(patsubst i%86,%86,$(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))))
$(FILTER): $(BUILD)/labs/container/make_filter.o $(BUILD)/labs/container/filter.o
	$(call say,GEN,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $(BUILD)/make_filter $^ -lseccomp
	$(Q)$(if $(CROSS),:,$(BUILD)/make_filter) >$@

# On a 32-bit machine lab 09 is a line that says so.
$(TOO_SMALL): labs/container/narrow.sh Makefile | $(BUILD)/.compiler
	$(place)
	$(Q)cp $< $@
	@printf '  '; $@ 2>&1 || :

# The launcher has no library, so nothing that the compiler adds may need one.
$(LAUNCH): labs/container/launch.c labs/container/report.h Makefile | $(BUILD)/.compiler
	$(place)
	$(call say,CC,$<)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Os -ffreestanding -fno-builtin -fno-stack-protector \
	    -fno-pie -fno-asynchronous-unwind-tables -Icommon $(CPPFLAGS) \
	    -nostdlib -static -Wl,--build-id=none -Wl,-z,noseparate-code -s -o $@ $<

$(BUILD)/libcommon.a: $(COMMON)
$(BUILD)/libtools.a: $(SHARED:%.c=$(BUILD)/%.o)
$(BUILD)/lib%.a:
	@rm -f $@
	$(call say,AR,$@)
	$(Q)$(AR) rcs $@ $^

# In objects lies what depends on the flags, so they depend on the Makefile.
$(BUILD)/%.o: %.c Makefile | $(BUILD)/.compiler
	$(place)
	$(call say,CC,$<)
	$(Q)$(CC) $(LAB_CFLAGS) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

-include $(patsubst %.c,$(BUILD)/%.d,$(SOURCES) $(TOOLS) $(ALONE) $(SHARED) $(wildcard common/*.c labs/container/*.c) tests/unit.c)

# What is missing is named with the package that has it, once in a build directory.
$(BUILD)/.compiler:
	@CC='$(CC)' CPPFLAGS='$(CPPFLAGS)' tests/packages.sh check build
	$(place)
	@mkdir -p $(BIN) && touch $@

$(BUILD)/.container-libraries:
	@CC='$(CC)' CPPFLAGS='$(CPPFLAGS)' tests/packages.sh check container
	$(place)
	@touch $@

# Checking an exercise takes less than testing the labs.
$(BUILD)/.check-tools:
	@tests/packages.sh check build run check
	$(place)
	@touch $@

$(BUILD)/.test-tools:
	@tests/packages.sh check build run test
	$(place)
	@touch $@

.PHONY: deps
deps: #: install what the labs and their tests need, from the distribution
	tests/packages.sh install

.PHONY: deps-lint
deps-lint: #: install what lint, test-exercises and test-fresh need, further compilers and locales
	tests/packages.sh install lint compilers fresh gates grade exercise-07 exercise-09

.PHONY: deps-vm
deps-vm: #: install what vm and test-vm need [ARCH=arm64]
	tests/packages.sh install vm vm-$(or $(ARCH),$(HOST_ARCH)) $(addprefix cross-,$(filter-out $(HOST_ARCH),$(ARCH)))

.PHONY: doctor
doctor: $(BIN)/doctor #: what this machine can do for the labs, and what to do where it cannot
	@$(SUDO_IF_THERE) $(call program,$<)

.PHONY: tour
tour: all #: play all experiments in order; without root and sudo, those that can be played so
	@left=; for lab in $(foreach lab,$(filter $(NUMBERS:%=$(BIN)/%_%),$(LABS)),$(call program,$(lab))); do \
	    ($(call play,$$lab)) || { status=$$?; [ $$status -eq 77 ] && [ '$(ROOT)' ] || exit $$status; left="$$left $${lab##*/}"; }; echo; \
	done; [ -z "$$left" ] || echo "Not played without root, for the reasons above:$$left"

# A test is told where the programs are; sudo would not hand on the variables by itself.
TEST_VARIABLES = LABS='$(abspath $(BIN))' UNIT='$(abspath $(UNIT))' JOBS='$(JOBS)' SANITIZED='$(SANITIZED)'
BATS = $(SUDO_IF_THERE) env $(TEST_VARIABLES) tests/run

.PHONY: test
test: all test-programs $(BUILD)/.test-tools #: all tests, side by side, as root or through sudo; without both, those that need no root [JOBS=N: so many at a time]
	$(BATS) $(or $(FILES),tests)

# What the page of lab NN is linked with, beside the library of the labs.
link_of = $(filter labs/tools/$(1)_%.o,$(TOOLS:.c=.o))

.PHONY: test-mutations
test-mutations: all #: what a page teaches, taken away or done wrong, must make its experiment fail [ONLY="03 07"] [EVERY=N]
	@$(SUDO) env LABS='$(abspath $(BIN))' BUILD='$(abspath $(BUILD))' JOBS='$(JOBS)' EVERY='$(or $(EVERY),1)' COMPILE='$(CC) $(LAB_CFLAGS) $(CFLAGS) $(LDFLAGS)' \
	    $(foreach number,$(NUMBERS),LINK_$(number)='$(addprefix $(BUILD)/,$(call link_of,$(number))) \
	    $(if $(filter 09,$(number)),$(SERVICE),$(BUILD)/libtools.a) $(BUILD)/libcommon.a $(LINK_LIBRARIES_$(number)) -lm') tests/mutations.sh $(ONLY)

.PHONY: test-disturbed
test-disturbed: all test-programs $(BUILD)/.test-tools #: tests while everything else happens on the machine [FILES=] [RUNS=N]
	$(SUDO) env $(TEST_VARIABLES) RUNS='$(RUNS)' tests/disturbed.sh $(FILES)

# All but those that play no lab, build them by themselves, or play again what others play.
LAB_TESTS := $(filter-out $(patsubst %,tests/%.bats,compilers docs faults locale machine make run typed),$(sort $(wildcard tests/*.bats)))

# Built apart, so that a return address names a function of the source: nothing inlined, no tail calls.
FAULTS_BUILD := $(BUILD)/faults

$(FAULTS_BUILD)/inject: tests/faults/inject.c Makefile | $(BUILD)/.compiler
	$(place)
	$(call say,CC,$<)
	$(Q)$(CC) $(LAB_CFLAGS) $(CFLAGS) -o $@ $<

.PHONY: test-faults
test-faults: $(FAULTS_BUILD)/inject $(BUILD)/.test-tools #: each call of the labs fails by two errnos: told, nothing left [ONLY="t0* run"] [MINUTES=N] [FAULTS=all] [SECOND=yes] [SITE="mmap *"]
	@$(MAKE) -s all BUILD=$(FAULTS_BUILD) BIN=$(FAULTS_BUILD)/bin CFLAGS='-O1 -g -fno-inline -fno-optimize-sibling-calls'
	@$(SUDO) env LABS='$(FAULTS_BUILD)/bin' BUILD='$(FAULTS_BUILD)' FAULTS='$(FAULTS)' SECOND='$(SECOND)' KILLS='$(KILLS)' MINUTES='$(MINUTES)' \
	    SEED='$(SEED)' SITE='$(SITE)' DONE='$(DONE)' JOBS='$(JOBS)' tests/faults/run $(if $(ONLY),$(patsubst %,'%',$(ONLY)))

.PHONY: test-kills
test-kills: #: kill -9 at N random calls of the labs leaves nothing [N=1000] [ONLY="x0* run"] [SEED=N]
	@$(MAKE) test-faults KILLS='$(or $(N),1000)'

# 00_run ends programs from outside at each of their steps, which tells nothing new of their memory.
.PHONY: asan
asan: #: all tests of the labs again, built with AddressSanitizer and UBSan [FILES=]
	$(MAKE) test SANITIZED=1 FILES='$(or $(FILES),$(filter-out tests/00_run.bats,$(LAB_TESTS)))' BUILD=build/asan BIN=build/asan/bin \
	    CFLAGS="-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all"

# Built apart. A test that looks at the time may fail here: the counters are what is wanted. A process that has left
# the root file system, or is killed, takes its own with it.
COVERAGE := build/coverage
comma    := ,
.PHONY: coverage
coverage: #: the lines and branches that the tests reach: a table, build/coverage/report/index.html [FILES=]
	@tests/packages.sh check build container run test coverage
	@# All can write there since the last time.
	@rm -rf $(COVERAGE) && mkdir -p $(COVERAGE)/report $(COVERAGE)/bin
	@gcc -c -DCOUNTERS='"$(abspath $(COVERAGE))"' -o $(COVERAGE)/dump.o tests/coverage.c
	@$(MAKE) -s all test-programs CC=gcc BUILD=$(COVERAGE) BIN=$(COVERAGE)/bin CFLAGS='-O0 -g --coverage' \
	    LDFLAGS='$(addprefix -Wl$(comma)--wrap=,_exit __gcov_execv __gcov_execvp __gcov_execve) $(CURDIR)/$(COVERAGE)/dump.o'
	@# Ordinary users count, too.
	@find $(COVERAGE) -type d -exec chmod a+rwx {} +
	-$(SUDO) env LABS='$(abspath $(COVERAGE)/bin)' UNIT='$(abspath $(COVERAGE)/tests/unit)' \
	    JOBS='$(JOBS)' tests/run $(or $(FILES),$(LAB_TESTS)) >$(COVERAGE)/result
	@tail -n 1 $(COVERAGE)/result
	gcovr --object-directory $(COVERAGE) --filter labs/ --filter common/ --exclude-unreachable-branches --print-summary \
	    --html-details $(COVERAGE)/report/index.html

.PHONY: deps-coverage
deps-coverage: #: install what coverage needs
	tests/packages.sh install build container run test coverage

# RUN is a shell's command line: its dollars are the shell's, not make's.
override RUN := $(value RUN)
test-fresh vm-command: export RUN := $(value RUN)

.PHONY: test-fresh
test-fresh: #: the README's commands in a bare Debian or Ubuntu [RELEASE=trixie] [RUN='COMMAND'] [MIRROR='deb ...']
	$(SUDO) env RELEASE="$$RELEASE" MIRROR="$$MIRROR" RUN="$$RUN" tests/fresh.sh

# The names of Debian. ARCH=arm64 asks for a machine of that architecture.
HOST_ARCH := $(patsubst x86_64,amd64,$(patsubst aarch64,arm64,$(shell uname -m)))

# make ends with 2 whatever its recipe ended with, and with 1 only where -q finds a target out of date.
# So that `make vm RUN=false` has the status of its command, -q is asked, about a file that is there when
# the command has held. (Lines with + are run in spite of -q.)
.PHONY: vm vm-command
vm: vm-command #: a throw-away machine: a shell, or RUN='COMMAND' [CGROUP=v1] [TIMEOUT=SECONDS] [ARCH=arm64]
ifeq ($(MAKECMDGOALS) $(findstring n,$(firstword -$(MAKEFLAGS))),vm )
MAKEFLAGS += --question
.NOTPARALLEL:
HELD := $(BUILD)/.held-$(shell echo $$PPID)
vm: $(HELD)
$(HELD):
	@false
vm-command:
	@+mkdir -p $(BUILD); find $(BUILD) -maxdepth 1 -name '.held-*' -mmin +1 -delete; \
	$(if $(filter-out $(HOST_ARCH),$(ARCH)),,MAKEFLAGS= $(MAKE) --no-print-directory -s all || exit;) \
	tests/vm/vm.sh $(if $(RUN),"$$RUN"); status=$$?; \
	[ $$status -ne 0 ] || touch $(HELD); [ $$status -le 1 ] || exit $$status
else
vm-command:
	@echo "vm: it stands alone; type: make vm RUN='COMMAND'" >&2; exit 2
endif

.PHONY: test-vm
test-vm: all test-programs $(BUILD)/.test-tools #: all tests in that machine [CGROUP=v1] [ARCH=arm64]
	@tests/vm/vm.sh "$(TEST_VARIABLES) tests/run"

.PHONY: test-make-vm
test-make-vm: all $(BUILD)/.test-tools #: the tests of that machine itself: its word, its status, its end
	env $(TEST_VARIABLES) tests/run tests/vm

# The parsers of what the kernel, other programs and other users write, each fed with what libFuzzer makes up. A fuzzer
# that includes a .c file has what is in it; the archives give the rest.
FUZZERS      := $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/*.c)))
FUZZ_SECONDS ?= 60
FUZZ         := $(BUILD)/fuzz
FUZZ_FLAGS   := -g -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
FUZZED       := $(patsubst %,$(FUZZ)/lib%.a,service tools common)

.PHONY: fuzz
fuzz: $(FUZZERS:%=fuzz-%) #: feed the parsers with garbage, 60 s each [FUZZ_SECONDS=N]

.PHONY: $(FUZZERS:%=fuzz-%)
$(FUZZERS:%=fuzz-%): fuzz-%: $(FUZZ)/%
	@mkdir -p $<.corpus
	@$< -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 -artifact_prefix=$<. \
	    $<.corpus $(wildcard tests/fuzz/$*) >$<.log 2>&1 || { tail -n 40 $<.log; exit 1; }
	@sed -n 's/^stat::number_of_executed_units: */$*: nothing found in /p' $<.log

.PHONY: $(FUZZ)/archives
$(FUZZ)/archives:
	@tests/packages.sh check build container fuzz
	@$(MAKE) -s $(FUZZED) BUILD=$(FUZZ) CC=clang CFLAGS='$(FUZZ_FLAGS)'

# Those that the inner make has left as they were are not newer.
$(FUZZED): $(FUZZ)/archives
	@:

$(BUILD)/libservice.a: $(SERVICE)
$(FUZZERS:%=$(FUZZ)/%): $(FUZZ)/%: tests/fuzz/%.c $(wildcard tests/fuzz/*.h) $(FUZZED)
	$(call say,CC,$@)
	$(Q)clang $(LAB_CFLAGS) $(FUZZ_FLAGS) -fsanitize=fuzzer -o $@ $< $(FUZZED) -lcap -lseccomp -lmnl -ldl -lm

.PHONY: bench-cpu
bench-cpu: all #: how exactly labs 05 and 06 meet their quotas and shares, ten runs each
	$(SUDO) env LABS='$(abspath $(BIN))' tests/bench/cpu.sh

# What is measured beside lab 09: a program, and what runs them all.
BENCH := $(BUILD)/tests/bench
$(BENCH)/start $(BENCH)/bare: $(BENCH)/%: tests/bench/%.c Makefile | $(BUILD)/.compiler
	$(place)
	$(call say,CC,$<)
	$(Q)$(CC) $(LAB_CFLAGS) $(CFLAGS) -o $@ $<

.PHONY: bench-start
bench-start: all $(BENCH)/start $(BENCH)/bare #: lab 09's start beside bwrap, runc, crun and unshare
	$(SUDO) env LABS='$(abspath $(BIN))' BENCH='$(abspath $(BENCH))' tests/bench/start.sh

.PHONY: deps-bench
deps-bench: #: install what bench-start compares with
	tests/packages.sh install bench

C_FILES := $(sort $(wildcard labs/*.c labs/*/*.c common/*.c solutions/*.c tests/*.c tests/*/*.c))
H_FILES := $(sort $(wildcard labs/*.h labs/*/*.h common/*.h))
S_FILES := $(sort $(wildcard .ci/run tests/machine tests/*.sh tests/*.bats tests/*.bash tests/*/*.sh tests/*/*.bats \
    tests/vm/init tests/vm/session labs/container/*.sh))

include tests/kit/exercises.mk

.PHONY: lint
lint: LAB_CFLAGS += -I$(BUILD)/labs/container -DLAUNCH='"$(LAUNCH)"'
lint: $(FILTER) $(LAUNCH) #: gcc and clang with -Werror, clang-format, clang-tidy, cppcheck, shellcheck
	@tests/packages.sh check build lint
	clang-format --dry-run -Werror $(C_FILES) $(H_FILES)
	printf '%s\n' $(C_FILES) | xargs -n 10 -P 2 gcc $(LAB_CFLAGS) -Werror -O2 -fsyntax-only
	printf '%s\n' $(C_FILES) | xargs -n 10 -P 2 clang $(LAB_CFLAGS) -Werror -fsyntax-only
	printf '%s\n' $(C_FILES) | xargs -I FILE -P 2 clang-tidy --quiet FILE -- $(LAB_CFLAGS)
	cppcheck -j 2 --quiet --error-exitcode=1 --std=c11 --enable=warning,performance,portability \
	    --inline-suppr --suppress=missingIncludeSystem -D__GNUC__ -D_GNU_SOURCE -D__x86_64__ -DLAUNCH= -Icommon $(C_FILES)
	printf '%s\n' $(S_FILES) | xargs -n 10 -P 2 shellcheck -x

.PHONY: clean
clean: #: remove what make has made
	rm -rf $(BUILD) $(LABS)

.PHONY: help
help: #: this list
	@echo "make TARGET, where TARGET is one of:"
	@sed -n -e 's/^#: /  /p' -e 's/^\([a-z-]*\):.*#: /  \1\t/p' $(filter %akefile %.mk,$(MAKEFILE_LIST)) | expand -t 17

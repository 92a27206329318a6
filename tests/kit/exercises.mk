# The exercises: starters cut out of solutions/, a student's file in WORK built and tried.

# A copy that was handed out has starters and no solutions.
SOLUTIONS := $(sort $(wildcard solutions/*.c))
STARTERS  := $(patsubst solutions/%.c,$(BUILD)/starters/%.c,$(SOLUTIONS))
EXERCISE_NUMBERS := $(foreach checks,$(sort $(wildcard tests/exercises/*.bats)),$(firstword $(subst _, ,$(notdir $(checks)))))
KIT = MAKE="$(MAKE)" CC="$(CC)" SUDO="$(SUDO_IF_THERE)" BUILD="$(BUILD)" WORK=$(call quoted,WORK)
EXERCISE = $(KIT) FORCE="$(FORCE)" ONLY="$(ONLY)" tests/kit/exercise.sh
# A region that is malformed stops the build.
all: $(STARTERS)

$(BUILD)/starters/%.c: solutions/%.c tests/kit/cut.awk
	@mkdir -p $(@D)
	@awk -f tests/kit/cut.awk $< >$@

#: exercise-NN    begin exercise NN: work/NN_name.c with TODOs
#: check-NN       build it and try it: which TODO holds, and what was seen where one does not
#:                [ONLY=N.M: one TODO, with the commands of its checks and all that they print]
#: watch-NN       check it again at each save, until it holds (watch: the first exercise that does not hold)
#: hint-NN        one hint more, each time
#: solution-NN    the answer as a diff, once the checks hold
define EXERCISE_TARGETS
.PHONY: exercise-$(1) check-$(1) watch-$(1) hint-$(1) solution-$(1)
exercise-$(1): $$(STARTERS)
	@$$(EXERCISE) start $(1)
check-$(1): $$(BUILD)/.check-tools
	@tests/packages.sh check exercise-$(1)
	@$$(EXERCISE) check $(1)
watch-$(1): $$(STARTERS) $$(BUILD)/.check-tools
	@tests/packages.sh check exercise-$(1)
	@$$(EXERCISE) watch $(1)
hint-$(1):
	@$$(EXERCISE) hint $(1)
solution-$(1): $$(STARTERS)
	@$$(EXERCISE) solution $(1)
# The number may be written without its zero: make check-5.
$(foreach verb,exercise check watch hint solution,
.PHONY: $(verb)-$(patsubst 0%,%,$(1))
$(verb)-$(patsubst 0%,%,$(1)): $(verb)-$(1))
endef
$(foreach number,$(EXERCISE_NUMBERS),$(eval $(call EXERCISE_TARGETS,$(number))))

.PHONY: watch
watch: $(STARTERS) $(BUILD)/.check-tools
	@$(EXERCISE) watch

.PHONY: progress
progress: #: all exercises, at a glance
	@$(EXERCISE) progress

.PHONY: grade
grade: $(BUILD)/.check-tools #: try all exercises: a table, build/grade.json, build/grade.xml (JUnit)
	@tests/packages.sh check grade $(EXERCISE_NUMBERS:%=exercise-%)
	@$(KIT) tests/kit/grade.sh $(if $(SUBMISSIONS),class $(call quoted,SUBMISSIONS),one)

.PHONY: submit
submit: #: build/submission.tar: your sources, to hand in
	@$(EXERCISE) submit

.PHONY: handout
handout: $(STARTERS) #: build/container-labs.tar.gz: the labs without solutions
	@$(EXERCISE) handout

.PHONY: test-exercises
test-exercises: kit $(BUILD)/.test-tools #: the exercises themselves: gates, sandbox, grading
	@tests/packages.sh check gates grade $(EXERCISE_NUMBERS:%=exercise-%)
	$(BATS) tests/gates

.PHONY: test-mistakes
test-mistakes: kit $(BUILD)/.check-tools #: typical mistakes, planted in the solutions: the first FAIL names the TODO and the cause [ONLY="03 07"] [EVERY=N]
	@tests/packages.sh check $(EXERCISE_NUMBERS:%=exercise-%)
	@$(KIT) ONLY= JOBS="$(JOBS)" EVERY="$(EVERY)" tests/gates/mistakes.sh $(ONLY)

$(BUILD)/sandbox: $(patsubst %,$(BUILD)/tests/kit/%.o,sandbox place readonly) $(BUILD)/libcommon.a
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/guard: $(BUILD)/tests/kit/guard.o $(BUILD)/tests/kit/functions.o $(BUILD)/libcommon.a
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/read_as: $(BUILD)/tests/kit/read_as.o $(BUILD)/libcommon.a
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

-include $(BUILD)/tests/kit/*.d

# What exercise NN is linked with: of all functions those that its header declares, and what these need as
# if it were static.
HEADER  := tests/kit/include/exercise.h
OBJCOPY ?= objcopy
LIBRARIES := $(EXERCISE_NUMBERS:%=$(BUILD)/exercise-%.o)
$(BUILD)/tests/kit/exercise.o: LAB_CFLAGS += -I$(dir $(HEADER))
$(LIBRARIES): $(BUILD)/exercise-%.o: $(BUILD)/tests/kit/exercise.o $(BUILD)/libtools.a $(BUILD)/libcommon.a $(HEADER)
	$(call say,LD,$@)
	$(Q)$(CC) -E -P -DEXERCISE=$(patsubst 0%,%,$*) $(HEADER) | grep -oE '\blab_[a-z_]+ *\(' | tr -d '( ' >$@.names
	$(Q)$(CC) -r -nostdlib -Wl,--gc-sections -o $@.all $$(sed 's/^/-Wl,-u,/' $@.names) $(filter %.o %.a,$^)
	$(Q)$(OBJCOPY) --keep-global-symbols=$@.names $@.all $@

.PHONY: kit
kit: $(BUILD)/sandbox $(BUILD)/guard $(BUILD)/read_as $(LIBRARIES) $(STARTERS)

lint: LAB_CFLAGS += -I$(dir $(HEADER))

# What lint looks at besides.
S_FILES += $(sort $(wildcard tests/*/*.bash))
H_FILES += $(sort $(wildcard tests/kit/*.h tests/kit/include/*.h))

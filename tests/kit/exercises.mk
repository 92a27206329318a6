# The exercises: starters cut out of solutions/, a student's file in WORK built and tried.

WORK ?= work

# A copy that was handed out has starters and no solutions.
SOLUTIONS := $(sort $(wildcard solutions/*.c))
STARTERS  := $(patsubst solutions/%.c,$(BUILD)/starters/%.c,$(SOLUTIONS))
EXERCISE_NUMBERS := $(foreach checks,$(sort $(wildcard tests/exercises/*.bats)),$(firstword $(subst _, ,$(notdir $(checks)))))
EXERCISE = MAKE="$(MAKE)" SUDO="$(SUDO)" BUILD="$(BUILD)" WORK="$(WORK)" FORCE="$(FORCE)" tests/kit/exercise.sh
# Where the lines are missing, variables and functions wait for them.
EXERCISE_CFLAGS := -Wno-unused -Wno-unused-parameter

# A region that is malformed stops the build.
all: $(STARTERS)

$(BUILD)/starters/%.c: solutions/%.c tests/kit/cut.awk
	@mkdir -p $(@D)
	@awk -f tests/kit/cut.awk $< >$@

#: exercise-NN    begin exercise NN: work/NN_name.c with TODOs
#: check-NN       build it and try it: which TODO holds, and what was seen where one does not
#: hint-NN        one hint more, each time
#: solution-NN    the answer as a diff, once the checks hold
define EXERCISE_TARGETS
.PHONY: exercise-$(1) check-$(1) hint-$(1) solution-$(1)
exercise-$(1):
	@$$(EXERCISE) start $(1)
check-$(1): $$(BUILD)/.test-tools
	@tests/packages.sh check exercise-$(1)
	@$$(EXERCISE) check $(1)
hint-$(1):
	@$$(EXERCISE) hint $(1)
solution-$(1):
	@$$(EXERCISE) solution $(1)
endef
$(foreach number,$(EXERCISE_NUMBERS),$(eval $(call EXERCISE_TARGETS,$(number))))

.PHONY: progress
progress: #: all exercises, at a glance
	@$(EXERCISE) progress

.PHONY: grade
grade: $(BUILD)/.test-tools #: try all exercises: a table, build/grade.json, build/grade.xml (JUnit)
	@tests/packages.sh check $(EXERCISE_NUMBERS:%=exercise-%)
	@$(EXERCISE) grade

.PHONY: handout
handout: #: build/container-labs.tar.gz: the labs without solutions
	@$(EXERCISE) handout

.PHONY: test-exercises
test-exercises: $(BUILD)/sandbox $(STARTERS) $(BUILD)/.test-tools #: the exercises themselves: gates, sandbox, grading
	@tests/packages.sh check gates $(EXERCISE_NUMBERS:%=exercise-%)
	$(BATS) tests/gates

$(BUILD)/sandbox: $(BUILD)/tests/kit/sandbox.o $(BUILD)/libcommon.a
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# The student's file, wherever it is. What exercises 07 and 09 are linked with, they alone need.
EXERCISE_LIBS_07 := -lmnl
EXERCISE_LIBS_09 := -lcap -lseccomp
$(WORK)/.state/%: $(WORK)/%.c $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	@$(CC) $(LAB_CFLAGS) $(EXERCISE_CFLAGS) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< \
	    $(BUILD)/libcommon.a $(LDLIBS) $(EXERCISE_LIBS_$(firstword $(subst _, ,$*)))

# What lint looks at besides.
S_FILES += $(sort $(wildcard tests/*/*.bash))

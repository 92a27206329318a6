# Loaded by every test file: the assertions of bats-assert, the programs, the promise that is held
# against every test (the machine is afterwards as it was before), and the comparison of a tool
# with its model.
#
#     load helpers
#     setup() { machine_before; }
#     teardown() { machine_after; }

bats_require_minimum_version 1.5.0
# They ask for their own directory before each of their files, in each test: so it starts no program.
# shellcheck disable=SC2317 # they call it
dirname() { echo "${1%/*}"; }
bats_load_library bats-support
bats_load_library bats-assert
unset -f dirname

# Tests play in a machine of their own. tests/run starts it; for a file that is given to bats itself, bats-exec-file,
# the process that plays the file, begins again in it, as if the file had not been read yet. Its descriptor 3 is what
# was stdout before.
enter_machine() {
    local -a words
    mapfile -d '' -t words <"/proc/$$/cmdline"
    [[ ${words[1]} == */bats-exec-file ]] && [ "$(id -u)" = 0 ] && [ -d "$BATS_FILE_TMPDIR" ] || return 0
    rm -r "$BATS_FILE_TMPDIR" "$BATS_FILE_TMPDIR"-*.source_file
    exec "${BASH_SOURCE[0]%/*}/machine" "${words[@]}" >&3 2>&3 3>&-
}
[ -n "${LAB_MACHINE:-}" ] || enter_machine

LABS=${LABS:-${BATS_TEST_DIRNAME%/tests*}/labs}
export LABS
UNIT=${UNIT:-${BATS_TEST_DIRNAME%/tests*}/build/tests/unit}
# Programs of the distribution that an ordinary user's PATH may not have.
export PATH="$PATH:/usr/sbin:/sbin"
# Leaks do not count in programs that end at once, and the search for them needs a /proc, which a
# chroot may not have.
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1
# In a test nothing may be passed over because "the machine cannot".
export LAB_MUST_RUN=1
# Not the C locale, so that the labs have to see to it themselves that they understand what other programs print.
export LC_ALL=C.UTF-8
# No result depends on the caller's shell: an interactive bash repeats each line that it reads, dash does not.
export SHELL=/bin/sh
# How many times slower than usual things may be: in an emulated machine every limit of time is
# stretched by this factor. The labs read the same variable.
SLOW=${LAB_SLOW:-1}
# What takes so many seconds hangs, also on a crowded machine, and is ended.
TOO_LONG=$((120 * SLOW))

# What a test could leave behind, as lines to compare. It is looked at twice in each test, so by few processes.
# Directories of other runs that live at this moment do not count; /run/mount is mount(8)'s own.
machine_state() (
    trap - DEBUG # of bats, before each command here
    LC_ALL=C GLOBIGNORE=/run/container-labs:/run/mount
    shopt -s nullglob dotglob
    set +e
    {
        ip -o -batch - <<<$'link show\naddr show\nroute show table all\nrule show' | awk '
            FILENAME != "-" { print "mount", substr($0, length($1 " " $2 " ") + 1); next }
            /^[0-9]+: [^ ]+: </ { print "link", $2, $3; next }
            /^[0-9]+: .* inet/ { print "address", $2, $3, $4; next }
            { print /^[0-9]+:/ ? "rule" : "route", $0 }' /proc/self/mountinfo -
        grep -H . /proc/sys/kernel/{hostname,core_pattern} /proc/sys/net/ipv4/{ip_forward,conf/all/forwarding,ping_group_range}
        for path in /sys/fs/cgroup/{,*/}container-labs/*/ /{run,tmp}/container-labs*/* /run/netns/*; do
            path=${path%/}
            lives "${path##*/}" || echo "left $path"
        done
        for path in {/dev/shm,/run,/var/tmp,"$BATS_TEST_TMPDIR"/tmp}/*; do echo "file $path"; done
        processes_left | sed 's/^/process /'
    } | sort
)

# A run lives as long as its directory in /run is locked.
lives() { [ -e "/run/container-labs/$1" ] && ! flock --nonblock "/run/container-labs/$1" true; }

# The processes that carry this test's mark in their environment and are no descendants of the
# test's shell: what was left alone has another parent.
processes_left() {
    local pid
    grep -lzxF "LAB_TEST_MARK=$LAB_TEST_MARK" /proc/[0-9]*/environ 2>/dev/null |
        while IFS=/ read -r _ _ pid _; do
            is_below "$pid" $$ || echo "$pid $(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline")"
        done
}

# Whether process $1 is a descendant of process $2, or no more there.
is_below() {
    local pid=$1 stat
    while [ "$pid" -gt 1 ]; do
        [ "$pid" = "$2" ] && return 0
        read -r stat 2>/dev/null <"/proc/$pid/stat" || return 0
        stat=${stat##*) ? }
        pid=${stat%% *}
    done
    return 1
}

# The path of the program of tests/$1.c, beside $UNIT; where bats plays without make, it is made now.
program_of() {
    local program=${UNIT%/*}/$1
    [ -x "$program" ] || make -s -C "${BATS_TEST_DIRNAME%/tests*}" BUILD="${UNIT%/tests/unit}" "$program" >&2 || return
    echo "$program"
}

machine_before() {
    set +T
    trace_test_file
    export LAB_TEST_MARK="$$-$BATS_SUITE_TEST_NUMBER"
    export TMPDIR="$BATS_TEST_TMPDIR/tmp"
    # Rows that run as an ordinary user must be able to reach what a test has made.
    mkdir "$TMPDIR" && chmod o+x "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" "$BATS_TEST_TMPDIR"
    machine_state >"$BATS_TEST_TMPDIR/before"
    skip_without_root
}

# For its report of a failure, bats notes the line before each command, in functions too (set -T). That takes longer
# than most commands do. A failure in a function of this file or of a library is reported by the line that calls it.
# The functions of bats itself count on it.
trace_test_file() {
    local name
    while read -r _ _ name; do
        [[ $name != bats_* && $OF_LIBRARIES == *" $name"$'\n'* ]] || declare -ft "$name"
    done <<<"$(declare -F)"
}

# Skip the present test where it is played without root and tests/rootless.skips has it.
skip_without_root() {
    [ -n "${LAB_ROOTLESS:-}" ] || return 0
    local file name reason
    while IFS='|' read -r file name reason; do
        # shellcheck disable=SC2053 # patterns
        if [[ ${BATS_TEST_FILENAME##*/} == $file && $BATS_TEST_DESCRIPTION == $name ]]; then skip "without root: $reason"; fi
    done < <(grep -v '^#' "${BASH_SOURCE[0]%/*}/rootless.skips")
}

# The kernel takes network namespaces and dead processes away a moment later: wait for that, but
# not for ever.
machine_after() {
    local end=$((SECONDS + 20 * SLOW))
    while [ "$SECONDS" -lt "$end" ]; do
        machine_state >"$BATS_TEST_TMPDIR/after"
        cmp -s "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/after" && return 0
        sleep 0.1
    done
    echo "The machine is not as it was (looked for $((20 * SLOW)) seconds):"
    diff "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/after"
    return 1
}

# compare_rows MODEL OURS < ROWS: run the installed tool MODEL and our program OURS with the
# arguments of each row (shell words, variables and quotes included; blank lines and # lines are
# skipped) and compare: the same exit status, the same stdout, stderr empty in both or in neither.
# A row may begin with "user:" (run as an ordinary user) or "env NAME=VALUE... --" before its
# arguments. `fresh`, if the test file defines it, is called before every single run. Rows that tests/models lists
# for the installed release are passed over.
# Fails naming every row that differs; prints the number of rows to fd 3 for the count in a report.
compare_rows() {
    local model=$1 ours=$2 row rows=0 different=0 passed_over=0 words
    local -a differences
    read_differences "$model"
    while read -r row; do
        case $row in '' | '#'*) continue ;; esac
        run_row "$model" "$BATS_TEST_TMPDIR/model" "$row"
        IFS= read -r -d '' words <"$BATS_TEST_TMPDIR/model.err" || true
        if is_otherwise "$row" "$words"; then
            passed_over=$((passed_over + 1))
            continue
        fi
        rows=$((rows + 1))
        run_row "$ours" "$BATS_TEST_TMPDIR/ours" "$row"
        if ! same_row; then
            different=$((different + 1))
            echo "row: $row"
            (cd "$BATS_TEST_TMPDIR" && head -n 5 model.status ours.status model.out ours.out \
                model.err ours.err)
        fi
    done
    echo "$rows rows, $different different, $passed_over passed over"
    [ "$different" -eq 0 ] && [ "$rows" -ge "${MINIMUM_ROWS:-40}" ]
}

# Set the array of what the installed release of MODEL does otherwise, as tests/models has it.
read_differences() {
    local name since what release
    differences=()
    release=$("$1" --version | sed -nE '1s/.* ([0-9]+(\.[0-9]+)+).*/\1/p')
    [ -n "$release" ] || fail "$1 tells no version"
    while read -r name since what; do
        if [ "$name" = "$1" ] && printf '%s\n' "$since" "$release" | sort -CV; then differences+=("$what"); fi
    done <"${BASH_SOURCE[0]%/*}/models"
}

# Whether ROW, for which the model has STDERR, is among them.
is_otherwise() {
    local row=$1 stderr=$2 what
    for what in "${differences[@]}"; do
        # shellcheck disable=SC2053 # it is a pattern
        case $what in
        'row '*) if [[ $row == ${what#row } ]]; then return 0; fi ;;
        'says '*) if [[ $stderr == *"${what#says }"* ]]; then return 0; fi ;;
        *) fail "tests/models: '$what' is neither row nor says" ;;
        esac
    done
    return 1
}

run_row() {
    local program=$1 to=$2 row=$3 status=0
    local -a before=(timeout -k 1 "$TOO_LONG")
    if [[ $row == user:* ]]; then
        before+=(setpriv --reuid=65534 --regid=65534 --clear-groups)
        row=${row#user:}
    fi
    if declare -F fresh >/dev/null; then fresh; fi
    eval "set -- $row"
    if [ "${1:-}" = env ]; then
        while [ "$1" != -- ]; do
            before+=("$1")
            shift
        done
        shift
    fi
    "${before[@]}" "$program" "$@" >"$to.out" 2>"$to.err" </dev/null 3>&- || status=$?
    echo "$status" >"$to.status"
}

same_row() {
    cd "$BATS_TEST_TMPDIR" || return
    local model_spoke=no ours_spoke=no model_status ours_status
    [ -s model.err ] && model_spoke=yes
    [ -s ours.err ] && ours_spoke=yes
    read -r model_status <model.status && read -r ours_status <ours.status
    [ "$model_status" = "$ours_status" ] && [ "$model_spoke" = "$ours_spoke" ] &&
        { [ ! -s model.out ] && [ ! -s ours.out ] || cmp -s model.out ours.out; }
}

# Whether the controllers of this machine are on cgroup v2. What needs that has the tag v2, by which tests/run plays all
# such tests in one virtual machine, and for bats alone it begins with:
#
#     has_v2 || { play_in_vm; return; }
has_v2() { grep -qw cpu /sys/fs/cgroup/cgroup.controllers 2>/dev/null; }

# Play the present test, this one alone, in the virtual machine that has cgroup v2. It has to be there: in a machine of
# the tests nothing can be downloaded.
play_in_vm() {
    local repository=${BATS_TEST_FILENAME%/tests/*} command
    [ -z "${LAB_VM:-}" ] || skip "the machine of make test-vm CGROUP=v1 is not the one with v2"
    [ -e "$repository/build/vm/$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')/initramfs" ] ||
        skip "no virtual machine is ready here; type: make deps-vm && make vm RUN=true"
    printf -v command '%q ' env LABS="$LABS" LAB_MACHINE=vm bats --filter "^$BATS_TEST_DESCRIPTION\$" "$BATS_TEST_FILENAME"
    run env TIMEOUT=600 "$repository/tests/vm/vm.sh" "cd $(printf %q "$repository") && $command" 3>&-
    assert_success && assert_line --partial "ok 1 $BATS_TEST_DESCRIPTION" && refute_line --partial '# skip'
}

# play LAB [OPTION...]: play an experiment within a limit of time; for `run`.
play() {
    local lab=$1
    shift
    timeout -k 1 "$TOO_LONG" "$LABS/$lab" "$@" 3>&-
}

# No experiment may hold back a failed check: assert on status, summary and the count of checks.
assert_experiment_held() {
    assert_success
    refute_line --regexp '^  FAIL'
    assert_line --regexp '^\[[0-9]+\] [1-9][0-9]* checks held, 0 failed$'
}

# holds LAB: its experiment holds.
holds() {
    run play "$1"
    assert_experiment_held
}

# at_once FUNCTION WORD...: call FUNCTION with each WORD at the same time, in an emulated machine one after the other.
# What one that fails has said is shown.
at_once() {
    local function=$1 word failed=0
    local -A started=()
    shift
    for word in "$@"; do
        ("$function" "$word") >"$BATS_TEST_TMPDIR/once.$word" 2>&1 3>&- &
        started[$word]=$!
        if [ "$SLOW" -gt 1 ]; then wait "$!" || true; fi
    done
    for word in "$@"; do
        wait "${started[$word]}" || { echo "$word:"; cat "$BATS_TEST_TMPDIR/once.$word"; failed=1; }
    done
    [ "$failed" -eq 0 ]
}

# What stands before an experiment that is started so: the words that make it that of another user.
AS=()

# start_at_step LAB STEP [NAME]: start an experiment with --step and let it go on to the end of STEP. Its supervisor is
# $supervisor; its words are in the file NAMEout, and what it reads is written to NAMEkeys.
start_at_step() {
    local files=$BATS_TEST_TMPDIR/${3:-}
    rm -f "${files}keys"
    mkfifo "${files}keys"
    : >"${files}out" # what an earlier one has said is not this one's
    # A shell lets its background commands ignore SIGINT; a terminal's foreground group does not.
    env --default-signal=INT,QUIT setsid "${AS[@]}" "$LABS/$1" --step <>"${files}keys" >"${files}out" 2>&1 8>&- 3>&- &
    supervisor=$!
    # It waits before each step, and before the sum.
    yes '' | head -n "$2" >"${files}keys"
}

# Wait until the one that was started so waits at the end of STEP. Its own process is $experiment. It is looked at often
# and by no other process, because many wait at the same time.
wait_for_step() {
    local files=$BATS_TEST_TMPDIR/${3:-} never attempt
    local -a said
    local asked
    exec {never}<> <(:)
    for ((attempt = 0; attempt < 3000 * SLOW; attempt++)); do
        mapfile -d '' -t said <"${files}out"
        asked=${said[0]//-- Enter/}
        [ $((${#said[0]} - ${#asked})) -gt $((8 * $2)) ] && break
        read -r -t 0.02 -u "$never" || true
    done
    exec {never}<&-
    # The first of its children: orphans of the experiment become its children too. pgrep -o would compare ticks.
    experiment=$(cat "/proc/$supervisor/task/$supervisor/children" 2>/dev/null) ||
        fail "$1 has ended before step $2: $(tail -n 5 "${files}out" | tr -d '\0')"
    experiment=${experiment%% *}
    [ -n "$experiment" ] && [ "$attempt" -lt $((3000 * SLOW)) ] || fail "$1 does not wait after step $2"
}

# Both, with descriptor 8 for what it reads.
start_and_stop_after_step() {
    start_at_step "$@"
    exec 8>"$BATS_TEST_TMPDIR/keys"
    wait_for_step "$@"
}

# eventually COMMAND...: whether it succeeds within PATIENCE seconds.
PATIENCE=20
eventually() {
    for _ in $(seq $((50 * PATIENCE * SLOW))); do
        "$@" && return 0
        sleep 0.02
    done
    return 1
}

# wait_until COMMAND...: it must succeed within half a minute.
wait_until() { PATIENCE=30 eventually "$@" || fail "it did not become true: $*"; }

wait_until_gone() { eventually [ ! -e "/proc/$1" ] || fail "process $1 is still there"; }

# Whether this is the PID namespace that the machine began with; linux/proc_ns.h. Elsewhere the kernel tells
# nothing of processes outside, or that are no more.
in_first_pid_namespace() { [ "$(readlink /proc/self/ns/pid)" = "pid:[$((0xEFFFFFFC))]" ]; }

# What follows the PID in the names of runs: nothing, or the number of the PID namespace.
# It is found out once for all tests of a machine.
if [ -z "${PID_SUFFIX+set}" ]; then
    PID_SUFFIX=$(in_first_pid_namespace || readlink /proc/self/ns/pid | sed -E 's/pid:\[(.*)\]/.\1/')
    export PID_SUFFIX
fi

# What is said of a command that PATH has not, and the package $2 has.
missing_words() {
    if [ -x "/usr/sbin/$1" ]; then
        echo "/usr/sbin/$1 is there, and PATH has no /usr/sbin; use sudo, or su with a minus sign: then PATH has it"
    else
        echo "no $1 is installed; install the package $2"
    fi
}

# A PATH with everything that the machine has but the commands $@. It is links: never write to a file in it.
path_without() {
    local directory file
    rm -rf "$BATS_TEST_TMPDIR/path" && mkdir "$BATS_TEST_TMPDIR/path"
    for directory in /usr/bin /usr/sbin /bin /sbin; do
        [ -L "$directory" ] || ln -sf "$directory"/* "$BATS_TEST_TMPDIR/path/"
    done
    for file in "$@"; do rm -f "$BATS_TEST_TMPDIR/path/$file"; done
    echo "$BATS_TEST_TMPDIR/path"
}

OF_LIBRARIES=$(declare -F)$'\n'

# Loaded by the checks of the exercises. A check is about one TODO, whose number begins its name. It
# plays a script in a sandbox of its own and looks at what came out:
#
#     load helpers
#     @test "5.1 the quota is what was asked for" {
#         play 'it 50 cat quota'
#         see "the quota that was set" '^50000$'
#     }
#
# PROGRAM (the student's, built) and SANDBOX come from tests/kit/exercise.sh. What a failed check
# prints is for the student: plain words, what is expected, what was seen.

bats_require_minimum_version 1.5.0

# After a program that did not end, the checks that are left would each have to wait for it as well.
# The first that waits in vain makes the file $NO_END; the others are put off: exercise.sh tries them
# all at once. (Passed over by skip, which exercise.sh knows and takes for nothing else.)
setup() { if [ -e "$NO_END" ]; then skip "put off"; fi; }

# Goes before every script: `it` is the student's program.
PRELUDE='
it() {
    local status=0
    "$PROGRAM" "$@" || status=$?
    if [ $status -gt 128 ] && [ $status -le 192 ]; then
        echo "it was killed by SIG$(kill -l $((status - 128)))" >&2
    fi
    return $status
}
'

# play [--user] SCRIPT: play it, as root or as an ordinary user, for some seconds at most. $output and
# $status are its own. Fails where it came to a TODO, did what is not allowed, or had to be stopped.
play() {
    local -a options=()
    if [ "$1" = --user ]; then
        options=(--user)
        shift
    fi
    observe "$SANDBOX" "${options[@]}" --program="$PROGRAM" bash -c "$PRELUDE$1"
}

# layers PREPARE SCRIPT ARGUMENT...: bash plays PREPARE in an empty directory, outside of the sandbox,
# because only the machine's root makes trusted.* attributes and devices; $SCRIPT is for its use. Then
# the program is run with ARGUMENTs to read what is there.
layers() {
    local place=$BATS_TEST_TMPDIR/layers prepare=$1
    export SCRIPT=$2
    shift 2
    mkdir "$place"
    # shellcheck disable=SC2016 # another bash expands it
    observe unshare --mount --propagation private bash -c '
        mount -t tmpfs none "$1" && cd "$1" && eval "$2" && shift 2 && exec "$@"' - "$place" "$prepare" \
        "$SANDBOX" --layers="$place" --file="$PROGRAM" "/run/exercise/${PROGRAM##*/}" "$@"
    rmdir "$place"
}

# Run a command that ends in the sandbox.
observe() {
    local refused
    # Not by `run`, which takes status 127 for its own affair.
    status=0
    output=$("$@" 2>&1 3>&-) || status=$?
    if grep -m 1 -E '^TODO [0-9.]+ is not written yet$' <<<"$output"; then return 1; fi
    if refused=$(grep -a -m 1 '^not allowed: ' <<<"$output"); then
        printable <<<"$refused"
        return 1
    fi
    if [ "$status" -eq 124 ]; then
        beginning 5
        notes
        if grep -q '^stopped: it was still running' <<<"$output"; then : >"$NO_END"; fi
        return 1
    fi
}

# What a program has printed goes to a terminal.
printable() { LC_ALL=C tr -c '\n\t -~' '?'; }

# What the sandbox has to say.
notes() { grep -aE '^(stopped|note): ' <<<"$output" | printable || true; }

# The first COUNT lines of the output but for what the sandbox says, and of each not more than can be read.
beginning() {
    grep -avE '^(stopped|note): ' <<<"${output:-(nothing)}" | printable |
        awk -v count="$1" 'NR <= count { print "    " substr($0, 1, 200) } END { if (NR > count) print "    ..." }'
}

complain() {
    echo "expected: $1"
    echo "seen:"
    beginning 20
    notes
    echo "    (status $status)"
    return 1
}

# see WHAT PATTERN: some line of the output matches.
see() { grep -qE -- "$2" <<<"$output" || complain "$1"; }

# see_not WHAT PATTERN: no line does.
see_not() { if grep -qE -- "$2" <<<"$output"; then complain "$1"; fi; }

# ends_with STATUS: how the script, that is its last command, ended.
ends_with() { [ "$status" -eq "$1" ] || complain "it ends with status $1"; }

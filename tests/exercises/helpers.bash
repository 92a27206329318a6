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

# play [--user] SCRIPT: play it, as root or as an ordinary user, for 15 seconds at most. $output and
# $status are its own. Fails where it came to a TODO or had to be stopped.
play() {
    local -a options=()
    if [ "$1" = --user ]; then
        options=(--user)
        shift
    fi
    # Not by `run`, which takes status 127 for its own affair.
    status=0
    output=$("$SANDBOX" "${options[@]}" "$PROGRAM" bash -c "$PRELUDE$1" 2>&1 3>&-) || status=$?
    if grep -m 1 -E '^TODO [0-9.]+ is not written yet$' <<<"$output"; then return 1; fi
    if [ "$status" -eq 124 ]; then
        echo "$output" | head -n 5
        echo "..."
        grep -E '^(stopped|note): ' <<<"$output"
        return 1
    fi
}

complain() {
    echo "expected: $1"
    echo "seen:"
    echo "${output:-(nothing)}" | head -n 20 | cut -c 1-200 | sed 's/^/    /'
    echo "    (status $status)"
    return 1
}

# see WHAT PATTERN: some line of the output matches.
see() { grep -qE -- "$2" <<<"$output" || complain "$1"; }

# see_not WHAT PATTERN: no line does.
see_not() { if grep -qE -- "$2" <<<"$output"; then complain "$1"; fi; }

# ends_with STATUS: how the script, that is its last command, ended.
ends_with() { [ "$status" -eq "$1" ] || complain "it ends with status $1"; }

# Loaded by the checks of the exercises. A check is about one TODO, whose number begins its name. It
# plays a script in a sandbox of its own and looks at what came out:
#
#     load helpers
#     @test "5.1 the quota is what was asked for" {
#         play 'it 50 cat quota'
#         see "the quota that was set" '^50000$'
#     }
#
# PROGRAM (the student's, built), SANDBOX and the rest of the variables below come from tests/kit/kit.bash.
# What a failed check prints is for the student: plain words, what is expected, what was seen.
#
# The first failure that a student reads is to be the one to look at. So a check that fails because of another
# TODO is not tried:
#   - where the program has ended in the function of that TODO (FUNCTIONS: function=N.M ...; but where
#     N.M:N.K is in SHOWN_BY, a program that ends in N.K shows that N.M is wrong)
#   - where the command was not run and nothing has failed: that TODO (WAITS) has not waited for it
#   - where that TODO has failed before ($FAILED/N.M) and the checks list it in NEEDS: N.M:N.K,N.L ...

bats_require_minimum_version 1.5.0

# After a program that did not end, the checks that are left would each have to wait for it as well.
# The first that waits in vain makes the file $NO_END; the others are put off: exercise.sh tries them
# all at once. (Passed over by skip, which exercise.sh knows and takes for nothing else.)
setup() {
    # bats notes the line of each command, for its own report of a failure. No student reads that one, and it takes a
    # third of the time.
    trap - DEBUG
    todo=${BATS_TEST_DESCRIPTION%% *}
    if [ -e "$NO_END" ]; then skip "put off"; fi
    ended=$BATS_TEST_TMPDIR/ended # made by a sandbox that has not failed
}

# Goes before every script. `it` is the student's program, which prints what it likes. What a check relies on comes
# from the script: `fact [NAME]` marks lines as the script's own (by a number that only this shell has), and
# `hold COMMAND ARGUMENT...` starts the program in the background and waits for the command at the end of its
# arguments, whose PID is $pid then: what the kernel tells of that process no program makes up. `nonce` writes N for the
# number $N of this play, and only for that.
PRELUDE='
KEY=$(od -An -N8 -tu8 /dev/urandom) KEY=${KEY##* }
echo "$KEY"
N=$((10000 + RANDOM))
nonce() { sed "s/N/n/g; s/$N/N/"; }
fact() {
    local line
    while IFS= read -r line; do printf "%s %s\n" "$KEY" "${1:+$1 }$line"; done
}
it() {
    local status=0
    "$PROGRAM" "$@" || status=$?
    if [ $status -gt 128 ] && [ $status -le 192 ]; then
        echo "it was killed by SIG$(kill -l $((status - 128)))" >&2
    fi
    return $status
}
hold() {
    local command=$1
    shift
    it "$@" &
    holder=$!
    until pid=$(pgrep -n -x "$command") || ! kill -0 $holder 2>/dev/null; do sleep 0.02; done
    if [ -z "$pid" ]; then
        echo "$command was not run" | fact
        pid=none
    fi
}
# A process that the program may look at. The program lacks a capability, and this shell is out of its reach.
target() {
    if [ "$(id -u)" = 0 ]; then setpriv --bounding-set=-sys_ptrace "$@"; else setpriv --inh-caps=-all --ambient-caps=-all "$@"; fi
}
# Here the script of a check begins.
'

# needs WORD: the check takes what a sandbox without root may not have: root (of the machine), ids (further ones) or
# groups (control groups). LACKS is what it has not.
needs() {
    local words
    words=$(sed -n "s/^$1 //p" <<<"${LACKS:-}")
    if [ -n "$words" ]; then skip "not tried: without root, $words"; fi
}

# play [--user] SCRIPT: play it, as root or as an ordinary user, for some seconds at most. $output and
# $status are its own. Fails where it came to a TODO, did what is not allowed, or had to be stopped.
play() {
    local -a options=()
    if [ "$1" = --user ]; then
        options=(--user)
        shift
    fi
    observe "$SANDBOX" --ended="$ended" "${options[@]}" --program="$PROGRAM" bash -c "$PRELUDE$1"
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
        "$SANDBOX" --ended="$ended" --layers="$place" --file="$PROGRAM" "/run/exercise/${PROGRAM##*/}" "$@"
    rmdir "$place"
    if [ "$status" -gt 128 ]; then output+=$'\n'"it was killed by SIG$(kill -l $((status - 128)))"; fi
}

# matches PATTERN TEXT: the first line of TEXT that matches, byte by byte, is left in $line. The shell does it
# itself, because a check looks several times and sixty students have sixty-five checks each.
matches() {
    local LC_ALL=C
    while IFS= read -r line; do
        if [[ $line =~ $1 ]]; then return 0; fi
    done <<<"$2"
    return 1
}

# Run a command that ends in the sandbox.
observe() {
    local line key said
    # Not by `run`, which takes status 127 for its own affair.
    status=0
    said=$("$@" 2>&1 3>&-) || status=$?
    # That says nothing of the program. report.awk knows the words.
    if [ ! -e "$ended" ]; then
        line=$(grep -aE '^[a-z-]+: ' <<<"$said" | tail -n 1 | head -c 200 | printable) || true
        skip "not tried: the sandbox failed: ${line:-it ended with status $status}"
    fi
    ended+=+ # for the next one
    facts="" output=$said key=${said%%$'\n'*}
    if [[ $key =~ ^[0-9]+$ ]]; then
        output="" said=${said#"$key"}
        while IFS= read -r line; do
            # What another process prints at the same time may stand before it.
            if [[ $line == *"$key "* ]]; then
                facts+=${line#*"$key "}$'\n'
                line=${line/"$key "/}
            fi
            output+=$line$'\n'
        done <<<"${said#$'\n'}"
        facts=${facts%$'\n'} output=${output%$'\n'}
    fi
    show "${*: -1}"
    if matches '^TODO [0-9.]+ is not written yet$' "$output"; then
        if [ "${line:5:3}" != "$todo" ]; then not_tried "${line:5:3}" "is not written yet"; fi
        fails "$line"
    elif matches '^not allowed: ' "$output"; then
        fails "$line"
    elif [ "$status" -eq 124 ]; then
        if matches '^stopped: it was still running' "$output"; then : >"$NO_END"; fi
        fails "$(beginning 5)" "$(notes)"
    fi
}

# For make check-NN ONLY=N.M: the script, and all that was printed.
show() {
    if [ -z "${SHOW:-}" ]; then return; fi
    {
        echo "$BATS_TEST_DESCRIPTION"
        # Without the prelude, and the spaces that indent it in the checks.
        sed -E -e '1,/^# Here the script of a check begins\.$/d' -e 's/^ {8,20}//' -e 's/^/    $ /' <<<"$1"
        beginning 1000 | sed 's/^    /    | /'
        notes | sed 's/^/    | /'
    } >>"$SHOW"
}

# Another TODO than that of the check is to blame.
not_tried() {
    : >"$FAILED/$1"
    skip "not tried: TODO $1 ${2:-fails}"
}

# The check fails, unless another TODO is to blame. LINEs are for the student.
fails() {
    local need needs
    needs=" ${NEEDS:-} "
    if [[ $needs == *" $todo:"* ]]; then
        needs=${needs##*" $todo:"}
        for need in $(tr , ' ' <<<"${needs%% *}"); do
            if [ -e "$FAILED/$need" ]; then not_tried "$need"; fi
        done
    fi
    : >"$FAILED/$todo"
    printf '%s\n' "$@" | sed '/^$/d' | printable
    echo "again: make check-0${todo%%.*} ONLY=$todo"
    return 1
}

# The TODO in whose function the program has ended badly, if any. The program itself may have printed such a line: the
# shell is not to take its words for patterns of file names.
ended_in() {
    grep -a '^note: .* in ' <<<"$output" | sed 's/.* in //' | tr -d , | LC_ALL=C awk -v functions="$FUNCTIONS" '
        BEGIN { for (n = split(functions, pairs); ++i <= n; todo[pair[1]] = pair[2]) split(pairs[i], pair, "=") }
        { for (i = 1; i <= NF; i++) if ($i in todo) { print todo[$i]; exit } }'
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

# complain WHAT: that was expected, and not seen.
complain() {
    local other
    other=$(ended_in)
    if [ -z "$other" ] && matches '^[^ ]+ was not run$' "$facts" && ! matches '^note: ' "$output"; then
        other=${WAITS:-}
    fi
    if [ -n "$other" ] && [ "$other" != "$todo" ] && [[ " ${SHOWN_BY:-} " != *" $todo:$other "* ]]; then
        not_tried "$other"
    fi
    fails "expected: $1" "seen:" "$(beginning 20)" "$(notes)" \
        "$([ "$status" -eq 0 ] || echo "    (status $status)")"
}

# see WHAT PATTERN: some line of the output matches.
see() { matches "$2" "$output" || complain "$1"; }

# see_not WHAT PATTERN: no line does.
see_not() { if matches "$2" "$output"; then complain "$1"; fi; }

# see_fact, see_no_fact: the same of the script's own lines.
see_fact() { matches "$2" "$facts" || complain "$1"; }
see_no_fact() { if matches "$2" "$facts"; then complain "$1"; fi; }

# ends_with STATUS: how the script, that is its last command, ended.
ends_with() { [ "$status" -eq "$1" ] || complain "it ends with status $1"; }

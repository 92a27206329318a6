#!/usr/bin/env bats
# tests/run: one result of many files, whatever becomes of them.

load helpers

setup() {
    machine_before
    RUN=${BATS_TEST_FILENAME%.bats}
    mkdir "$TMPDIR/files"
    cd "$TMPDIR/files" || return
}
teardown() {
    rm -r "$TMPDIR/files"
    machine_after
}

# play FILE...: as from a shell, not from a test: bats has marked its own.
play() (
    local -a marks=("${!BATS_@}") # some are read-only here
    PATH=$(tr ':' '\n' <<<"$PATH" | grep -v 'libexec/bats-core' | paste -sd :)
    env "${marks[@]/#/--unset=}" timeout -k 1 "$TOO_LONG" "$RUN" "$@" 3>&-
)

# Make a test file of stdin. What stands for itself in this file, too, is written in capitals.
file() { sed -e 's/^TEST/@test/' -e 's/^ALONE$/# bats test_tags=alone/' -e 's/^MACHINES/# machines:/' -e 's/^MANY$/# bats test_tags=many/' >"$1.bats"; }

@test "run: results are numbered through, and failures, skips and words are kept" {
    file first <<'BATS'
TEST "a test (with) [odd] characters: \$HOME a|b.* 'c'" { true; }
TEST "one that is skipped" { skip "a reason"; }
BATS
    file second <<'BATS'
TEST "one that fails" { echo "a word"; false; }
BATS
    run -1 play first.bats second.bats
    assert_line --regexp "^ok [0-9] a test \(with\) \[odd\] characters: .*HOME a\|b\.\* 'c'$"
    assert_line --regexp '^ok [0-9] one that is skipped # skip a reason$'
    assert_line --regexp '^not ok [0-9] one that fails$'
    assert_line '# a word'
    assert_line '1..3'
    assert_line --regexp '^# 3 tests, 1 failed, 1 skipped, [0-9]+ s$'
    assert_equal "$(sed -nE 's/^(not )?ok ([0-9]+) .*/\2/p' <<<"$output" | paste -sd ' ')" '1 2 3'
    run -0 play first.bats
    assert_line '1..2'
}

@test "run: no tests, an end before the tests, an error beside them: each is a failure" {
    file none </dev/null
    run -1 play none.bats
    assert_line 'not ok 1 none.bats has no tests'
    file dies <<'BATS'
TEST "first" { true; }
TEST "second" { kill -KILL $PPID; }
TEST "third" { true; }
BATS
    run -1 play dies.bats
    assert_line 'ok 1 first'
    assert_line --regexp '^not ok [23] dies.bats: [12] results of 3 tests, status [0-9]+$'
    file breaks <<'BATS'
teardown_file() { false; }
TEST "first" { true; }
BATS
    run -1 play breaks.bats
    assert_line --regexp '^not ok '
    file group <<'BATS'
TEST "leaves a group" { mkdir "$(findmnt -nro TARGET -t cgroup,cgroup2 | head -n 1)/left"; }
BATS
    run -1 play group.bats
    assert_line 'ok 1 leaves a group'
    assert_line --partial '# machine: this was left in a cgroup: '
    assert_line 'not ok 2 group.bats: status 1'
    run -1 play no-such-file.bats
    assert_output 'run: there is no no-such-file.bats'
    mkdir empty
    run -1 play empty
    assert_output 'run: no test file in empty'
    run -1 env JOBS=none "$RUN" none.bats
    assert_output "run: JOBS is 'none', and has to be a number"
}

@test "run: files play at the same time, tests that are alone after them" {
    # Each waits for the other, which is seen in the directory that is not the machine's own.
    file left <<'BATS'
TEST "left" { touch here-left; until [ -e here-right ]; do sleep 0.05; done; sleep 0.5; touch left-ended; }
ALONE
TEST "alone" { [ -e left-ended ] && [ -e right-ended ]; }
BATS
    file right <<'BATS'
TEST "right" { touch here-right; until [ -e here-left ]; do sleep 0.05; done; touch right-ended; }
BATS
    JOBS=2 run -0 play left.bats right.bats
    assert_line 'ok 3 alone'
    rm -f ./*-ended here-*
    touch here-right here-left
    JOBS=1 run -0 play left.bats right.bats
}

@test "run: the tests of a file can be dealt out to machines" {
    file dealt <<'BATS'
MACHINES 2
TEST "the first (1)" { hostname one; [ -z "$(ls /tmp/seen-*)" ]; touch /tmp/seen-1; }
TEST "the second (2)" { touch /tmp/seen-2; }
TEST "the third (3)" { [ "$(ls /tmp/seen-*)" = /tmp/seen-1 ]; }
BATS
    run -0 play dealt.bats
    assert_line '1..3'
    assert_line --regexp '^ok [123] the second \(2\)$'
}

@test "run: under sanitizers, what is played many times is left out" {
    file many <<'BATS'
TEST "once" { true; }
MANY
TEST "many times" { true; }
BATS
    SANITIZED=1 run -0 play many.bats
    assert_line 'ok 1 once'
    assert_line '1..1'
    SANITIZED='' run -0 play many.bats
    assert_line '1..2'
}

@test "run: killed with kill -9, it leaves nothing running" {
    file long <<'BATS'
TEST "long" { touch here; sleep 98765 3>&-; }
BATS
    play long.bats >/dev/null &
    wait_until [ -e here ]
    kill -KILL "$(pgrep -f "python3 $RUN long.bats")"
    wait $! || true
    # Its machines end by themselves, and clear up.
    wait_until is_over "machine bats --tap long.bats"
    run -1 pgrep -x -f 'sleep 98765'
}

is_over() { ! pgrep -f "$1" >/dev/null; }

#!/usr/bin/env bats
# Every exercise passes the four gates of gate.sh. Its table goes to the report.

load ../helpers

setup() { machine_before; }
teardown() { machine_after; }

REPO=${BATS_TEST_FILENAME%/tests/*}

gate() {
    local status=0
    "$REPO/tests/gates/gate.sh" "$1" >"$BATS_TEST_TMPDIR/report" 2>&1 3>&- || status=$?
    sed 's/^/# /' "$BATS_TEST_TMPDIR/report" >&3
    return "$status"
}

@test "gates: exercise 01" { gate 01; }
@test "gates: exercise 02" { gate 02; }
@test "gates: exercise 03" { gate 03; }
@test "gates: exercise 04" { gate 04; }
@test "gates: exercise 05" { gate 05; }
@test "gates: exercise 06" { gate 06; }
@test "gates: exercise 07" { gate 07; }
@test "gates: exercise 08" { gate 08; }
@test "gates: exercise 09" { gate 09; }

@test "gates: no exercise is without a gate" {
    local solution
    for solution in "$REPO"/solutions/*.c; do
        solution=$(basename "$solution")
        grep -q "gate ${solution%%_*};" "$BATS_TEST_FILENAME" || fail "$solution has no gate"
    done
}

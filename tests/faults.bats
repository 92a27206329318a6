#!/usr/bin/env bats
# tests/faults/run itself: each class of result, by a program that has an error of that class. And faults that it has
# found, of each kind one.

load helpers

setup() { machine_before; }
teardown() { machine_after; }

# run_faults SCENARIO...: let the one openat of tests/faults/faulty.c fail.
run_faults() {
    local directory=$BATS_TEST_DIRNAME/faults how
    export LABS=$BATS_TEST_TMPDIR/bin BUILD=$BATS_TEST_TMPDIR SCENARIOS=$BATS_TEST_TMPDIR/scenarios
    mkdir "$LABS"
    cc -std=gnu11 -D_GNU_SOURCE -O1 -fno-inline -fno-optimize-sibling-calls -o "$LABS/faulty" "$directory/faulty.c"
    cc -std=gnu11 -D_GNU_SOURCE -O1 -o "$BUILD/inject" "$directory/inject.c"
    for how in "$@"; do printf '[%s]\ncommand = $LABS/faulty %s\nnext = true\n' "$how" "$how"; done >"$SCENARIOS"
    # A command that fails leaves nothing for the last line to remove.
    printf '[removed]\ncommand = $LABS/faulty left\nnext = true\nafter = rm -f /run/faulty.left\n' >>"$SCENARIOS"
    FAULTS=all run -1 timeout $((300 * SLOW)) "$directory/run"
    echo "$output"
}

class_of() {
    jq -rs --arg name "$1" '[.[] | select(.scenario == $name and (.words | startswith("openat"))).class] | unique[]' \
        "$BUILD/results"
}

@test "faults: an error in silence, a wrong success, a hang, a crash and what is left are told apart" {
    local how
    run_faults named told unnamed fallback lie hang crash left
    for how in unnamed fallback lie hang crash left; do assert_equal "$how $(class_of $how)" "$how $how"; done
    assert_equal "$(class_of removed)" left
    assert_equal "$(class_of named)$(class_of told)" ''
    assert_line --regexp '^(not )?ok 2 told: .*, 2 told'
    assert_line --regexp '^not ok 3 unnamed: '
    assert_line --regexp '^# unnamed: openat EMFILE look\+[0-9a-f]+<main\+[0-9a-f]+, call 1: status 1'
}

# with_fault CALL ERRNO PATH COMMAND...: each CALL that names PATH fails.
with_fault() {
    timeout "$TOO_LONG" strace -f -qq -o /dev/null -P "$3" -e "trace=$1" -e "inject=$1:error=$2" "${@:4}"
}

@test "faults: what a tool cannot look at is not taken for what is not there" {
    local busybox ip
    busybox=$(realpath "$(command -v busybox)")
    ip=$(command -v ip)
    run -1 with_fault execve ENOMEM "$busybox" "$LABS/02_rootfs" --busybox "$busybox" "$TMPDIR/root"
    assert_output --partial 'ENOMEM (Cannot allocate memory)'
    assert [ ! -e "$TMPDIR/root" ]
    run -125 strace -qq -o /dev/null -e inject=statfs:error=EIO "$LABS/05_cgroup_cpu" --cpus .5 true
    assert_output --partial 'EIO (Input/output error)'
    # Without a limit it does not run.
    run -126 with_fault newfstatat EIO /usr/bin/true "$LABS/05_cgroup_cpu" --cpus .5 /usr/bin/true
    assert_output "05_cgroup_cpu: failed to run command '/usr/bin/true': Input/output error"
    # A child that cannot be waited for has no status.
    run -125 strace -qq -o /dev/null -e inject=wait4:error=ECHILD "$LABS/05_cgroup_cpu" --cpus .5 true
    assert_output --regexp "^05_cgroup_cpu: wait for process [0-9]+: ECHILD \\(No child processes\\)"
    run -1 with_fault newfstatat EIO "$ip" env PATH="${ip%/*}" "$LABS/07_veth_bridge" status
    assert_line '07_veth_bridge: find ip: EIO (Input/output error)'
}

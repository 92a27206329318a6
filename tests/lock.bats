#!/usr/bin/env bats
# common/lock.h: a lock whose holder is stopped is not waited for for ever, and the holder is named.

load helpers

setup() {
    machine_before
    UNIT=${UNIT:-${BATS_TEST_FILENAME%/tests/*}/build/tests/unit}
}
teardown() {
    [ -z "${HOLDER:-}" ] || kill -KILL "$HOLDER" 2>/dev/null || true
    machine_after
}

# hold DIRECTORY: a process, $HOLDER, that has the lock and is stopped.
hold() {
    install -d -m 700 "$1"
    python3 -c 'import fcntl, os, signal, sys
fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)
os.kill(os.getpid(), signal.SIGSTOP)' "$1" 3>&- &
    HOLDER=$!
    until grep -q '^State:.T' "/proc/$HOLDER/status"; do sleep 0.01; done
}

# A library with which naps take no time, so that the usual 30 seconds are over in a moment.
make_hasty() {
    cc -shared -fPIC -o "$BATS_TEST_TMPDIR/hasty.so" -x c - <<'C'
struct timespec;
int nanosleep(const struct timespec *wanted, struct timespec *left)
{
    (void)wanted, (void)left;
    return 0;
}
C
}

hasty() {
    timeout -k 1 "$TOO_LONG" env "LD_PRELOAD=$BATS_TEST_TMPDIR/hasty.so" \
        ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0 "$@" 3>&-
}

@test "lock: one that is free, or becomes free, is had" {
    run -0 "$UNIT" lock "$TMPDIR/locked" 100
    assert_output locked
    hold "$TMPDIR/locked"
    "$UNIT" lock "$TMPDIR/locked" 20000 >"$TMPDIR/said" 3>&- &
    local waiter=$!
    sleep 0.2
    assert [ ! -s "$TMPDIR/said" ]
    kill -CONT "$HOLDER"
    wait "$waiter"
    assert_equal "$(cat "$TMPDIR/said")" locked
    rm -r "$TMPDIR/locked" "$TMPDIR/said"
}

@test "lock: a holder that is stopped is named, with what can be done" {
    hold "$TMPDIR/locked"
    run -1 timeout 20 "$UNIT" lock "$TMPDIR/locked" 200
    assert_output "unit: $TMPDIR/locked stays locked by process $HOLDER (python3), which is stopped: let it continue (kill -CONT $HOLDER) or end it (kill -KILL $HOLDER)"
    # What is said helps.
    kill -KILL "$HOLDER"
    run -0 timeout 20 "$UNIT" lock "$TMPDIR/locked" 200
    rmdir "$TMPDIR/locked"
}

@test "lock: a holder that has ended before those that it started" {
    mkdir "$TMPDIR/locked"
    # shellcheck disable=SC2016 # it is the inner shell that counts
    sh -c 'exec 9<"$0"; flock 9; sleep 1000 & echo $!' "$TMPDIR/locked" >"$TMPDIR/said" 3>&-
    HOLDER=$(cat "$TMPDIR/said")
    run -1 timeout 20 "$UNIT" lock "$TMPDIR/locked" 200
    if in_first_pid_namespace; then
        assert_output --partial ", which has ended, but what it has started has not: see fuser(1)"
    else
        assert_output --partial "a process that cannot be seen from here"
    fi
    run -1 "$UNIT" lock "$TMPDIR/no/such/directory" 100
    assert_output --partial "make and lock $TMPDIR/no/such/directory: ENOENT"
    kill -KILL "$HOLDER"
    rm -r "$TMPDIR/locked" "$TMPDIR/said"
}

@test "lock: a holder that cannot be read of is not called ended, or out of sight" {
    hold "$TMPDIR/locked"
    run -1 timeout 20 strace -qq -o /dev/null -P /proc/locks -e inject=openat:error=EMFILE "$UNIT" lock "$TMPDIR/locked" 200
    assert_output --partial "stays locked by a process that cannot be told: read /proc/locks: EMFILE (Too many open files)"
    if in_first_pid_namespace; then
        run -1 timeout 20 strace -qq -o /dev/null -P "/proc/$HOLDER/stat" -e inject=openat:error=EMFILE "$UNIT" lock "$TMPDIR/locked" 200
        assert_output --partial "stays locked by process $HOLDER: wait for it, or end it"
    fi
    kill -KILL "$HOLDER"
    rmdir "$TMPDIR/locked"
}

@test "lock: as long as its holders come and go, it is waited for" {
    mkdir "$TMPDIR/locked"
    local holders=()
    # Each has it for a part of the patience, all together for much longer.
    for _ in $(seq 10); do
        flock "$TMPDIR/locked" sleep 0.3 3>&- &
        holders+=($!)
    done
    sleep 0.1
    run -0 timeout 20 "$UNIT" lock "$TMPDIR/locked" 1500
    assert_output locked
    wait "${holders[@]}"
    # Nobody has it in the moment in which it is looked for who has it.
    flock "$TMPDIR/locked" sleep 0.5 3>&- &
    sleep 0.1
    run -0 timeout 20 strace -qq -o /dev/null -P /proc/locks -e inject=openat:delay_enter=1000000:when=2 "$UNIT" lock "$TMPDIR/locked" 200
    assert_output locked
    wait "$!"
    rmdir "$TMPDIR/locked"
}

@test "lock: an experiment and lab 09 do not wait for ever" {
    make_hasty
    hold "$TMPDIR/state"
    local command
    for command in "run --net none" ps prune; do
        # shellcheck disable=SC2086 # several words
        CONTAINER_LABS_STATE=$TMPDIR/state run hasty "$LABS/09_full_container" $command
        assert_equal "$status" "$([ "$command" = "run --net none" ] && echo 125 || echo 1)"
        assert_output "09_full_container: $TMPDIR/state stays locked by process $HOLDER (python3), which is stopped: let it continue (kill -CONT $HOLDER) or end it (kill -KILL $HOLDER)"
    done
    kill -KILL "$HOLDER"
    rm -r "$TMPDIR/state"
    # For a moment nobody else on this machine can begin one.
    hold /run/container-labs
    run hasty "$LABS/01_chroot"
    kill -KILL "$HOLDER"
    assert_failure 1
    assert_output --partial "01_chroot: /run/container-labs stays locked by process $HOLDER (python3), which is stopped: "
    rmdir /run/container-labs 2>/dev/null || true
}

@test "lock: an ordinary user cannot hold root's lock, nor that of a run" {
    start_at_step 01_chroot 1
    wait_for_step 01_chroot 1
    local directory
    for directory in /run/container-labs /run/container-labs/01-*; do
        assert [ -d "$directory" ]
        run -66 setpriv --reuid=65534 --regid=65534 --clear-groups flock -n "$directory" true
        assert_output --partial 'Permission denied'
    done
    kill -TERM "$supervisor"
    wait "$supervisor" || true
    rm "$BATS_TEST_TMPDIR/keys"
}

#!/usr/bin/env bats
# Experiments without root: an ordinary user plays them, alone or with a range of further IDs, and they leave nothing.

load helpers
load student

setup() { machine_before; }
teardown() {
    machine_after
    refute [ -e "/tmp/container-labs-$STUDENT" ]
}

# What needs nothing but user namespaces.
PLAIN=(01_chroot 02_rootfs 03_unshare 04_setns 07_veth_bridge 08_nat)

student_plays() { (as_student "$WAY" timeout -k 1 $((30 * SLOW)) "$LABS/$1" "${@:2}") 3>&-; }

holds_without_root() {
    run student_plays "$1"
    assert_experiment_held
    assert_line --index 1 "    (without root: user $STUDENT is root of a user namespace with $WORDS)"
}

@test "rootless: an ordinary user without further IDs plays 01 to 04, 07 and 08" {
    WAY=one WORDS='no other ID; root would add IDs and control groups'
    at_once holds_without_root "${PLAIN[@]}"
}

@test "rootless: with a range in /etc/subuid and /etc/subgid, every check that root sees is there" {
    WAY=range WORDS='65536 more IDs; root would add control groups'
    at_once holds_without_root "${PLAIN[@]}"
    local lab
    for lab in "${PLAIN[@]}"; do
        cmp <(grep '^  ok' <<<"$("$LABS/$lab")") <(WAY=range student_plays "$lab" | grep '^  ok')
    done
}

@test "rootless: a newuidmap that fails leaves the user the own ID" {
    # It is set-user-ID root, and here it cannot become that.
    run --separate-stderr as_student range setpriv --no-new-privs "$LABS/03_unshare" 3>&-
    assert_experiment_held
    assert_line --index 1 --partial 'with no other ID'
    assert_equal "${#stderr_lines[@]}" 2
    assert_regex "${stderr_lines[0]}" '^03_unshare: newuidmap: '
}

@test "rootless: a run is in XDG_RUNTIME_DIR where that is the user's own directory" {
    local run_in='cd /; mkdir "$1" && XDG_RUNTIME_DIR=$1 "$2" --step </dev/null >/dev/null; rmdir "$1"'
    at_call() { (as_student one strace -f -o "$TMPDIR/calls" -e trace=mkdir "${@}"); }
    chmod o+rwx "$TMPDIR" && chmod o+x "$BATS_TEST_TMPDIR"
    run -0 at_call sh -c "$run_in" sh "$TMPDIR/own" "$LABS/01_chroot" 3>&-
    run -0 cat "$TMPDIR/calls"
    assert_line --partial "mkdir(\"$TMPDIR/own/container-labs\", 0700) "
    # root's: the user cannot write there
    mkdir "$TMPDIR/other"
    run -0 at_call env XDG_RUNTIME_DIR="$TMPDIR/other" "$LABS/01_chroot" 3>&-
    run -0 cat "$TMPDIR/calls"
    assert_line --partial "mkdir(\"/tmp/container-labs-$STUDENT\", 0700) "
    rm -r "$TMPDIR/calls" "$TMPDIR/other"
}

@test "rootless: a directory in /tmp that another user has made is refused" {
    mkdir -m 777 "/tmp/container-labs-$STUDENT"
    run -1 --separate-stderr as_student one "$LABS/01_chroot" 3>&-
    rmdir "/tmp/container-labs-$STUDENT"
    assert_equal "$stderr" "01_chroot: /tmp/container-labs-$STUDENT belongs to another user; set XDG_RUNTIME_DIR to a directory of your own"
}

# as_student, where the call unshare of a user namespace fails with ERROR.
refused() { (as_student one strace -o /dev/null -e "inject=unshare:error=$1:when=1" "${@:2}") 3>&-; }

@test "rootless: where no user namespace can be made, one line says so, status 77; with LAB_MUST_RUN it is a failure" {
    local lab
    for lab in "${PLAIN[@]}"; do
        run -77 --separate-stderr refused EPERM env -u LAB_MUST_RUN "$LABS/$lab"
        assert_equal "$output" ""
        assert_equal "${#stderr_lines[@]}" 1
        assert_regex "$stderr" "^$lab: without root, unshare CLONE_NEWUSER: EPERM .*; .*; or type: sudo $LABS/$lab\$"
        run -1 --separate-stderr refused EPERM "$LABS/$lab"
    done
}

@test "rootless: 05 and 06 on v1 say that control groups of v1 need root" {
    has_v2 && return
    local lab
    for lab in 05_cgroup_cpu 06_cpu_shares; do
        run -77 --separate-stderr as_student one env -u LAB_MUST_RUN "$LABS/$lab" 3>&-
        assert_equal "$stderr" "$lab: control groups of v1 need root; type: sudo $LABS/$lab"
    done
}

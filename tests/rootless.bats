#!/usr/bin/env bats
# Experiments without root: an ordinary user plays them, alone or with a range of further IDs, and they leave nothing.

load helpers
load cgroups
load ends

# A user, whom the machine's own /etc does not have.
export STUDENT=4242
RUNS=/tmp/container-labs-$STUDENT

# In the place of the present process, or for `run`.
as_student() { exec "$BATS_TEST_DIRNAME/student" "$@"; }

setup() { machine_before; }
teardown() {
    machine_after
    refute [ -e "$RUNS" ]
}

# What needs nothing but user namespaces.
PLAIN=(01_chroot 02_rootfs 03_unshare 04_setns 07_veth_bridge 08_nat)

student_plays() { (as_student "$WAY" timeout -k 1 $((${LIMIT:-120} * SLOW)) "$LABS/$1" "${@:2}") 3>&-; }

holds_without_root() {
    run student_plays "$1"
    assert_experiment_held
    assert_line --index 1 "    (without root: user $STUDENT is root of a user namespace with $WORDS)"
}

holds_as_with_root() {
    holds_without_root "$1"
    diff <("$LABS/$1" 3>&- | grep '^  ok') <(grep '^  ok' <<<"$output")
}

@test "rootless: an ordinary user without further IDs plays 01 to 04, 07 and 08" {
    WAY=one WORDS='no other ID; root would add IDs and control groups'
    at_once holds_without_root "${PLAIN[@]}"
}

@test "rootless: with a range in /etc/subuid and /etc/subgid, every check that root sees is there" {
    WAY=range WORDS='65536 more IDs; root would add control groups'
    at_once holds_as_with_root "${PLAIN[@]}"
}

@test "rootless: a newuidmap that fails leaves the user the own ID" {
    # It is set-user-ID root, and here it cannot become that.
    run --separate-stderr as_student range setpriv --no-new-privs "$LABS/03_unshare" 3>&-
    assert_experiment_held
    assert_line --index 1 --partial 'with no other ID'
    assert_equal "${#stderr_lines[@]}" 2
    assert_regex "${stderr_lines[0]}" '^03_unshare: newuidmap: '
}

@test "rootless: a newuidmap that is killed is told so" {
    chmod o+x "$TMPDIR" && mkdir "$TMPDIR/bin"
    printf '#!/bin/sh\nkill -KILL $$\n' >"$TMPDIR/bin/newuidmap"
    chmod 755 "$TMPDIR/bin/newuidmap"
    run --separate-stderr as_student range env PATH="$TMPDIR/bin:$PATH" "$LABS/03_unshare" 3>&-
    assert_equal "${stderr_lines[0]}" '03_unshare: newuidmap ended with status 137'
    rm -r "${TMPDIR:?}/bin"
}

@test "rootless: a newuidmap that cannot be looked for, or told to begin, is not taken for none" {
    local program
    program=/usr/bin/newuidmap
    # By root, under whose trace it is still set-user-ID.
    mapper_fails_by() {
        run --separate-stderr strace -f -qq -o /dev/null -P "$program" -e "inject=newfstatat,access,faccessat,faccessat2:error=$1" \
            "$BATS_TEST_DIRNAME/student" range env PATH=/usr/bin "$LABS/03_unshare" 3>&-
    }
    mapper_fails_by EIO
    assert_failure 1
    assert_equal "$stderr" '03_unshare: find newuidmap: EIO (Input/output error)'
    mapper_fails_by EACCES # a file for a group of users
    assert_experiment_held
    assert_line --index 1 --partial 'with no other ID'
    assert_equal "$stderr" '03_unshare: execute newuidmap: EACCES (Permission denied)'
    run -1 --separate-stderr as_student range "$(program_of refuse)" read:EIO:2=8 -- "$LABS/03_unshare" 3>&-
    assert_regex "${stderr_lines[0]}" '^03_unshare: wait for the user namespace of process [0-9]+: EIO '
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
    assert_line --partial "mkdir(\"$RUNS\", 0700) "
    rm -r "$TMPDIR/calls" "$TMPDIR/other"
}

@test "rootless: a directory in /tmp that another user has made, and keeps locked, is refused at once" {
    mkdir -m 777 "$RUNS"
    exec 7<"$RUNS"
    flock 7
    run -1 --separate-stderr as_student one "$LABS/01_chroot" 3>&- 7<&-
    exec 7<&-
    rmdir "$RUNS"
    assert_equal "$stderr" "01_chroot: $RUNS belongs to another user; set XDG_RUNTIME_DIR to a directory of your own"
}

# For ends.bash: the experiments, all of one kind, as started by the user. 00_run.bats ends them after each step: what is
# different here is where the run is, not what a step has made.
# shellcheck disable=SC2034 # ends.bash uses them
KINDS=light ENDS=few AS=("$BATS_TEST_DIRNAME/student" range)
experiments() { printf '%s\n' "${PLAIN[@]}"; }

@test "rootless: Ctrl-C after each step leaves nothing" {
    end_at_each_step press_control_c
}

@test "rootless: kill -9 of the experiment after each step leaves nothing, and is told" {
    end_at_each_step kill_experiment
}

@test "rootless: kill -9 of the supervisor after each step leaves at most a name, which the next run sweeps" {
    end_at_each_step kill_supervisor
    [ "$swept" -ge 10 ] || fail "only $swept names were there to be swept: this test proves nothing"
}

user_plays() {
    STUDENT=$1 LIMIT=300 run student_plays "${PLAIN[$1 % ${#PLAIN[@]}]}"
    assert_experiment_held
    refute [ -e "/tmp/container-labs-$1" ]
}

# bats test_tags=many
@test "rootless: thirty users at the same moment, each with another uid, all hold" {
    WAY=one
    # shellcheck disable=SC2046 # numbers
    at_once user_plays $(seq 5001 5030)
}

@test "rootless: from the shell of a step, files of others, settings and processes of the machine are out of reach" {
    local line
    echo mine >"$TMPDIR/file"
    chmod 600 "$TMPDIR/file"
    sleep 1000 3>&- &
    local -a tries=("cat $TMPDIR/file" "echo theirs >$TMPDIR/file" "rm -f $TMPDIR/file" "chown 0 $TMPDIR" "kill -0 $!" "kill -9 $!"
        "echo 1 >/proc/sys/kernel/panic_on_oops" "echo 1 >/proc/sys/vm/swappiness" "dmesg -C"
        "mknod disk b 8 0" "mount -t ext4 /dev/vda /mnt" "date -s @0" "touch /etc/theirs" "cat /etc/shadow" "chroot /proc/$!/root true"
        "nsenter -t $! -m true" "ip link add elsewhere type dummy")
    printf 's\n' >"$TMPDIR/keys"
    for line in "${tries[@]}"; do printf '%s && echo "REACHED: %s"\n' "$line" "${line//\"/}"; done >>"$TMPDIR/keys"
    printf 'id -u\necho end\nexit\nq\n' >>"$TMPDIR/keys"
    for WAY in one range; do
        run student_plays 03_unshare --step <"$TMPDIR/keys"
        # A shell may print its prompt before what a command prints.
        assert_line --regexp '^(# )*0$'
        assert_line --regexp '^(# )*end$'
        refute_line --regexp '^(# )*REACHED: '
        assert_equal "$(cat "$TMPDIR/file")" mine
        kill -0 $!
    done
    kill -KILL $!
    wait $! || true
    rm "$TMPDIR/file" "$TMPDIR/keys"
}

@test "rootless: no program of the labs is set-user-ID or set-group-ID, or has a capability" {
    run -0 find "$LABS" -maxdepth 1 -type f -perm /6000
    assert_output ''
    run -0 python3 -c 'import os, sys
for name in os.listdir(sys.argv[1]): print(*os.listxattr(os.path.join(sys.argv[1], name)))' "$LABS"
    refute_output --partial security.capability
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

# as_student, beginning in group $GROUP$1.
student_in_group() { (echo "$BASHPID" >"$GROUP$1/cgroup.procs" && as_student "$WAY" "${@:2}") 3>&-; }

# bats test_tags=v2
@test "rootless: 05, 06 and 09 hold in a group of v2 that belongs to the user, and leave it as it was" {
    has_v2 || { play_in_vm; return; }
    local lab before
    export LAB_MEASURE=40 # enough turns where the machine is emulated on one that is busy
    delegate
    before=$(cat "$GROUP/cgroup.subtree_control")
    for lab in 05_cgroup_cpu 06_cpu_shares 09_full_container; do
        for WAY in one range; do
            run student_in_group /shell timeout -k 1 "$TOO_LONG" "$LABS/$lab"
            assert_experiment_held
        done
    done
    assert_equal "$(find "$GROUP" -mindepth 1 -type d)" "$GROUP/shell"
    assert_equal "$(cat "$GROUP/cgroup.subtree_control")" "$before"
    take_back
}

# As soon as the supervisor is dead its lock is free; the guardian dies first, so that it does not clear up.
# bats test_tags=v2
@test "rootless: what kill -9 of the guardian and of the supervisor leaves in the user's group of v2 goes with the next run" {
    has_v2 || { play_in_vm; return; }
    local before
    WAY=range
    delegate
    before=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)
    echo "$BASHPID" >"$GROUP/shell/cgroup.procs"
    start_and_stop_after_step 05_cgroup_cpu 3
    echo "$BASHPID" >"$before/cgroup.procs"
    kill -KILL "$(pgrep -x guardian)"
    kill -KILL "$supervisor"
    wait "$supervisor" || true
    assert [ -d "$GROUP/container-labs" ]
    run student_in_group /shell "$LABS/01_chroot"
    assert_experiment_held
    assert_equal "$(find "$GROUP" -mindepth 1 -type d)" "$GROUP/shell"
    assert_equal "$(cat "$GROUP/cgroup.subtree_control")" ''
    take_back
}

# bats test_tags=v2
@test "rootless: without such a group 05 and 06 name the command that gets one" {
    has_v2 || { play_in_vm; return; }
    local lab
    export LAB_MEASURE=20
    WAY=one
    for lab in 05_cgroup_cpu 06_cpu_shares; do
        run -77 --separate-stderr as_student one env -u LAB_MUST_RUN "$LABS/$lab" 3>&-
        assert_equal "$stderr" "$lab: without root, a control group of v2 is needed that belongs to you; type: systemd-run --user --scope -p Delegate=yes $LABS/$lab, or use sudo"
    done
    # With processes in the group itself: the two commands that are named, typed by the user, are enough.
    delegate
    # shellcheck disable=SC2016 # the user's shell replaces it
    run student_in_group '' env -u LAB_MUST_RUN sh -c 'words=$("$1" 2>&1 >/dev/null); echo $?; eval "${words##*child group first: }"; "$1"' \
        sh "$LABS/05_cgroup_cpu"
    assert_success
    assert_line 77
    take_back
}

#!/usr/bin/env bats
# Lab 05: busy, a CPU limit as a tool, and the experiment. No test here fails because the machine is
# busy: how exact the limits are is measured by `make bench-cpu`.

load helpers
load cgroups

setup() {
    machine_before
    find_cpu
    TOOL=$LABS/05_cgroup_cpu
}

teardown() {
    end_started
    machine_after
}

# The status of a process that was started.
ended_with() {
    local status=0
    wait "$2" || status=$?
    assert_equal "$status" "$1"
}

threads_of() { find "/proc/$1/task" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l; }
has_threads() { [ "$(threads_of "$1")" -eq "$2" ]; }
in_group() { [[ "$(group_of "$1")" = */container-labs/05-"$2$PID_SUFFIX" ]]; }
limit_is() { [ "$(limit_of "$1")" = "$2" ]; }

@test "05 busy: so many threads, until SIGTERM or so many seconds" {
    start "$LABS/busy" -j 7
    wait_until has_threads "$started" 8 # and one that waits
    kill -TERM "$started"
    ended_with 143 "$started"
    start "$LABS/busy"
    wait_until has_threads "$started" $(($(nproc) + 1))
    kill -TERM "$started"
    run -0 timeout "$TOO_LONG" "$LABS/busy" -j 1 -t 1
    assert_output ""
}

@test "05 busy: bad input gets one clear line and 2" {
    local row
    for row in '-j 0:--threads' '-j 10001:--threads' '-j x:--threads' '-j 1x:--threads' '-j -1:--threads' \
        '-t 0:--time' '-t 1.5:--time' '-t 99999999999:--time'; do
        # shellcheck disable=SC2086 # two words
        run -2 --separate-stderr "$LABS/busy" ${row%:*}
        assert_equal "$output" ""
        assert_equal "${#stderr_lines[@]}" 1
        assert_regex "$stderr" "^busy: ${row##*:} '.*' is not a number from 1 to [0-9]+$"
    done
    run -2 --separate-stderr "$LABS/busy" operand
    assert_equal "$stderr" "busy: unexpected operand 'operand'"
}

@test "05 tool: the command is in a group of its own with that limit, and all is gone afterwards" {
    run -0 --separate-stderr "$TOOL" --cpus 0.5 -- sh -c 'cat /proc/self/cgroup; sleep 0.3'
    assert_line --regexp ":/container-labs/05-[0-9]+$PID_SUFFIX\$"
    assert_regex "$stderr" '^05_cgroup_cpu: [0-9.]+ s of CPU time in [0-9.]+ s: [0-9.]+% of a CPU \(limit 50\.0%\), throttled in [0-9]+ of [0-9]+ periods$'
    start "$TOOL" --quota 30000 --period 20000 -- sleep 100
    wait_until is_there "$CPU/container-labs/05-$started$PID_SUFFIX"
    wait_until limit_is "$CPU/container-labs/05-$started$PID_SUFFIX" '30000 20000'
    kill -TERM "$started"
    wait "$started" || true
    [ ! -e "$CPU/container-labs/05-$started$PID_SUFFIX" ]
}

@test "05 tool: the limit limits" {
    # Two threads want 200% (or what there is); in any window of N periods there are at most N + 1 quotas.
    run -0 --separate-stderr "$TOOL" --cpus 0.2 -- timeout "$TOO_LONG" "$LABS/busy" -j 2 -t 1
    local used wall
    read -r used wall < <(echo "$stderr" | sed -nE 's/^05_cgroup_cpu: ([0-9.]+) s of CPU time in ([0-9.]+) s: .*/\1 \2/p')
    awk -v used="$used" -v wall="$wall" 'BEGIN { exit !(wall >= 1 && used > 0 && used <= (wall / 0.1 + 2) * 0.02 + 0.04) }' ||
        fail "$stderr"
}

@test "05 tool: the exit status is the command's" {
    local row
    run -0 "$TOOL" --cpus 1 true
    run -1 "$TOOL" --cpus 1 false
    run -42 "$TOOL" --cpus 1 -- sh -c 'exit 42'
    run -143 "$TOOL" --cpus 1 -- sh -c 'kill -TERM $$'
    run -137 "$TOOL" --cpus 1 -- sh -c 'kill -KILL $$'
    refuses 127 "failed to run command 'missing': No such file or directory" --cpus 1 missing
    refuses 127 "failed to run command '/bin/missing': No such file or directory" --cpus 1 /bin/missing
    refuses 126 "failed to run command '/etc/passwd': Permission denied" --cpus 1 /etc/passwd
    run -0 "$TOOL" --cpus 1 -- printf '%s|' --watch -x 'a b'
    assert_line --index 0 --partial '--watch|-x|a b|'
}

@test "05 tool: --watch tells the usage each second" {
    run -0 --separate-stderr "$TOOL" --watch --cpus 0.5 -- "$LABS/busy" -j 1 -t 3
    assert_equal "$output" ""
    assert_regex "$stderr" '1 s \[[ =]*\|[ =]*\] [0-9.]+%'
    assert_regex "$stderr" '2 s \['
}

@test "05 tool: signals are passed on to the command, which decides" {
    start "$TOOL" --cpus 1 -- sh -c 'trap "exit 7" TERM HUP; echo ready >"$1"; while :; do sleep 0.05; done' sh "$TMPDIR/ready"
    wait_until is_there "$TMPDIR/ready"
    kill -TERM "$started"
    ended_with 7 "$started"
    rm "$TMPDIR/ready"
}

@test "05 tool: what the command leaves running ends with it" {
    run -0 "$TOOL" --cpus 1 -- sh -c 'sleep 1000 >&- 2>&- & sleep 2000 >&- 2>&- & echo $!'
    [ ! -e "/proc/${lines[0]}" ] || grep -q '^State:.Z' "/proc/${lines[0]}/status"
}

@test "05 tool: kill -9 at any moment leaves nothing, or a name that the next run sweeps" {
    local delay
    for delay in 0 0.002 0.005 0.01 0.05 0.2; do
        start "$TOOL" --cpus 1 -- sleep 1000
        sleep "$delay"
        kill -KILL "$started" 2>/dev/null || true
        wait "$started" || true
        wait_until is_gone "$CPU/container-labs/05-$started$PID_SUFFIX"
    done
    # Before there was a group to guard, the name of a run may be left.
    run -0 "$TOOL" --cpus 1 -- true
    wait_until is_gone "/run/container-labs/05-$started$PID_SUFFIX"
}

@test "05 tool: --pid puts a process in, with its threads, and gives it back" {
    local victim before
    start "$LABS/busy" -j 3
    victim=$started
    wait_until has_threads "$victim" 4
    before=$(groups_of "$victim")
    local how
    for how in INT TERM HUP KILL; do
        start "$TOOL" --cpus 0.2 --pid "$victim" 2>/dev/null
        wait_until in_group "$victim" "$started"
        limit_is "$CPU/container-labs/05-$started$PID_SUFFIX" '20000 100000'
        # Its threads, too.
        run -0 sort -u "/proc/$victim"/task/*/cgroup
        assert_output "$(groups_of "$victim" | sort -u)"
        kill "-$how" "$started"
        if [ "$how" = KILL ]; then ended_with 137 "$started"; else ended_with 0 "$started"; fi
        wait_until is_gone "$CPU/container-labs/05-$started$PID_SUFFIX"
        assert_equal "$(groups_of "$victim")" "$before"
        [ "$(threads_of "$victim")" -eq 4 ] || fail "it was killed"
    done
    kill -KILL "$victim"
    wait "$victim" || true
}

@test "05 tool: a process of another group goes back to that group, and its new children with it" {
    local box=$CPU/test-$$ victim child
    mkdir "$box"
    mkfifo "$TMPDIR/go"
    start sh -c 'echo $$ >"$1/cgroup.procs"; read -r _ <"$2/go"; sleep 1000 & echo $! >"$2/child"; wait' \
        sh "$box" "$TMPDIR"
    victim=$started
    wait_until grep -qx "$victim" "$box/cgroup.procs"
    start "$TOOL" --cpus 0.5 --pid "$victim" 2>/dev/null
    wait_until in_group "$victim" "$started"
    echo >"$TMPDIR/go"
    wait_until test -s "$TMPDIR/child"
    child=$(cat "$TMPDIR/child")
    in_group "$child" "$started"
    kill -INT "$started"
    ended_with 0 "$started"
    assert_equal "$(group_of "$victim") $(group_of "$child")" "/${box##*/} /${box##*/}"
    kill -KILL "$victim" "$child"
    wait "$victim" || true
    wait_until rmdir "$box"
    rm "$TMPDIR/go" "$TMPDIR/child"
}

@test "05 tool: even when everything of it was killed, the next run gives the process back" {
    local victim before
    start "$LABS/busy" -j 1
    victim=$started
    before=$(groups_of "$victim")
    start "$TOOL" --cpus 0.5 --pid "$victim" 2>/dev/null
    wait_until in_group "$victim" "$started"
    # The guardian first: the tool does not look after it.
    local tool=$started guardian
    guardian=$(pgrep -P "$tool" guardian)
    kill -KILL "$guardian" "$tool"
    wait "$tool" || true
    in_group "$victim" "$tool"
    run -0 "$TOOL" --cpus 1 true
    assert_equal "$(groups_of "$victim")" "$before"
    [ ! -e "$CPU/container-labs/05-$tool$PID_SUFFIX" ]
    kill -KILL "$victim"
    wait "$victim" || true
}

@test "05 tool: a process that another run has is not taken from it" {
    local victim before first
    start sleep 1000
    victim=$started
    before=$(groups_of "$victim")
    start "$TOOL" --cpus 0.5 --pid "$victim" 2>/dev/null
    first=$started
    wait_until in_group "$victim" "$first"
    run -125 --separate-stderr "$TOOL" --cpus 0.2 --pid "$victim"
    assert_equal "${#stderr_lines[@]}" 1
    assert_regex "$stderr" "^05_cgroup_cpu: take a process out of $CPU/container-labs/05-$first$PID_SUFFIX: EALREADY .*; it is a group of another run"
    in_group "$victim" "$first"
    kill -INT "$first"
    ended_with 0 "$first"
    assert_equal "$(groups_of "$victim")" "$before"
    kill -KILL "$victim"
    wait "$victim" || true
}

@test "05 tool: --pid takes in no other process that has got the number since" {
    local victim tool before
    start sleep 1000
    victim=$started
    timeout 30 strace -qq -o /dev/null -e trace=mkdir -e inject=mkdir:delay_exit=2000000:when=5 \
        "$TOOL" --cpus 0.5 --pid "$victim" >"$BATS_TEST_TMPDIR/said" 2>&1 3>&- &
    tool=$!
    wait_until eval 'pgrep -P "$tool" >/dev/null && find "$CPU" -maxdepth 1 -name container-labs | grep -q .'
    kill -KILL "$victim"
    wait "$victim" || true
    for _ in 1 2 3 4 5 6 7 8 9; do
        echo $((victim - 1)) >/proc/sys/kernel/ns_last_pid
        start sleep 1000
        [ "$started" -ne "$victim" ] || break
        kill -KILL "$started"
    done
    assert_equal "$started" "$victim"
    before=$(groups_of "$victim")
    local status=0
    wait "$tool" || status=$?
    assert_equal "$status" 125
    assert_equal "$(cat "$BATS_TEST_TMPDIR/said")" "05_cgroup_cpu: process $victim has just ended"
    assert_equal "$(groups_of "$victim")" "$before"
    kill -KILL "$victim"
    wait "$victim" || true
}

@test "05 tool: --pid ends with the process, status 0" {
    start sleep 1.5
    run -0 timeout "$TOO_LONG" "$TOOL" --cpus 0.5 --pid "$started"
    assert_output --partial '(limit 50.0%)'
}

@test "05 tool: bad input gets one clear line, and nothing is made" {
    refuses 2 "--quota '999' is not a number of us from 1000 (the kernel's minimum) to 100000000000" --quota 999 true
    refuses 2 "--quota '5e4' is not a number of us from 1000 (the kernel's minimum) to 100000000000" --quota 5e4 true
    refuses 2 "--period '999' is not a number from 1000 to 1000000" --cpus 1 --period 999 true
    refuses 2 "--period '1000001' is not a number from 1000 to 1000000" --cpus 1 --period 1000001 true
    refuses 2 "--cpus 0.009 is a quota of 900 us in a period of 100000 us, and the kernel's minimum is 1000 us" --cpus 0.009 true
    refuses 2 "--cpus '-1' is not a number of CPUs such as 0.5 or 2" --cpus -1 true
    refuses 2 "--cpus '' is not a number of CPUs such as 0.5 or 2" --cpus '' true
    refuses 2 "--cpus '1,5' is not a number of CPUs such as 0.5 or 2" --cpus 1,5 true
    refuses 2 "give the limit by --cpus or --quota" true
    refuses 2 "give the limit by only one of --cpus and --quota" --cpus 1 --quota 5000 true
    refuses 2 "missing operand: a COMMAND, or --pid PID" --cpus 1
    refuses 2 "--pid and a command do not go together" --cpus 1 --pid 1 true
    refuses 2 "--pid '0' is not a number from 1 to 2147483647" --cpus 1 --pid 0
    refuses 2 "--pid 'x' is not a number from 1 to 2147483647" --cpus 1 --pid x
    start sleep 0
    wait "$started" || true
    refuses 125 "process $started: ESRCH (No such process)" --cpus 1 --pid "$started"
    run -2 --separate-stderr "$TOOL" --no-such-option
    assert_equal "${stderr_lines[0]}" "05_cgroup_cpu: unrecognized option '--no-such-option'"
    refuses 2 "'operand' does not go together with '--step'"$'\n'"Try '05_cgroup_cpu --help' for more information." --step operand
    [ ! -e "$CPU/container-labs" ] || [ -z "$(find "$CPU/container-labs" -mindepth 1 -name '05-*')" ]
}

@test "05 tool: who is not root is told so, status 77" {
    run -77 --separate-stderr env -u LAB_MUST_RUN setpriv --reuid=65534 --regid=65534 --clear-groups "$TOOL" --cpus 1 true
    assert_equal "$stderr" "05_cgroup_cpu: this needs root; type: sudo $TOOL"
}

# In a mount namespace of its own, do what $1 says to the machine's cgroup file systems, then run the tool.
with_mounts() {
    run "-$1" --separate-stderr env -u LAB_MUST_RUN unshare --mount sh -c "$2"' && shift && exec "$@"' sh "$CPU" "$TOOL" --cpus 1 true
    assert_equal "$output" ""
    assert_equal "${#stderr_lines[@]}" 1
}

@test "05 tool: a read-only cgroup file system gets one clear line, status 77" {
    with_mounts 77 'mount -o remount,bind,ro "$1"'
    assert_regex "$stderr" "^05_cgroup_cpu: mkdir $CPU/container-labs.*: EROFS \(Read-only file system\); the cgroup file system is read-only, as in a container: run the lab on the machine itself$"
}

@test "05 tool: no cpu controller gets one clear line, status 77" {
    with_mounts 77 'umount -l "$1"'
    assert_regex "$stderr" '^05_cgroup_cpu: find the controller cpu: ENODEV \(No such device\); no hierarchy of this machine has it: '
}

@test "05 tool: a tmpfs over the cgroup file system takes no write for a limit" {
    with_mounts 77 'mount -t tmpfs tmpfs "$1" && mkdir -p "$1/container-labs" && touch "$1/cgroup.procs" "$1/cpu.max"'
    assert_regex "$stderr" '^05_cgroup_cpu: find the controller cpu: ENODEV '
}

@test "05 tool: a group that exists already gets one clear line and is left alone" {
    run -125 --separate-stderr sh -c 'mkdir -p "$1/container-labs/05-$$$3" && echo "$1/container-labs/05-$$$3" && exec "$2" --cpus 1 true' sh "$CPU" "$TOOL" "$PID_SUFFIX"
    assert_regex "$stderr" "^05_cgroup_cpu: mkdir $output: EEXIST \(File exists\); a group of this name exists"
    [ -d "$output" ]
    rmdir "$output"
    rmdir "$CPU/container-labs" 2>/dev/null || true
}

@test "05 tool: more than the parent allows: v1 refuses it, v2 takes it and the parent counts" {
    local parent=$CPU/container-labs
    [ "$VERSION" = 2 ] || {
        mkdir -p "$parent"
        echo 20000 >"$parent/cpu.cfs_quota_us"
        run "$TOOL" --cpus 0.5 true
        echo -1 >"$parent/cpu.cfs_quota_us" 2>/dev/null || true # gone, where nobody else is in it
        assert_equal "$status" 125
        assert_regex "$output" "^05_cgroup_cpu: write '50000' to .*/cpu.cfs_quota_us: EINVAL \(Invalid argument\); less than 1000 us, or more than the parent allows \(its quota and period\)$"
        return
    }
    run -0 --separate-stderr "$TOOL" --cpus 100 -- sh -c 'cat "$1$(sed -n s/^0:://p /proc/self/cgroup)/cpu.max"' sh "$CPU"
    assert_output '10000000 100000'
}

@test "05 tool: a realtime process that may not enter is named with the remedy, and stays where it is" {
    # Only kernels with CONFIG_RT_GROUP_SCHED refuse it; others take it.
    local victim before
    start sleep 1000
    victim=$started
    before=$(groups_of "$victim")
    chrt --fifo --pid 1 "$victim"
    if [ -e "$CPU/cpu.rt_runtime_us" ]; then
        run -125 --separate-stderr "$TOOL" --cpus 1 --pid "$victim"
        assert_equal "${#stderr_lines[@]}" 1
        assert_regex "$stderr" "^05_cgroup_cpu: write '$victim' to $CPU/container-labs/05-[0-9.]+/cgroup.procs: EINVAL \(Invalid argument\); a realtime process enters no group without a realtime budget"
    else
        start "$TOOL" --cpus 1 --pid "$victim" 2>/dev/null
        wait_until in_group "$victim" "$started"
        kill -INT "$started"
        ended_with 0 "$started"
    fi
    assert_equal "$(groups_of "$victim")" "$before"
    kill -KILL "$victim"
    wait "$victim" || true
    # The same for a command.
    run timeout -k 1 "$TOO_LONG" chrt --fifo 1 "$TOOL" --cpus 1 true
    if [ -e "$CPU/cpu.rt_runtime_us" ]; then
        assert_failure 125
        assert_output --partial ': EINVAL (Invalid argument); a realtime process enters no group'
    else
        assert_success
    fi
}

@test "05 and 06: a load that does not start is no busy machine" {
    local program
    for program in 05_cgroup_cpu 06_cpu_shares; do
        cp "$LABS/$program" "$TMPDIR/$program"
        printf '#!/bin/sh\necho no thread >&2; exit 1\n' >"$TMPDIR/busy"
        chmod +x "$TMPDIR/busy"
        run -1 "$TMPDIR/$program"
        assert_equal "${lines[-2]}" 'no thread'
        assert_regex "${lines[-1]}" "^$program: the load, busy -j [0-9]+, did not start; see above\$"
        refute_output --partial 'machine is busy'
    done
    run -1 "$TMPDIR/06_cpu_shares" --seconds 1 A=512:20 B=1024
    assert_line '06_cpu_shares: the load, busy -j 20, did not start; see above'
    rm "$TMPDIR/busy" "$TMPDIR/05_cgroup_cpu" "$TMPDIR/06_cpu_shares"
}

@test "05 and 06: a load is no realtime one, whoever starts it" {
    run -0 timeout -k 1 "$TOO_LONG" chrt --fifo 1 "$LABS/06_cpu_shares" --seconds 1 A=1024 B=512
    assert_line --regexp '^ +A +[0-9]+ '
}

# The controllers of the hierarchy of v1 that is mounted at $1: "cpu", "cpu,cpuacct".
controllers_of() { findmnt -nro FS-OPTIONS "$1" | tr , '\n' | grep -xE 'cpu|cpuacct' | paste -sd,; }

# Be in the group $1, make it the root of a cgroup namespace, mount the hierarchy as it is seen from there,
# and run the tool. With "leaf" the process then leaves that root for a group below it.
in_namespace() {
    start sh -c 'echo $$ >"$1/cgroup.procs" && exec unshare --mount --cgroup sh -c '\''
        if [ "$3" = leaf ]; then mkdir "$1/leaf" && echo $$ >"$1/leaf/cgroup.procs" || exit; fi
        umount "$2"
        if [ "$4" = 1 ]; then mount -t cgroup -o "$6" cpu "$2"; else mount -t cgroup2 cgroup2 "$2"; fi
        exec "$5" --cpus 0.5 sleep 1000'\'' sh "$@"' \
        sh "$1" "$CPU" "$2" "$VERSION" "$TOOL" "$(controllers_of "$CPU")" 2>"$TMPDIR/log"
}

@test "05 tool: in a cgroup namespace the group is made below the namespace's own root" {
    local box=$CPU/test-$$
    mkdir "$box"
    in_namespace "$box" leaf
    wait_until is_there "$box/container-labs/05-$started$PID_SUFFIX"
    wait_until limit_is "$box/container-labs/05-$started$PID_SUFFIX" '50000 100000'
    kill -TERM "$started"
    ended_with 143 "$started"
    wait_until is_gone "$box/container-labs"
    # What was enabled for its sake is taken back.
    [ "$VERSION" = 1 ] || assert_equal "$(cat "$box/cgroup.subtree_control")" ""
    rmdir "$box/leaf"
    wait_until rmdir "$box"
    rm "$TMPDIR/log"
}

@test "05 tool: a root with processes of its own: v1 does not mind, v2 refuses with the remedy" {
    local box=$CPU/test-$$
    mkdir "$box"
    in_namespace "$box" stay
    if [ "$VERSION" = 1 ]; then
        wait_until is_there "$box/container-labs/05-$started$PID_SUFFIX"
        kill -TERM "$started"
        ended_with 143 "$started"
    else
        ended_with 1 "$started" # 77, but for LAB_MUST_RUN
        run -0 cat "$TMPDIR/log"
        assert_output --regexp "^05_cgroup_cpu: write '\\+cpu' to .*/cgroup.subtree_control: EBUSY \(.*\); a group of v2 with processes of its own hands on no controllers: move them into a child group first"
        assert_equal "$(cat "$box/cgroup.type" "$box/cgroup.subtree_control")" domain
    fi
    wait_until is_gone "$box/container-labs"
    wait_until rmdir "$box"
    rm "$TMPDIR/log"
}

# bats test_tags=alone
@test "05 experiment: every row of the article is seen" {
    run play 05_cgroup_cpu
    assert_experiment_held
    assert_line --regexp "^    cpu = cgroup v$VERSION, in $CPU/container-labs/05-[^/]*$"
    assert_line --regexp '^    \$ busy -j [0-9]+ &$'
    assert_line --regexp '^    \$ mkdir \$CPU/A$'
    assert_line --regexp '^    \$ echo \$! > \$CPU/A/cgroup.procs$'
    assert_line --regexp '^    busy = [0-9.]+% of one CPU, in [0-9.]+ s$'
    assert_line --regexp '^    held back by = (the limit|a busy machine|the number)'
    assert_line "  ok    no limit is set"
    # Each quota has its check where the group was throttled, and only there.
    assert_equal "$(grep -cE '^  ok    (50|150)% of a CPU, or what a busy machine leaves of it$' <<<"$output")" \
        "$(grep -cE '^    throttled = in [1-9][0-9]* of ' <<<"$output")"
    assert_equal "$(grep -c '^    NOT SHOWN: no quota was used up' <<<"$output")" \
        "$(grep -c '^    throttled = in 0 of ' <<<"$output")"
    [ "$(grep -c '^    throttled = in ' <<<"$output")" -eq 2 ]
    [ "$(grep -c '^    busy = ' <<<"$output")" -eq 5 ]
    if [ "$VERSION" = 1 ]; then
        assert_line "  ok    a period is 100000 us"
        assert_line "    cpu.cfs_quota_us = 50000"
        assert_line "    cpu.cfs_quota_us = 150000"
        assert_line "    cpu.cfs_quota_us = -1"
    else
        assert_line "    cpu.max = 50000 100000"
        assert_line "    cpu.max = 150000 100000"
        assert_line "    cpu.max = max 100000"
    fi
    refute_output --partial $'\r'
    refute_output --partial $'\033'
}

# bats test_tags=alone
@test "05 experiment: where others leave it enough of the CPUs, a limit is seen at work" {
    # Its groups weigh more than others, so that these do not keep it from using up its quota, and so does the whole
    # machine of the tests. (It must run itself, too.)
    local weight=cpu.weight more=800 usual
    [ "$VERSION" = 2 ] || weight=cpu.shares more=8192
    usual=$(cat "$CPU/$weight")
    for _ in 1 2 3; do
        start timeout -k 1 "$TOO_LONG" "$TOOL" >"$TMPDIR/log"
        wait_until is_there "$CPU/container-labs/$weight"
        echo "$more" | tee "$CPU/$weight" >"$CPU/container-labs/$weight"
        ended_with 0 "$started"
        if grep -qE '^  ok    (50|150)% of a CPU, or' "$TMPDIR/log"; then break; fi
    done
    echo "$usual" >"$CPU/$weight"
    run -0 cat "$TMPDIR/log"
    assert_line --regexp '^    held back by = the limit'
    assert_line --regexp '^  ok    (50|150)% of a CPU, or what a busy machine leaves of it$'
    rm "$TMPDIR/log"
}

@test "05 experiment: beside two other busy processes it still holds, and says who held it back" {
    start "$LABS/busy" -j 2
    start "$LABS/busy" -j 2
    run play 05_cgroup_cpu
    assert_experiment_held
    assert_line --regexp '^    \(Other processes are using the rest of the [0-9]+00%\.\)$'
}

@test "05 experiment: on one CPU the 150% step explains itself and is no failure" {
    LAB_MEASURE=40 run taskset -c 0 timeout -k 1 "$TOO_LONG" "$LABS/05_cgroup_cpu" 3>&-
    assert_experiment_held
    assert_line --partial 'This needs two CPUs, and here is one'
    assert_line '    NOT SHOWN: no quota was used up, so the limit had nothing to hold back.'
    refute_line --partial 'ok    150% of a CPU'
    assert_line "  ok    no CPU of the machine is idle: 100% x 1 CPUs are in use"
}

@test "05 experiment: LAB_MEASURE is percent of the time in which it measures" {
    LAB_MEASURE=30 run play 05_cgroup_cpu
    assert_experiment_held
    # Instead of 0.8 to 1 s; a busy machine may stretch some of the five.
    assert_line --regexp '^    busy = .* in 0\.[2-5]'
    LAB_MEASURE=0 run play 05_cgroup_cpu
    assert_failure
    assert_line --partial "LAB_MEASURE"
}

@test "05 experiment: on a terminal a bar moves while it measures" {
    run env TERM=xterm LAB_MEASURE=40 script -qec "$LABS/05_cgroup_cpu" /dev/null
    assert_success
    assert_output --regexp 'busy  \[[ =]*\|[ =]*\] +[0-9.]+%  \(\| is the target\)'
    assert_output --partial $'\033[1A'
}

@test "05 experiment: a quota that it is started with is named, and others are not blamed for it" {
    local box=$CPU/test-$$
    mkdir "$box"
    if [ "$VERSION" = 1 ]; then echo 30000 >"$box/cpu.cfs_quota_us"; else echo 30000 100000 >"$box/cpu.max"; fi
    run sh -c 'echo $$ >"$1/cgroup.procs" && exec timeout "$2" "$3"' sh "$box" "$TOO_LONG" "$TOOL" 3>&-
    assert_experiment_held
    assert_line '    (A group above has a quota already: busy is in a group with 30% of a CPU.)'
    assert_line '  ok    that limit holds'
    wait_until rmdir "$box"
}

@test "05 experiment: --plot draws a picture; without gnuplot it says so before it begins" {
    cd "$TMPDIR"
    LAB_MEASURE=40 run play 05_cgroup_cpu --plot usage.svg
    assert_experiment_held
    assert_line "The picture is in $TMPDIR/usage.svg"
    grep -q '<svg' usage.svg
    grep -q 'quota 50000' usage.svg
    rm usage.svg
    mkdir path && ln -s /usr/bin/* /bin/* path/ 2>/dev/null || true
    rm path/gnuplot
    run -77 --separate-stderr env -u LAB_MUST_RUN PATH="$TMPDIR/path" "$TOOL" --plot usage.svg
    assert_equal "$stderr" "05_cgroup_cpu: no gnuplot is installed; install the package gnuplot-nox"
    [ ! -e usage.svg ]
    # One that fails leaves the picture that is there.
    echo the last one >usage.svg
    printf '#!/bin/sh\necho half; echo words >&2; exit 3\n' >path/gnuplot
    chmod +x path/gnuplot
    LAB_MEASURE=40 run -1 env PATH="$TMPDIR/path" "$TOOL" --plot usage.svg
    assert_line "05_cgroup_cpu: gnuplot ended with status 3, see its words above"
    assert_equal "$(cat usage.svg)" "the last one"
    rm -r path usage.svg
    refuses 2 "--plot '/no/where.svg': ENOENT (No such file or directory)" --plot /no/where.svg
    refuses 2 "--plot '/dev': EISDIR (Is a directory)" --plot /dev
    # The tool draws nothing.
    run -2 --separate-stderr "$TOOL" --plot usage.svg --cpus .5 true
    assert_equal "${stderr_lines[0]}" "05_cgroup_cpu: --plot draws the experiment, and '--cpus' asks for the tool"
    [ ! -e usage.svg ]
}

@test "05 experiment: without busy beside it, it says what to type" {
    mkdir "$TMPDIR/alone" && cp "$TOOL" "$TMPDIR/alone/"
    run -77 --separate-stderr env -u LAB_MUST_RUN "$TMPDIR/alone/05_cgroup_cpu"
    assert_equal "${stderr_lines[0]}" "05_cgroup_cpu: no busy is installed; type: make busy"
    rm -r "$TMPDIR/alone"
}

@test "05 tool: a command that cannot be waited for is ended, told, and no group stays" {
    run -125 --separate-stderr timeout 10 "$(program_of refuse)" pidfd_open:EMFILE -- \
        "$LABS/05_cgroup_cpu" --cpus 0.5 sleep 100 3>&-
    assert_regex "$stderr" '^05_cgroup_cpu: wait for process [0-9]+: EMFILE \(Too many open files\)$'
}

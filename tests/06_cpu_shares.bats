#!/usr/bin/env bats
# Lab 06: groups that compete, as a tool and as an experiment. No test here fails because the machine is
# busy: how exact the shares are is measured by `make bench-cpu`. What shares and predictions are
# computed to is tested in cgroup.bats.

load helpers
load cgroups

setup() {
    machine_before
    find_cpu
    TOOL=$LABS/06_cpu_shares
    SHARES=$([ "$VERSION" = 1 ] && echo cpu.shares || echo cpu.weight)
}

teardown() {
    end_started
    machine_after
}

# The fields of the line of group $1 in the table: weight, threads, predicted, measured.
row_of() { awk -v group="$1" '$1 == group && NF == 5 { print $2, $3, $4 }' <<<"$output"; }

has_threads() { [ "$(cat "$1/cgroup.threads" "$1/tasks" 2>/dev/null | wc -l)" -eq "$2" ]; }

@test "06 tool: predicted and measured side by side, for the CPUs that are named" {
    run -0 taskset -c 0 "$TOOL" --seconds 1 A=512:2 B=1024 C=512:1
    assert_line --regexp '^    All threads are kept on CPU 0: '
    assert_line --regexp "^    group +$SHARES +threads +predicted +measured$"
    if [ "$VERSION" = 1 ]; then
        assert_equal "$(row_of A)" "512 2 25.0%"
        assert_equal "$(row_of B)" "1024 1 50.0%"
    else
        assert_equal "$(row_of A)" "59 2 27.1%"
        assert_equal "$(row_of B)" "100 1 45.9%"
    fi
    assert_line --regexp '^    C  +[0-9]+ +1 +[0-9.]+% +[0-9]+\.[0-9]%$'
}

@test "06 tool: groups in groups, made, weighted, filled and pinned as asked for" {
    local top=$CPU/container-labs pid
    start "$TOOL" --seconds 100 A=2048 A/X=512:3 A/Y=4096:1 B/Z=2:1 >/dev/null
    top=$top/06-$started$PID_SUFFIX
    wait_until has_threads "$top/B/Z" 2 # and the one that waits
    wait_until has_threads "$top/A/X" 4
    wait_until has_threads "$top/A/Y" 2
    if [ "$VERSION" = 1 ]; then
        assert_equal "$(cat "$top"/{A,A/X,A/Y,B,B/Z}/cpu.shares | tr '\n' ' ')" "2048 512 4096 1024 2 "
    else
        assert_equal "$(cat "$top"/{A,A/X,A/Y,B,B/Z}/cpu.weight | tr '\n' ' ')" "174 59 303 100 1 "
    fi
    pid=$(head -n 1 "$top/A/X/cgroup.procs")
    assert_equal "$(tr '\0' ' ' <"/proc/$pid/cmdline" | sed 's#.*/##')" "busy -j 3 "
    run -0 taskset -pc "$pid"
    assert_output --regexp ': 0(,1|-1)?$'
    kill -TERM "$started"
    wait "$started" || true
    wait_until is_gone "$top"
    wait_until is_gone "/proc/$pid/exe"
}

@test "06 tool: kill -9 at any moment leaves nothing, or a name that the next run sweeps" {
    local delay pid
    for delay in 0 0.005 0.02 0.1 0.5; do
        start "$TOOL" --seconds 100 A=512 A/B=2:2 C=1024 >/dev/null 2>&1
        sleep "$delay"
        kill -KILL "$started"
        wait "$started" || true
        wait_until is_gone "$CPU/container-labs/06-$started$PID_SUFFIX"
    done
    # Before there was a group to guard, the name of a run may be left.
    run -0 "$TOOL" --seconds 1 A=1024:1
    for pid in $STARTED; do wait_until is_gone "/run/container-labs/06-$pid$PID_SUFFIX"; done
}

@test "06 tool: bad input gets one clear line and 2, and nothing is made" {
    local row
    refuses 2 "the shares of A: '1' is not a number from 2 to 262144" A=1
    refuses 2 "the shares of A: '262145' is not a number from 2 to 262144" A=262145
    refuses 2 "the shares of A: '' is not a number from 2 to 262144" A=
    refuses 2 "the shares of A: '-5' is not a number from 2 to 262144" A=-5
    refuses 2 "the shares of A: '1k' is not a number from 2 to 262144" A=1k
    refuses 2 "the threads of A: '0' is not a number from 1 to 1000" A=2:0
    refuses 2 "the threads of A: '' is not a number from 1 to 1000" A=2:
    refuses 2 "the threads of A: '4:4' is not a number from 1 to 1000" A=2:4:4
    refuses 2 "--seconds '0' is not a number from 1 to 3600" --seconds 0 A=2
    refuses 2 "the group 'A' exists already (name it once, and before those in it)" A=2 A=3
    refuses 2 "the group 'A' exists already (name it once, and before those in it)" A/B=2 A=3
    refuses 2 "'A' has groups in it, so it can have no threads itself" A=2:1 A/B=3
    refuses 2 "more than 8 groups" a=2 b=2 c=2 d=2 e=2 f=2 g=2 h=2 i=2
    for row in A =5 /A=5 A/=5 A//B=5 ../A=5 . 'A B=5' 'A.procs=5' "$(printf 'x%.0s' $(seq 100))=5"; do
        refuses 2 "'$row' is no NAME=SHARES[:THREADS]" "$row"
    done
    refuses 2 "missing operand: NAME=SHARES[:THREADS]" --seconds 2
    run -2 --separate-stderr "$TOOL" --no-such-option
    assert_equal "${stderr_lines[0]}" "06_cpu_shares: unrecognized option '--no-such-option'"
    run -77 --separate-stderr env -u LAB_MUST_RUN setpriv --reuid=65534 --regid=65534 --clear-groups "$TOOL" A=2
    assert_equal "$stderr" "06_cpu_shares: this needs root; type: sudo $TOOL"
}

@test "06 tool: a read-only cgroup file system gets one clear line, status 77" {
    run -77 --separate-stderr env -u LAB_MUST_RUN unshare --mount sh -c 'mount -o remount,bind,ro "$1" && exec "$2" A=2' sh "$CPU" "$TOOL"
    assert_regex "$stderr" "^06_cpu_shares: mkdir $CPU/container-labs.*: EROFS \(Read-only file system\); the cgroup file system is read-only"
    assert_equal "${#stderr_lines[@]}" 1
}

# bats test_tags=alone
@test "06 experiment: every row of the article is seen" {
    run play 06_cpu_shares
    assert_experiment_held
    if [ "$VERSION" = 1 ]; then
        assert_line "    cpu.shares = 512"
        assert_line "    cpu.shares = 1024"
    else
        assert_line "    cpu.weight = 59"
        assert_line "    cpu.weight = 100"
    fi
    assert_line --regexp '^    All threads are kept on CPU [0-9]+(, [0-9]+)?: '
    [ "$(grep -c '^    group  ' <<<"$output")" -eq 4 ]
    assert_line "    on 12 CPUs = A 800%, B 400%"
    assert_line --regexp '^    A  .* (100|200)\.0% +[0-9.]+%$'
    assert_line --regexp '^ +1024 +39 +100$'
    assert_line --regexp '^ +2 +1 +1$'
    assert_line --regexp '^ +262144 +10000 +10000$'
}

# bats test_tags=alone
@test "06 experiment: where others leave next to nothing, nothing is compared, and it says so" {
    local cpu group=$CPU/beside-$$
    cpu=$(taskset -pc $$ | sed -E 's/.*: ([0-9]+).*/\1/')
    mkdir "$group"
    if [ "$VERSION" = 1 ]; then echo 102400 >"$group/cpu.shares"; else echo 10000 >"$group/cpu.weight"; fi
    start taskset -c "$cpu" "$LABS/busy" -j 1
    echo "$started" >"$group/cgroup.procs"
    run play 06_cpu_shares
    assert_experiment_held
    assert_line '    NOT COMPARED: they leave too little of it for a comparison.'
    refute_line --partial 'or what a busy machine leaves'
    kill -KILL "$started"
    wait_until rmdir "$group" 2>/dev/null
}

@test "06 experiment: beside two other busy processes it still holds, and says so" {
    # On the CPU that the experiment keeps to: elsewhere the kernel may well make room for it.
    local cpu
    cpu=$(taskset -pc $$ | sed -E 's/.*: ([0-9]+).*/\1/')
    start taskset -c "$cpu" "$LABS/busy" -j 1
    start taskset -c "$cpu" "$LABS/busy" -j 1
    run play 06_cpu_shares
    assert_experiment_held
    assert_line --regexp '^    \(The machine is busy: other processes have [0-9]+% of this CPU\.\)$'
}

@test "06 experiment: on one CPU it holds" {
    run taskset -c 0 timeout -k 1 "$TOO_LONG" "$TOOL" 3>&-
    assert_experiment_held
    assert_line --regexp '^    All threads are kept on CPU 0: '
}

@test "06 experiment: --plot draws a picture" {
    cd "$TMPDIR"
    LAB_MEASURE=50 run play 06_cpu_shares --plot shares.svg
    assert_experiment_held
    grep -q '<svg' shares.svg
    grep -q 'A alone' shares.svg
    rm shares.svg
}

@test "06 experiment: a picture stays where there is no space for a new one" {
    # shellcheck disable=SC2016 # another shell expands it
    LAB_MEASURE=50 run unshare --mount sh -c 'mount -t tmpfs -o size=64k none "$1" && cd "$1" || exit
        echo old >shares.svg; cat /dev/zero >fill 2>/dev/null
        timeout "$3" "$2" --plot shares.svg; cat shares.svg' - "$TMPDIR" "$TOOL" "$TOO_LONG" 3>&-
    assert_line --regexp 'write .*/shares\.svg: ENOSPC'
    assert_equal "${lines[-1]}" old
}

#!/usr/bin/env bats
# What is true of every experiment: however it ends, the machine is as before; --step and --shell;
# many at the same moment; and what is said to whom it cannot run for.

# machines: 2
load helpers
load ends

setup() {
    machine_before
    export LAB_MEASURE=20 # how exactly is of no importance here
}
teardown() { machine_after; }

# The names of all experiments; with `light` of those that are no load for the CPUs, with `heavy` of the others.
experiments() {
    local found
    found=$(find "$LABS" -maxdepth 1 -name '0[0-9]_*' ! -name '*.*' -perm -u+x -printf '%f\n' | sort)
    [ -n "$found" ] || fail "no experiment in $LABS"
    case ${1:-} in
    light) grep -v _cpu <<<"$found" ;;
    heavy) grep _cpu <<<"$found" ;;
    *) echo "$found" ;;
    esac
}

# for_each_experiment FUNCTION: call it with the name of each experiment.
for_each_experiment() {
    # shellcheck disable=SC2046 # each name is a word
    at_once "$1" $(experiments)
}

@test "run: Ctrl-C after each step of each experiment leaves nothing" {
    end_at_each_step press_control_c
}

# As above, but for the number of the signal.
# bats test_tags=many
@test "run: SIGTERM after each step of each experiment leaves nothing" {
    end_at_each_step terminate
}

@test "run: kill -9 of the experiment after each step leaves nothing, and is told" {
    end_at_each_step kill_experiment
}

@test "run: kill -9 of the supervisor after each step leaves at most a name, which the next run sweeps" {
    end_at_each_step kill_supervisor
    [ "$swept" -ge 10 ] || fail "only $swept names were there to be swept: this test proves nothing"
}

# at_call CALL NUMBER EFFECT COMMAND...: run COMMAND with EFFECT, in strace's words, at its NUMBERth CALL.
at_call() {
    timeout -k 1 "$TOO_LONG" env --default-signal=INT,TERM strace -f -o /dev/null -e "trace=$1" \
        -e "inject=$1:$3:when=$2" "${@:4}" 3>&-
}

# Neither a directory of a run that is no more, nor an empty one of all runs.
no_run_is_left() {
    ! machine_state | grep '^left /run/container-labs/' && ! rmdir /run/container-labs 2>/dev/null
}

# ended_at STATUS CALL NUMBER EFFECT COMMAND...: it ends so, and leaves nothing.
ended_at() {
    run "-$1" at_call "${@:2}"
    no_run_is_left || fail "left by ${*:2}: $(ls -R /run/container-labs 2>&1)"
}

@test "run: a signal while it begins leaves nothing, nor does a process that cannot be had" {
    local lab labs
    # One at a time: the directory of all runs must not be there yet.
    labs=$(experiments)
    for lab in $labs; do
        # The directory of all runs, and that of this run.
        ended_at 130 mkdir 1 signal=SIGINT "$LABS/$lab"
        ended_at 143 mkdir 2 signal=SIGTERM "$LABS/$lab"
        ended_at 1 clone 1 error=EAGAIN "$LABS/$lab"
        assert_output "$lab: fork: EAGAIN (Resource temporarily unavailable)"
    done
    # The same for the tools that have a run, and for what fills a directory.
    ended_at 130 mkdir 2 signal=SIGINT "$LABS/05_cgroup_cpu" --cpus 1 sleep 100
    ended_at 143 mkdir 2 signal=SIGTERM "$LABS/06_cpu_shares" --seconds 100 A=2
    ended_at 125 clone 1 error=EAGAIN "$LABS/05_cgroup_cpu" --cpus 1 sleep 100
    ended_at 130 mkdirat 1 signal=SIGINT "$LABS/02_rootfs" "$TMPDIR/rootfs"
}

# What was said, but for lab 09's word where files cannot be shown with other owners.
without_word_of_owners() { grep -v -- '--userns auto: ' <<<"$output"; }

closed_streams() {
    run bash -c 'timeout "$1" "$2" <&- 2>&-' - "$TOO_LONG" "$LABS/$1" 3>&-
    assert_experiment_held
}

without_output() {
    run -1 bash -c 'timeout "$1" "$2" <&- >&-' - "$TOO_LONG" "$LABS/$1" 3>&-
    assert_equal "$(without_word_of_owners)" "$1: write to stdout: EBADF (Bad file descriptor)"
}

@test "run: standard streams that are closed are no trouble, but for the words that go nowhere" {
    for_each_experiment closed_streams
    for_each_experiment without_output
}

without_path() {
    run env -u PATH "$(command -v timeout)" "$TOO_LONG" "$LABS/$1" 3>&-
    assert_experiment_held
}

@test "run: an experiment that may open too few files says so, status 77" {
    run -77 --separate-stderr env -u LAB_MUST_RUN sh -c 'ulimit -n 8; exec "$0"' "$LABS/03_unshare" 3>&-
    assert_equal "$stderr" "03_unshare: a process may have too few open files; type: ulimit -n 1024"
    run -0 sh -c 'ulimit -Sn 8; exec "$0"' "$LABS/04_setns" 3>&-
}

@test "run: without PATH all goes on as usual" {
    for_each_experiment without_path
}

@test "run: a command that an experiment needs is named with its package, status 77" {
    local row lab command package
    for row in 01_chroot:ldd:libc-bin 01_chroot:readelf:binutils 02_rootfs:chroot:coreutils 02_rootfs:unshare:util-linux \
        03_unshare:ip:iproute2 03_unshare:ipcmk:util-linux 03_unshare:mount:mount 03_unshare:ps:procps \
        03_unshare:hostname:hostname 03_unshare:unshare:util-linux 04_setns:hostname:hostname \
        04_setns:mount:mount 04_setns:unshare:util-linux; do
        IFS=: read -r lab command package <<<"$row"
        run -77 --separate-stderr env -u LAB_MUST_RUN PATH="$(path_without "$command")" "$LABS/$lab" 3>&-
        assert_equal "$stderr" "$lab: $(missing_words "$command" "$package")"
    done
}

@test "run: labs in a directory that PATH cannot have say so, status 77" {
    local name
    for name in 'a:b' 'a$HOME'; do
        mkdir "$BATS_TEST_TMPDIR/$name"
        cp "$LABS/09_full_container" "$LABS/02_rootfs" "$BATS_TEST_TMPDIR/$name"
        run -77 --separate-stderr env -u LAB_MUST_RUN "$BATS_TEST_TMPDIR/$name/09_full_container" 3>&-
        assert_equal "$stderr" "09_full_container: PATH cannot have a directory with : or \$ in its name, as the one of this program has; move the labs to another one"
    done
}

full_device() {
    run -1 bash -c 'timeout "$1" "$2" >/dev/full' - "$TOO_LONG" "$LABS/$1" 3>&-
    assert_equal "$(without_word_of_owners)" "$1: write to stdout: ENOSPC (No space left on device)"
}

@test "run: an experiment whose words cannot be written fails" {
    for_each_experiment full_device
}

@test "run: a living run is not swept by another one" {
    start_and_stop_after_step 01_chroot 2
    play 01_chroot >/dev/null
    [ -d "/run/container-labs/01-$supervisor$PID_SUFFIX" ]
    yes '' | head -n 20 >&8
    wait "$supervisor"
    exec 8>&-
    run cat "$BATS_TEST_TMPDIR/out"
    assert_line --regexp 'checks held, 0 failed$'
}

# as_process_1 RUN COMMAND...: as process 1 of a PID namespace, with the machine's /run or, where RUN is own, with another.
as_process_1() {
    timeout -k 1 "$TOO_LONG" unshare --pid --fork --kill-child --mount --mount-proc sh -c '
        [ "$1" != own ] || mount -t tmpfs none /run || exit
        shift
        exec "$@"' - "$@" 3>&-
}

waits_for_a_key() { [ "$(grep -o -e '-- Enter' "$1" | wc -l)" -ge "$2" ]; }

@test "run: two that are process 1 of their PID namespaces hold, and do not sweep each other" {
    local place lab first
    mkfifo "$BATS_TEST_TMPDIR/keys"
    exec 8<>"$BATS_TEST_TMPDIR/keys"
    for place in shared own; do
        for lab in 01_chroot 05_cgroup_cpu 09_full_container; do
            as_process_1 "$place" "$LABS/$lab" --step <&8 >"$BATS_TEST_TMPDIR/first" 2>&1 8>&- &
            first=$!
            echo >&8
            wait_until waits_for_a_key "$BATS_TEST_TMPDIR/first" 2
            run as_process_1 "$place" "$LABS/$lab"
            assert_experiment_held
            yes '' | head -n 30 >&8
            wait "$first"
            # What it has not read is not the next one's.
            exec 8>&-
            rm "$BATS_TEST_TMPDIR/keys" && mkfifo "$BATS_TEST_TMPDIR/keys"
            exec 8<>"$BATS_TEST_TMPDIR/keys"
            run cat "$BATS_TEST_TMPDIR/first"
            assert_line --regexp '^\[[0-9]+\] [1-9][0-9]* checks held, 0 failed$'
        done
    done
    exec 8>&-
}

@test "run: two containers of the same name, whose runtimes have the same PID, have groups of their own" {
    "$LABS/02_rootfs" "$TMPDIR/rootfs"
    mkfifo "$BATS_TEST_TMPDIR/input"
    exec 8<>"$BATS_TEST_TMPDIR/input"
    local container=("$LABS/09_full_container" run -i --name box --net none --userns host "$TMPDIR/rootfs")
    as_process_1 own "${container[@]}" sh -c 'echo here; read -r _; echo held' <&8 >"$BATS_TEST_TMPDIR/first" 2>&1 8>&- &
    local first=$!
    wait_until grep -qx here "$BATS_TEST_TMPDIR/first"
    run -0 as_process_1 own "${container[@]}" echo too </dev/null
    assert_line too
    echo >&8
    exec 8>&-
    wait "$first"
    grep -qx held "$BATS_TEST_TMPDIR/first"
    rm -r "$TMPDIR/rootfs"
}

eight() {
    local number
    local -a eight=()
    for number in 1 2 3 4 5 6 7 8; do
        "$LABS/$1" >"$BATS_TEST_TMPDIR/$1.$number" 2>&1 3>&- &
        eight+=($!)
    done
    for number in 1 2 3 4 5 6 7 8; do
        wait "${eight[number - 1]}" || fail "$(cat "$BATS_TEST_TMPDIR/$1.$number")"
    done
}

# bats test_tags=many
@test "run: eight of each experiment at the same moment all pass" {
    local one heavy
    heavy=$(experiments heavy)
    # shellcheck disable=SC2046 # each name is a word
    at_once eight $(experiments light)
    for one in $heavy; do eight "$one"; done
}

reader_goes_away() {
    run -141 bash -c 'set -o pipefail; timeout -k 1 "$2" "$1" | head -n 3' - "$LABS/$1" "$TOO_LONG" 3>&-
}

@test "run: a reader that goes away ends the experiment, and nothing is left" {
    for_each_experiment reader_goes_away
}

@test "run: q after a step ends it with the checks so far" {
    run -0 bash -c 'printf "\nq\n" | "$LABS/01_chroot" --step' 3>&-
    assert_line --partial 'step 2 of'
    refute_line --partial 'step 3 of'
    assert_line --regexp '^\[01\] [1-9][0-9]* checks held, 0 failed, ended early$'
}

@test "run: any other word after a step is asked for again" {
    run -0 bash -c 'printf "x\nquit\nskip\nn" | "$LABS/01_chroot" --step' 3>&-
    assert_equal "$(grep -c -- '-- Enter: go on, s: a shell here, q: end -- ' <<<"$output")" 5
    assert_line --partial 'step 1 of'
    refute_line --partial 'step 2 of'
    refute_line --partial 'exit leaves the shell'
    assert_line --partial 'ended early'
}

@test "run: the end of input ends --step as q does" {
    run -0 play 01_chroot --step </dev/null
    refute_line --partial 'step 2 of'
}

@test "run: an answer that cannot be read is no end of input" {
    run -1 "$LABS/01_chroot" --step <"$TMPDIR"
    assert_output --partial "read the answer: EISDIR (Is a directory)"
}

@test "run: a limit of namespaces is told as one; POSIXLY_CORRECT changes nothing" {
    # shellcheck disable=SC2016 # it is the inner shell that counts
    run unshare --user --map-root-user --mount sh -c 'mount -t tmpfs none /run && echo 1 >/proc/sys/user/max_mnt_namespaces && exec "$@"' \
        sh "$LABS/01_chroot"
    assert_output --partial "unshare CLONE_NEWNS: ENOSPC (No space left on device); the limits are in /proc/sys/user"
    run -0 env POSIXLY_CORRECT=1 "$LABS/07_veth_bridge"
    run -2 env POSIXLY_CORRECT=1 "$LABS/08_nat" up --nonsense
    refute_output --partial "one command is wanted"
}

@test "run: one inside of the shell of another leaves that alone" {
    run -0 bash -c 'printf "s\n%s >%s 2>&1\nexit\nq\n" "$LABS/01_chroot" "$BATS_TEST_TMPDIR/inner" | SHELL=/bin/sh "$LABS/01_chroot" --step' 3>&-
    run -0 cat "$BATS_TEST_TMPDIR/inner"
    refute_output --partial "remove the run"
    assert_output --partial " checks held, 0 failed"
}

@test "run: s after a step opens a shell in the place of the experiment" {
    run -0 bash -c 'printf "\n\n\ns\nls my_root/bin\nexit\nq\n" | SHELL=/bin/sh "$LABS/01_chroot" --step' 3>&-
    assert_line --regexp '^(.*[$#] )?bash$'
    assert_line --partial 'ended early'
}

@test "run: --shell ends in a shell inside" {
    run -0 bash -c 'echo "echo /*" | SHELL=/bin/bash "$LABS/01_chroot" --shell' 3>&-
    assert_line --regexp '^(.*[$#] )?/bin /lib.*'
}

# type_at_terminal COMMAND KEYS...: run COMMAND on a terminal; whenever "-- Enter" is waited for
# once more, type the next of KEYS (as printf(1) writes them).
type_at_terminal() {
    local command=$1 typed=0 attempt
    shift
    mkfifo "$BATS_TEST_TMPDIR/keyboard"
    exec 8<>"$BATS_TEST_TMPDIR/keyboard"
    # What the shell ignores in the background, a newer timeout(1) ignores, too.
    env --default-signal=INT,QUIT timeout -k 1 "$TOO_LONG" script -qefc "$command" /dev/null \
        <&8 >"$BATS_TEST_TMPDIR/screen" 2>&1 8<&- 3>&- &
    for key in "$@"; do
        typed=$((typed + 1))
        for attempt in $(seq $((300 * SLOW))); do
            [ "$(grep -o -e '-- Enter' "$BATS_TEST_TMPDIR/screen" | wc -l)" -ge "$typed" ] && break
            sleep 0.02
        done
        [ "$attempt" -lt $((300 * SLOW)) ] || fail "no question before '$key': $(cat "$BATS_TEST_TMPDIR/screen")"
        # shellcheck disable=SC2059 # the key is a format, for \r and \003
        printf "$key" >&8
    done
    wait "$!" || true
    exec 8>&-
}

@test "run: Ctrl-C on a terminal ends it, and the terminal is as before" {
    local state="stty -a >$BATS_TEST_TMPDIR/tty"
    type_at_terminal "trap : INT; $state.before; $LABS/01_chroot --step; echo status=\$?; $state.after" \
        '\r' '\003'
    run cat "$BATS_TEST_TMPDIR/screen"
    assert_output --partial 'step 2 of'
    assert_output --partial 'status=130'
    cmp "$BATS_TEST_TMPDIR/tty.before" "$BATS_TEST_TMPDIR/tty.after"
}

@test "run: a shell that is killed gives the terminal back" {
    local state="stty -a >$BATS_TEST_TMPDIR/tty"
    type_at_terminal "$state.before; SHELL=/bin/bash $LABS/01_chroot --step; echo status=\$?; $state.after" \
        '\r' 's\rkill -9 $$\r' 'q\r'
    run cat "$BATS_TEST_TMPDIR/screen"
    assert_output --partial 'ended early'
    assert_output --partial 'status=0'
    cmp "$BATS_TEST_TMPDIR/tty.before" "$BATS_TEST_TMPDIR/tty.after"
}

@test "run: an argument beside --step is refused with status 2" {
    run -2 --separate-stderr play 01_chroot --step whatever
    assert_equal "$output" ""
    assert_equal "${stderr_lines[0]}" "01_chroot: 'whatever' does not go together with '--step'"
}

@test "run: nothing propagates to a shared mount tree" {
    run -0 unshare --mount --propagation shared bash -c '
        findmnt -rno TARGET >"$TMPDIR/before" && "$LABS/01_chroot" >/dev/null &&
        findmnt -rno TARGET >"$TMPDIR/after" && cmp "$TMPDIR/before" "$TMPDIR/after" &&
        rm "$TMPDIR/before" "$TMPDIR/after"' 3>&-
}

@test "run: --help and --version of every lab go to stdout with status 0" {
    local lab labs
    labs=$(experiments)
    for lab in $labs; do
        run -0 --separate-stderr "$LABS/$lab" --help
        assert_line --index 0 --partial "Usage: $lab"
        assert_equal "$stderr" ""
        run -0 --separate-stderr "$LABS/$lab" --version
        assert_output --partial "$lab"
        run ! bash -c '"$1" --help >/dev/full' - "$LABS/$lab"
        run ! --separate-stderr bash -c '"$1" --help >&-' - "$LABS/$lab"
        assert_regex "$stderr" "write to stdout: EBADF"
    done
}

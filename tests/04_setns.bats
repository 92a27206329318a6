#!/usr/bin/env bats
# Lab 04: nsenter(1) as a tool, and the experiment.

load helpers

# hold NAME UNSHARE-OPTION... COMMAND...: keep new namespaces open by a process whose PID is left in
# the variable NAME when it has written to $TMPDIR/ready.
hold() {
    local name=$1
    shift
    mkfifo -m 666 "$TMPDIR/ready"
    "${before_unshare[@]}" unshare --kill-child --fork "$@" >/dev/null 2>&1 </dev/null 3>&- &
    holders+=($!)
    timeout $((60 * SLOW)) cat "$TMPDIR/ready" >/dev/null
    rm "$TMPDIR/ready"
    declare -g "$name=$(pgrep -P $!)"
    [ -e "/proc/${!name}/ns" ]
}

setup() {
    machine_before
    holders=() before_unshare=()
    chmod 755 "$BATS_TEST_TMPDIR" "$TMPDIR"
    DIR=$BATS_TEST_TMPDIR/dir
    mkdir -p "$DIR/bin" "$DIR/only-here" "$DIR/login"
    cp "$(command -v busybox)" "$DIR/bin/busybox"
    for applet in sh ls pwd id; do ln -s busybox "$DIR/bin/$applet"; done
    echo 'echo a login shell' >"$DIR/login/.profile"
    echo "not a program" >"$DIR/plain"
    : >"$DIR/bound"
    chmod -R a+rX "$DIR"
}

# Three processes to enter: T in all but a user namespace, R in a user namespace of root's, U in one
# of an ordinary user's.
hold_targets() {
    # shellcheck disable=SC2016 # expanded by the inner shells
    hold T -m -u -i -n -p -C -T --mount-proc sh -c 'hostname inside && cd "$1" && mount --bind bin only-here &&
        echo >"$TMPDIR/ready" && exec sleep 1000' - "$DIR"
    hold R -U -u sh -c 'echo >"$TMPDIR/ready" && exec sleep 1000'
    echo '0 20000 10' >"/proc/$R/uid_map"
    echo '0 30000 10' >"/proc/$R/gid_map"
    before_unshare=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    hold U --map-root-user -u -n sh -c 'hostname user && echo >"$TMPDIR/ready" && exec sleep 1000'
    true & # a PID that is no more
    GONE=$!
    wait "$GONE"
    mount --bind "/proc/$T/ns/uts" "$DIR/bound"
}

teardown() {
    umount "$DIR/bound" 2>/dev/null
    [ ${#holders[@]} -eq 0 ] || { kill -KILL "${holders[@]}"; wait "${holders[@]}"; } 2>/dev/null
    machine_after
}

# shellcheck disable=SC2030
@test "04 tool: same status, stdout and kind of stderr as nsenter(1)" {
    hold_targets
    MINIMUM_ROWS=150 compare_rows nsenter "$LABS/04_setns" <<'ROWS'
-t $T -m readlink /proc/$T/ns/mnt
-t $T -m ls $DIR/only-here
-t $T -u hostname
-t $T -i readlink /proc/self/ns/ipc
-t $T -n readlink /proc/self/ns/net
-t $T -n ip -o link
-t $T -p readlink /proc/self/ns/pid
-t $T -C readlink /proc/self/ns/cgroup
-t $T -T readlink /proc/self/ns/time
-t $T -T readlink /proc/self/ns/time_for_children
-t $R -U readlink /proc/self/ns/user
-t $R -U id
-t $R -U -u readlink /proc/self/ns/user /proc/self/ns/uts
--target $T --mount --pid ls /proc/1/task
--target=$T --uts hostname
--target $T --ipc readlink /proc/self/ns/ipc
--target $T --net ip -o addr
--target $T --pid --mount sh -c 'readlink /proc/self/ns/*'
--target $T --cgroup cat /proc/self/cgroup
--target $T --time cat /proc/self/timens_offsets
--target $R --user cat /proc/self/uid_map
--targ $T --ut hostname
-t$T -u hostname
-t $T -unip hostname
-t $T -u -n -i -p sh -c 'readlink /proc/self/ns/*'
-a -t $T sh -c 'readlink /proc/self/ns/*; hostname; pwd'
--all --target $T ls $DIR/only-here
-a -t $R sh -c 'readlink /proc/self/ns/*; id'
-a -t $$ readlink /proc/self/ns/net
-a -t $T -w pwd
-a -t $T --uts=/proc/$U/ns/uts hostname
-a
-a true
-a -t $GONE true
-t $T --uts=/proc/$U/ns/uts hostname
-t $T -u --uts=/proc/$U/ns/uts hostname
-t $T --uts=/proc/$U/ns/uts -u hostname
-t $U -t $T -u hostname
-u/proc/$T/ns/uts hostname
--uts=/proc/$T/ns/uts hostname
--uts=$DIR/bound hostname
-u$DIR/bound hostname
-t $T -n --uts=$DIR/bound readlink /proc/self/ns/net /proc/self/ns/uts
--mount=/proc/$T/ns/mnt ls $DIR/only-here
--ipc=/proc/$T/ns/ipc readlink /proc/self/ns/ipc
--net=/proc/$T/ns/net readlink /proc/self/ns/net
-n/proc/$T/ns/net ip -o link
--pid=/proc/$T/ns/pid readlink /proc/self/ns/pid
--pid=/proc/$T/ns/pid_for_children readlink /proc/self/ns/pid
--cgroup=/proc/$T/ns/cgroup readlink /proc/self/ns/cgroup
--time=/proc/$T/ns/time readlink /proc/self/ns/time
--user=/proc/$R/ns/user id
--net=/proc/$T/ns/net --uts=/proc/$U/ns/uts --user=/proc/$R/ns/user sh -c 'readlink /proc/self/ns/*; hostname'
--net=$DIR/missing true
--net= true
--net=$DIR true
--net=/etc/passwd true
--net=/proc/$T/ns/uts true
--uts=/proc/$T/ns/net true
--pid=/proc/$T/ns/mnt true
--mount=$DIR/bound true
--user=/proc/$T/ns/pid true
--user=/proc/self/ns/user true
--net=/proc/$GONE/ns/net true
-n=/proc/$T/ns/net true
-t $T -U true
-t
--target
-t $T
-t 12x -n true
-t 0x10 -n true
-t '' -n true
-t ' ' -n true
-t 0 -n true
-t -1 -n true
-t 99999999 -n true
-t 99999999999999999999 -n true
-t $GONE -n true
-t $GONE -a true
-t $GONE true
-n true
-m true
-p true
-U true
-C true
-T true
-r true
-w true
-t $T -p sh -c 'readlink /proc/self/ns/pid /proc/self/ns/pid_for_children'
-t $T -p -F sh -c 'cd /proc/self/ns; exec readlink pid pid_for_children'
-t $T -F -n readlink /proc/self/ns/net
-t $T --pid --no-fork true
-S 1234 id
--setuid 1234 id
--setuid=1234 id -u
-G 1234 id
--setgid=1234 id -g
-S 1234 -G 4321 id
-S 1 -S 2 id
-S 1x id
-S '' id
-S -1 id
-S 4294967295 id
-S 99999999999999999999 id
-S root id
-S
-G 1x id
-G -1 id
-G
-t $R -U -S 3 -G 4 id
-t $R -U -S 3 id
-t $R -U -G 4 id
-t $R -U -S 11 id
-t $R -U -G 11 id
-t $R -U --preserve-credentials id
-t $R -U --preserve-credentials -S 5 id
-t $U -U id
-t $U -U -n -u sh -c 'id; hostname; ip -o link'
--preserve-credentials id
-t $T -r pwd
-t $T -r ls $DIR/only-here
-t $T --root -w pwd
-t $T -r -W / pwd
-r$DIR pwd
--root=$DIR /bin/pwd
--root=$DIR /bin/ls /
--root=$DIR -w$DIR/bin /bin/pwd
--root=$DIR -W /bin /bin/pwd
--root=$DIR --wdns=/bin /bin/ls
--root=$DIR --wdns=/login /bin/ls -a
--root=$DIR/missing true
--root=$DIR/plain true
--root= true
-t $T -w pwd
-t $T --wd ls
-t $T -m -w ls
-t $T -w$DIR/bin -w pwd
-w$DIR pwd
--wd=$DIR/bin pwd
--wd=$DIR/missing pwd
--wd=$DIR/plain pwd
-W $DIR pwd
-W$DIR pwd
--wdns=$DIR pwd
--wdns pwd
-t $T -m -W $DIR/only-here ls
-W $DIR/missing pwd
-W $DIR/plain pwd
-w$DIR -W $DIR pwd
-t $T -w --wdns=$DIR pwd
-W
true
false
sh -c 'exit 42'
-t $T -n -- hostname
-t $T -n hostname -f --help
-- hostname
-t $T -n sh -c 'echo "$@"' - -t 1 -n
-t $T -p sh -c 'exit 42'
-t $T -p -F sh -c 'exit 42'
-t $T -n sh -c 'kill -TERM $$'
-t $T -n sh -c 'kill -KILL $$'
-t $T -p sh -c 'kill -TERM $$'
-t $T -p sh -c 'kill -KILL $$'
-t $T -p sh -c 'kill -HUP $$'
-t $T -p -F sh -c 'kill -TERM $$'
-t $T -p -F sh -c 'kill -KILL $$'
-t $T -n missing
-t $T -p missing
-t $T -n $DIR/missing
-t $T -n $DIR/plain
-t $T -p $DIR/plain
-t $T -n $DIR
-t $T -n ''
env PATH=/nowhere -- -t $T -n ls
env SHELL=/bin/pwd -- -t $T -n
env SHELL=/bin/pwd -- -w$DIR
env SHELL=/bin/false -- -t $T -p
env SHELL=pwd -- -t $T -n
env SHELL= -- -t $T -n
env SHELL=$DIR/plain -- -t $T -n
env -u SHELL -- -t $T -n
env SHELL=/bin/bash HOME=$DIR/login -- -t $T -u
--no-such-option
-x
--wd --no-such-option
--all=1 -t $T true
--no-fork=1 true
--preserve true
--u true
user:true
user:-t $T -n true
user:-t $T -a true
user:-t $U -U true
user:-t $U -n true
user:-t $U -U --preserve-credentials id
user:-t $U -U -u -n --preserve-credentials sh -c 'id; hostname; ip -o link'
user:-t $U -a --preserve-credentials sh -c 'readlink /proc/self/ns/*; hostname; pwd'
user:--user=/proc/$U/ns/user --net=/proc/$U/ns/net --preserve-credentials ip -o link
user:--net=/proc/$U/ns/net ip -o link
user:--net=/proc/$T/ns/net true
user:--uts=$DIR/bound true
user:--user=/proc/$R/ns/user true
user:-S 65534 id
user:-S 0 id
user:-G 65534 id
user:-G 0 id
user:-w$DIR pwd
user:-W $DIR pwd
user:-r$DIR /bin/pwd
user:-t $U -w pwd
user:-t $T -w pwd
user:-t 12x -n true
user:-n true
user:-t $GONE -n true
user:-t $U -F -n true
user:missing
user:$DIR/plain
ROWS
}

# Each option of the article's list: what nsenter is given, and a command outside that tells what must be printed.
# (nsenter since 2.41 refuses some options without a namespace, so each row has one.)
@test "04 tool: every option prints what nsenter(1) and /proc say" {
    local given right program rows=0
    hold_targets
    before_unshare=()
    # shellcheck disable=SC2016 # expanded by the inner shell
    hold O --map-root-user -u -C -T sh -c 'hostname other && echo >"$TMPDIR/ready" && exec sleep 1000'
    export T O R DIR
    while IFS=';' read -r given right; do
        rows=$((rows + 1))
        for program in nsenter "$LABS/04_setns"; do
            # shellcheck disable=SC2016 # expanded inside
            run -0 sh -c "program() { '$program' \"\$@\"; }; program $given"
            assert_equal "$program $given: $output" "$program $given: $(sh -c "$right")"
        done
    done <<'ROWS'
-t $T --all sh -c 'ls /proc/1/cwd/only-here && uname -n'; ls $DIR/bin && echo inside
-t $T --mount ls $DIR/only-here; ls $DIR/bin
-t $T --uts uname -n; echo inside
-t $T --ipc readlink /proc/self/ns/ipc; readlink /proc/$T/ns/ipc
-t $T --net readlink /proc/self/ns/net; readlink /proc/$T/ns/net
-t $T --pid readlink /proc/self/ns/pid; readlink /proc/$T/ns/pid
-t $O --cgroup readlink /proc/self/ns/cgroup; readlink /proc/$O/ns/cgroup
-t $O --time readlink /proc/self/ns/time; readlink /proc/$O/ns/time
-t $O --user readlink /proc/self/ns/user; readlink /proc/$O/ns/user
--uts=/proc/$O/ns/uts uname -n; echo other
-t $T --uts --net=/proc/self/ns/net uname -n; echo inside
-t $T --uts --setuid 1234 id -u; echo 1234
-t $T --uts --setgid 1234 id -g; echo 1234
-t $R --user --preserve-credentials id -u; cat /proc/sys/kernel/overflowuid
-t $T --uts --root ls $DIR/only-here; ls $DIR/bin
-t $T --uts --root=$DIR /bin/ls /login -a; ls -a $DIR/login
-t $T --uts --wd ls only-here; ls $DIR/bin
-t $T --uts --wd=/proc/$T/root/$DIR/only-here ls; ls $DIR/bin
-t $T --mount --wdns=$DIR/only-here ls; ls $DIR/bin
-t $T --pid --no-fork readlink /proc/self/ns/pid; readlink /proc/self/ns/pid
-t $T --follow-context --uts uname -n 2>/dev/null; echo inside
--help | grep -c no-fork; echo 1
--version | wc -l; echo 1
ROWS
    assert_equal "$rows" 23
}

# shellcheck disable=SC2031 # run sets it in this shell
# refuses STATUS LINE ARGUMENT...: LINE on stderr, nothing on stdout.
refuses() {
    local status=$1 line=$2
    shift 2
    run "-$status" --separate-stderr "$LABS/04_setns" "$@"
    assert_equal "$output" ""
    assert_equal "${stderr_lines[0]}" "04_setns: $line"
    [ "${#stderr_lines[@]}" -eq 1 ] || assert_equal "${stderr_lines[1]}" "Try '04_setns --help' for more information."
}

@test "04 tool: -Z without SELinux says so, and goes on as the model, which is silent" {
    hold_targets
    local row model
    local -a as
    read_differences nsenter
    [ ! -e /sys/fs/selinux/enforce ] || fail "there is SELinux here"
    for row in '-Z -t $T -u hostname' '--follow-context -t $T -u hostname' '-Z true' 'user:-t $U -Z true'; do
        as=()
        if [[ $row == user:* ]]; then as=(setpriv --reuid=65534 --regid=65534 --clear-groups); fi
        eval "set -- ${row#user:}"
        run --separate-stderr "${as[@]}" nsenter "$@"
        # shellcheck disable=SC2154 # run sets it
        if is_otherwise "$row" "$stderr"; then continue; fi
        model="$status $output"
        run --separate-stderr "${as[@]}" "$LABS/04_setns" "$@"
        assert_equal "$status $output" "$model"
        if [ "$status" -eq 0 ]; then
            assert_equal "$stderr" '04_setns: --follow-context: this kernel has no SELinux, so there is nothing to follow'
        fi
    done
}

@test "04 tool: bad input gets one clear line" {
    hold_targets
    local not_of_that_kind="EINVAL (Invalid argument); it must be of that kind, and not ours or above us"
    refuses 1 "invalid PID: '12x'" -t 12x -n true
    refuses 1 "invalid PID: '0'" -t 0 -n true
    refuses 1 "invalid PID: '-1'" -t -1 -n true
    refuses 1 "invalid PID: '4294967297'" -t 4294967297 -n true
    refuses 1 "invalid user ID: '1x'" -S 1x true
    refuses 1 "invalid group ID: '4294967295'" -G 4294967295 true
    refuses 1 "there is no process $GONE" -t "$GONE" -n true
    refuses 1 "there is no process $GONE" -t "$GONE" --all true
    refuses 1 "--net needs a file or a target (-t PID); write --net=FILE" -n true
    refuses 1 "--root needs a file or a target (-t PID); write --root=FILE" -r true
    refuses 1 "--all needs a target (-t PID)" -a true
    refuses 1 "cannot open '$DIR/missing': ENOENT (No such file or directory)" --net="$DIR/missing" true
    refuses 1 "cannot open '=$DIR/bound': ENOENT (No such file or directory); a short option takes FILE without '='" \
        -u="$DIR/bound" true
    refuses 1 "join the net namespace: $not_of_that_kind" --net=/etc/passwd true
    refuses 1 "join the net namespace: $not_of_that_kind" --net="/proc/$T/ns/uts" true
    refuses 1 "join the user namespace: $not_of_that_kind" -t "$T" --user true
    refuses 1 "cannot open '$DIR/plain': ENOTDIR (Not a directory)" --root="$DIR/plain" true
    refuses 1 "--wd and --wdns exclude each other" --wd=/ -W / true
    refuses 1 "unrecognized option '--no-such-option'" --no-such-option
    refuses 1 "option requires an argument -- 't'" -t
    refuses 126 "failed to run command '$DIR/plain': Permission denied" -t "$T" -n "$DIR/plain"
    refuses 127 "failed to run command 'missing': No such file or directory" -t "$T" -p missing
}

@test "04 tool: an ordinary user is told that only root may" {
    hold_targets
    run -1 --separate-stderr setpriv --reuid=65534 --regid=65534 --clear-groups "$LABS/04_setns" -t "$T" -n true
    assert_equal "$stderr" \
        "04_setns: cannot open '/proc/$T/ns/net': EACCES (Permission denied); only root may: try sudo"
    run -1 --separate-stderr setpriv --reuid=65534 --regid=65534 --clear-groups "$LABS/04_setns" --uts="$DIR/bound" true
    assert_equal "$stderr" \
        "04_setns: join the uts namespace: EPERM (Operation not permitted); only root may: try sudo"
}

@test "04 tool: groups that cannot be dropped are told, where nsenter(1) keeps them in silence" {
    run -1 --separate-stderr setpriv --groups 5 unshare -r "$LABS/04_setns" -G 0 id -G
    assert_equal "$output" ""
    assert_equal "$stderr" "04_setns: drop the supplementary groups: EPERM (Operation not permitted)"
    # Without any, there is nothing to drop.
    run -0 setpriv --clear-groups unshare -r "$LABS/04_setns" -G 0 id -G
    assert_output 0
}

@test "04 tool: a working directory that may not be entered stays, as with nsenter(1)" {
    local program
    hold_targets
    mkdir -m 700 "$DIR/closed"
    cd "$DIR/closed"
    for program in nsenter "$LABS/04_setns"; do
        run -0 setpriv --reuid=65534 --regid=65534 --clear-groups \
            "$program" -t "$U" -U -u --preserve-credentials hostname
        assert_output user
    done
}

@test "04 tool: nobody can be born in a PID namespace whose PID 1 has ended" {
    hold_targets
    umount "$DIR/bound"
    mount --bind "/proc/$T/ns/pid" "$DIR/bound"
    kill -KILL "$T"
    wait "${holders[0]}" || true
    run -1 --separate-stderr nsenter --pid="$DIR/bound" true
    refuses 1 "fork: ENOMEM (Cannot allocate memory); PID 1 of that namespace has ended" --pid="$DIR/bound" true
}

state_of() { sed -E 's/.*\) (.).*/\1/' "/proc/$1/stat"; }

wait_for_state() {
    local attempt
    for attempt in $(seq $((300 * SLOW))); do
        [ "$(state_of "$1")" = "$2" ] && return 0
        sleep 0.02
    done
    fail "process $1 is in state $(state_of "$1"), not $2 (looked $attempt times)"
}

@test "04 tool: it stops when its child stops, goes on when told to, and the child with it, as nsenter(1)" {
    local program status
    hold_targets
    for program in nsenter "$LABS/04_setns"; do
        # shellcheck disable=SC2016 # expanded inside
        "$program" -t "$T" -p sh -c 'kill -STOP $$; echo goes on; exit 7' >"$BATS_TEST_TMPDIR/out" 3>&- &
        wait_for_state $! T
        wait_for_state "$(pgrep -P $!)" T
        kill -CONT $!
        status=0
        wait $! || status=$?
        assert_equal "$status" 7
        assert_equal "$(cat "$BATS_TEST_TMPDIR/out")" "goes on"
    done
}

@test "04 tool: what it has opened stays with it" {
    hold_targets
    # shellcheck disable=SC2016 # expanded inside
    local list='ls /proc/$$/fd'
    sh -c "$list" >"$BATS_TEST_TMPDIR/without" 3>&-
    "$LABS/04_setns" -t "$T" -a -r -w sh -c "$list" >"$BATS_TEST_TMPDIR/at_once" 3>&-
    "$LABS/04_setns" -t "$T" -p -m --net="/proc/$T/ns/net" sh -c "$list" >"$BATS_TEST_TMPDIR/one_by_one" 3>&-
    grep -qx 2 "$BATS_TEST_TMPDIR/without"
    cmp "$BATS_TEST_TMPDIR/without" "$BATS_TEST_TMPDIR/at_once"
    cmp "$BATS_TEST_TMPDIR/without" "$BATS_TEST_TMPDIR/one_by_one"
}

@test "04 experiment: every row of the article is seen" {
    run play 04_setns
    assert_experiment_held
    assert_line "  ok    these are its own, the other three are ours"
    assert_line "  ok    only net and pid are not the caller's"
    assert_line "  ok    and these two are the target's"
    assert_line --regexp '^    \| process [0-9]{1,2} on '"$(uname -n)$"
    assert_line "  ok    five were joined by one call"
    assert_line "  ok    all are the target's now"
    assert_line --regexp '^    \| process [0-9]{1,2} on target$'
    assert_line "  ok    pid is the caller's, pid_for_children the target's"
    assert_line "    | setns: EINVAL (Invalid argument)"
    assert_line "  ok    and the net namespace is still the old one"
    assert_line "    | second process: kill(1000) 0, setns(pidfd) ESRCH"
    assert_line "  ok    entered, we are its root"
    assert_equal "$(grep -c '^  ok  ' <<<"$output")" 14
}

@test "04 experiment: the calls are shown, and the namespaces that it calls the caller's are this shell's" {
    local kind inode
    run play 04_setns
    assert_line "    setns(net, CLONE_NEWNET) = 0"
    assert_line "    setns(pidfd, CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWNS | CLONE_NEWIPC) = 0"
    # A * marks what is not the caller's: all that is new of the target, and of it what was entered.
    for kind in user cgroup time; do
        inode=$(stat -Lc %i /proc/self/ns/$kind)
        assert_line --regexp "^    $kind +$inode +$inode +$inode$"
    done
    for kind in ipc uts; do
        inode=$(stat -Lc %i /proc/self/ns/$kind)
        assert_line --regexp "^    $kind +$inode +$inode +\*[0-9]+$"
    done
    for kind in net pid; do
        inode=$(stat -Lc %i /proc/self/ns/$kind)
        grep -qE "^    $kind +$inode +\*([0-9]+) +\*\1$" <<<"$output" || fail "$kind: $output"
    done
}

@test "04 experiment: it enters by itself, without nsenter(1)" {
    local command
    chmod a+x "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" "$BATS_TEST_TMPDIR"
    mkdir "$DIR/tools"
    for command in sh readlink id touch cat mkdir mkfifo hostname mount sleep uname unshare; do
        ln -s "$(command -v $command)" "$DIR/tools/$command"
    done
    run env PATH="$DIR/tools" "$LABS/04_setns" 3>&-
    assert_experiment_held
}

@test "04 experiment: a shell of --step can enter the target" {
    run -0 bash -c 'printf "%s\n" "" "" s "nsenter --target \$TARGET --uts hostname" exit q |
        SHELL=/bin/sh "$LABS/04_setns" --step' 3>&-
    assert_line --regexp '^(.*[$#] )?target$'
}

@test "04 experiment: --shell ends in a shell in the target's namespaces" {
    # shellcheck disable=SC2016 # expanded in that shell
    run -0 bash -c 'echo "$2" | SHELL=/bin/bash "$1" --shell' - "$LABS/04_setns" \
        'echo "inside $(uname -n) $(cat /proc/1/comm) $$ $(ip -o link | wc -l)"' 3>&-
    assert_line --regexp '^(.*# )?inside target sleep [0-9]{1,3} 1$'
}

@test "04 tool: a PID that is given to another process meanwhile is not taken for the first" {
    # In a PID namespace of its own, so that nobody else takes the number.
    run -1 timeout "$TOO_LONG" unshare --pid --fork --mount-proc --kill-child bash -c '
        holder() { echo $(($1 - 1)) >/proc/sys/kernel/ns_last_pid; unshare --uts sh -c "hostname $2; exec sleep 1000" & }
        is_named() { until [ "$(nsenter -t 300 -u hostname 2>/dev/null)" = "$1" ]; do sleep 0.01; done; }
        holder 300 first
        is_named first
        # It stops when it has opened the file, and has not gone on.
        strace -f -o "$TMPDIR/trace" -P /proc/300/ns/uts -e trace=openat,open -e inject=openat,open:signal=STOP \
            "$LABS/04_setns" -t 300 -u hostname 2>&1 &
        tracer=$! # its job is forgotten if it has ended before we wait, its PID is not
        until grep -q "stopped by SIGSTOP" "$TMPDIR/trace" 2>/dev/null; do sleep 0.01; done
        kill -9 300
        wait 300 2>/dev/null
        holder 300 second
        is_named second
        kill -CONT $(pgrep -x 04_setns)
        wait $tracer' 3>&-
    assert_line "04_setns: process 300 has just ended" # bash may tell of the one that was killed, too
    rm "$TMPDIR/trace"
}

@test "04 experiment: it does not wait for a target that has ended" {
    mkdir "$TMPDIR/bin"
    printf '#!/bin/sh\nexec sleep 0.5\n' >"$TMPDIR/bin/unshare"
    chmod 755 "$TMPDIR/bin/unshare"
    PATH=$TMPDIR/bin:$PATH run -1 timeout -k 1 $((30 * SLOW)) "$LABS/04_setns" 3>&-
    assert_line '04_setns: exec cat ready: what it waits for has ended; see above'
    rm -r "${TMPDIR:?}/bin"
}

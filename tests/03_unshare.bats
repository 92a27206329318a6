#!/usr/bin/env bats
# Lab 03: unshare(1) as a tool, and the experiment.
# Every test is a subshell with an $output of its own:
# shellcheck disable=SC2030,SC2031

load helpers

setup() { machine_before; }
teardown() { machine_after; }

@test "03 tool: same status, stdout and kind of stderr as unshare(1)" {
    mkdir -p "$BATS_TEST_TMPDIR/root/bin" "$BATS_TEST_TMPDIR/root/dir" "$BATS_TEST_TMPDIR/root/proc"
    cp "$(command -v busybox)" "$BATS_TEST_TMPDIR/root/bin/sh"
    export ROOT=$BATS_TEST_TMPDIR/root
    MINIMUM_ROWS=200 compare_rows unshare "$LABS/03_unshare" <<'ROWS'
# Nothing unshared, and how a command ends.
true
false
-- echo a 'b c'
echo -m --help
sh -c 'exit 42'
sh -c 'kill -TERM $$'
sh -c 'kill -KILL $$'
missing
/missing
/
/etc/passwd
''
-f true
--fork sh -c 'exit 42'
-f sh -c 'kill -HUP $$'
-f sh -c 'kill -TERM $$'
-f sh -c 'kill -INT $$'
-f sh -c 'kill -USR1 $$'
-f sh -c 'kill -KILL $$'
-f sh -c 'exit 143'
-f sh -c 'kill -TERM $PPID; kill -INT $PPID; exit 7'
-f sh -c 'trap "exit 5" TERM; kill -TERM $$'
-f missing
-f /
-f ''
env SHELL=/bin/echo -- -u
env SHELL=/bin/missing -- -u
env SHELL= -- -u
env SHELL=echo -- -u
env PATH=/nowhere -- -u ls
env SHELL=/bin/true -- --fork
# Each kind.
-u sh -c 'echo x >/proc/sys/kernel/hostname; uname -n'
--uts sh -c 'hostname y; hostname'
-m sh -c 'mount -n -t tmpfs none /mnt && ls -A /mnt; umount -n /mnt'
--mount sh -c 'grep -c . /proc/self/mountinfo'
-i sh -c 'ipcmk -Q >/dev/null; ipcs -q | grep -c 0x'
--ipc ipcs -q
-n ip -brief link
--net sh -c 'cat /proc/net/dev | wc -l'
-p sh -c ':'
-p sh -c '/bin/true && echo one child may be born'
-p -f sh -c 'echo $$'
--pid --fork sh -c 'echo $$; sh -c "echo \$\$"'
-p sh -c '/bin/true; /bin/true; echo not reached'
-pf sh -c 'kill -KILL $$; echo 1 cannot kill itself'
-pf sh -c 'kill -TERM $$; echo 1 cannot kill itself'
-U id
--user cat /proc/self/uid_map /proc/self/gid_map
-C cat /proc/self/cgroup
--cgroup grep -c ':/$' /proc/self/cgroup
-T cat /proc/self/timens_offsets
--time --fork true
-muinpUCT -f sh -c 'echo $$'
-m -u -i -n -p -U -C -T --fork id -u
-mm -u -u true
# Maps.
-r id
-r -- cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups
--map-root-user id -u
-c id
-c cat /proc/self/uid_map /proc/self/gid_map
--map-current-user id -u
-r -c id
-c -r id
--map-user=0 id
--map-user=5 cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups
--map-user=games id
--map-user games id
--map-user=nobody-at-all id
--map-user=12x id
--map-user= id
--map-user=1.5 id
--map-user=0x10 id
--map-user=99999999999999999999 id
--map-group=5 id
--map-group=games cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups
--map-group=12x id
--map-group= id
--map-group=no-group id
--map-user=5 --map-group=6 id
-r --map-user=5 id
--map-user=5 -r id
-c --map-group=7 id
-r -n ip -brief link
-r -m sh -c 'mount -n -t tmpfs none /mnt && echo mounted'
-r -u sh -c 'echo mine >/proc/sys/kernel/hostname; uname -n'
--setgroups=allow true
--setgroups=deny true
--setgroups=deny -U cat /proc/self/setgroups
--setgroups allow -U cat /proc/self/setgroups
--setgroups=allow -r true
-c --setgroups allow true
--setgroups=deny -r true
--setgroups=bogus true
--setgroups= true
--setgroups
# Mounts.
-pf --mount-proc sh -c 'echo $$; echo /proc/[0-9]*'
--pid --fork --mount-proc sh -c 'readlink /proc/self; :'
--mount-proc sh -c 'tail -n 1 /proc/self/mountinfo | cut -d " " -f 4-'
-pf --mount-proc="$ROOT/proc" sh -c 'cd "$ROOT/proc"; echo [0-9]*'
-pf --mount-proc=/missing true
--mount-proc= true
--mount-proc=/etc/passwd true
-r --mount-proc true
-r -pf --mount-proc sh -c 'echo $$; echo /proc/[0-9]*'
-m --propagation private grep -c shared: /proc/self/mountinfo
-m --propagation slave grep -c shared: /proc/self/mountinfo
-m --propagation=shared sh -c 'grep -vc shared: /proc/self/mountinfo'
-m --propagation unchanged grep -c shared: /proc/self/mountinfo
--propagation shared true
--propagation unchanged -pf --mount-proc sh -c 'echo /proc/[0-9]*'
--propagation slave -pf --mount-proc=/missing true
--propagation=bogus true
--propagation= true
--propagation
# Directories.
-R "$ROOT" sh -c 'pwd; echo *'
--root="$ROOT" -w /dir sh -c pwd
-R "$ROOT" -w dir sh -c pwd
-R "$ROOT" ls
-R "$ROOT" -pf --mount-proc sh -c 'echo /proc/[0-9]*'
-R /missing true
-R '' true
-R /etc/passwd true
-R
-w / pwd
--wd="$ROOT/dir" pwd
-w /missing true
-w '' true
-w /etc/passwd true
-w
-r -R "$ROOT" sh -c pwd
# Identities.
-S 1 id
-G 1 id
-S 1 -G 1 id
--setuid=1 --setgid=2 id
-S 010 id
-r -S 0 id
-r -S 5 id
-r -G 0 id
-r -S 0 -G 0 id
-S 12x id
-S '' id
-S -1 id
-S 4294967295 id
-S 99999999999999999999 id
-S daemon id
-G 12x id
-G -1 id
-G adm id
-G '' id
-S
-G
# --kill-child
--kill-child sh -c 'exit 3'
--kill-child=KILL true
--kill-child=SIGTERM true
--kill-child=term true
--kill-child=NOSUCH true
--kill-child=RTMIN+1 true
--kill-child=sigrtmax-2 true
--kill-child=RTMIN true
--kill-child=RTMIN+99 true
--kill-child=RTMAX+1 true
--kill-child=CLD true
--kill-child=SIGIOT true
--kill-child=9 true
--kill-child=0 true
--kill-child=65 true
--kill-child=-9 true
--kill-child=9x true
--kill-child= true
--kill-child -S 1 id
# Options that are none.
--no-such-option
-x
-mx
-u=x true
--help=x
--version=x
--fork=x true
--map true
--m true
--mou true
--mo=x true
--map-root true
--prop slave true
# Files that cannot be.
--uts=/missing/file true
--uts= true
--mount=/missing/file true
--pid=/missing/file -f true
--net=/proc true
# As an ordinary user.
user:true
user:-m true
user:-u true
user:-p -f true
user:-T true
user:-U id
user:-r id
user:-r cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups
user:-c id
user:-c cat /proc/self/uid_map /proc/self/gid_map
user:--map-user=5 id
user:--map-user=5 cat /proc/self/uid_map /proc/self/gid_map
user:--map-user=root --map-group=games id
user:--map-group=6 id
user:-r -m sh -c 'mount -n -t tmpfs none /mnt && ls -A /mnt'
user:-r -n ip -brief link
user:-r -u sh -c 'echo mine >/proc/sys/kernel/hostname; uname -n'
user:-r -pf --mount-proc sh -c 'echo $$; echo /proc/[0-9]*'
user:-r --mount-proc true
user:-muinpUCT -r -f sh -c 'id -u; echo $$'
user:-r -S 0 id
user:-r -S 1 id
user:-r -G 0 id
user:-S 0 id
user:-S 65534 id
user:-G 65534 id
user:-R / true
user:-r -R "$ROOT" sh -c pwd
user:-w /root true
user:-w / pwd
user:-U --setgroups=deny cat /proc/self/setgroups
user:-U --setgroups=allow cat /proc/self/setgroups
user:--setgroups=deny true
user:-r --setgroups=allow true
user:--kill-child sh -c 'exit 3'
user:-f sh -c 'kill -TERM $$'
user:-r --uts=/etc/hostname true
user:missing
ROWS
}

# refuses LINE ARGUMENT...: status 1, nothing on stdout, this first line on stderr, and the command
# (which would say so on stdout) does not run.
refuses() {
    local line=$1
    shift
    run -1 --separate-stderr "$LABS/03_unshare" "$@" echo the command runs
    assert_equal "$output" ""
    assert_equal "${stderr_lines[0]}" "03_unshare: $line"
}

@test "03 tool: bad input gets one clear line, status 1, and nothing runs" {
    local missing=$TMPDIR/missing option
    refuses "invalid user: '12x'" --map-user=12x
    assert_equal "${#stderr_lines[@]}" 1
    refuses "invalid group: ''" --map-group=
    # Where unshare(1) takes another number than the one that was written, this program does not.
    refuses "invalid user: '4294967295'" --map-user=4294967295
    refuses "invalid user: '4294967296'" --map-user=4294967296
    refuses "invalid user: '-1'" --map-user=-1
    refuses "invalid ID: '4294967296'" -S 4294967296
    refuses "invalid ID: ' 5'" -G ' 5'
    refuses "invalid ID: '+5'" --setgid=+5
    refuses "invalid signal name: 'NOSUCH'" --kill-child=NOSUCH
    refuses "invalid signal name: '9'" --kill-child=9
    refuses "invalid propagation: 'bogus'" --propagation=bogus
    refuses "invalid word for --setgroups: 'bogus'" --setgroups=bogus
    refuses "--setgroups=allow and a mapped group exclude each other" -r --setgroups=allow
    refuses "cannot change root directory to '$missing': ENOENT (No such file or directory)" -R "$missing"
    refuses "cannot chdir to '$missing': ENOENT (No such file or directory)" -w "$missing"
    refuses "mount proc on '$missing': ENOENT (No such file or directory)" --mount-proc="$missing"
    assert_equal "${#stderr_lines[@]}" 1
    refuses "set user ID 5: EINVAL (Invalid argument)" -r -S 5
    refuses "unrecognized option '--no-such-option'" --no-such-option
    assert_equal "${stderr_lines[1]}" "Try '03_unshare --help' for more information."
    refuses "invalid option -- 'x'" -x
    for option in map-auto keep-caps; do
        refuses "this program has no --$option; use unshare(1)" "--$option"
    done
    for option in map-users map-groups monotonic boottime; do
        refuses "this program has no --$option; use unshare(1)" "--$option" 1,2,3
    done
    assert_equal "${#stderr_lines[@]}" 1
    [ ! -e "$missing" ]
    run -1 --separate-stderr setpriv --reuid=65534 --regid=65534 --clear-groups "$LABS/03_unshare" -m true
    assert_equal "$stderr" \
        "03_unshare: unshare: EPERM (Operation not permitted); only root may, or anybody with --map-root-user"
    run -1 --separate-stderr "$LABS/03_unshare" -f sh -c 'kill -KILL $$'
    assert_equal "$stderr" "03_unshare: the child was ended by SIGKILL"
    run -127 --separate-stderr "$LABS/03_unshare" -u missing
    assert_equal "$stderr" "03_unshare: failed to run command 'missing': No such file or directory"
}

@test "03 tool: --help names every option, --version the version; a full disk is no success" {
    local option
    run -0 --separate-stderr "$LABS/03_unshare" --help
    for option in mount uts ipc net pid user cgroup time fork kill-child mount-proc propagation root \
        map-root-user map-current-user map-user map-group setgroups wd setuid setgid help version; do
        assert_output --regexp "--${option}[^a-z-]"
    done
    run -0 "$LABS/03_unshare" -V
    assert_output --regexp '^03_unshare \(container-labs [0-9.]+\)$'
    run -1 bash -c '"$LABS/03_unshare" --help >/dev/full'
}

@test "03 tool: each option makes a namespace of its kind and no other" {
    local row letter option name other
    for row in m:mount:mnt u:uts:uts i:ipc:ipc n:net:net p:pid:pid U:user:user C:cgroup:cgroup T:time:time; do
        IFS=: read -r letter option name <<<"$row"
        for option in "-$letter" "--$option"; do
            # --fork, so that we look at a child that is born in the PID or time namespace.
            run -0 "$LABS/03_unshare" "$option" --fork readlink /proc/self/ns/{mnt,uts,ipc,net,pid,user,cgroup,time}
            for other in mnt uts ipc net pid user cgroup time; do
                if [ "$other" = "$name" ]; then
                    refute_line "$(readlink "/proc/self/ns/$other")"
                else
                    assert_line "$(readlink "/proc/self/ns/$other")"
                fi
            done
        done
    done
}

# Run a script in a private mount namespace: what it mounts goes with it (and mount -n keeps no list
# of it in /run/mount). A mount namespace can only
# be kept in an older one, and kernels that number them for each CPU call the older one older only
# if both were made on the same CPU: hence taskset.
in_private_mounts() {
    timeout -k 1 "$TOO_LONG" taskset -c 0 unshare --mount bash -euc "cd '$TMPDIR'; $1" 3>&-
}

@test "03 tool: --KIND=FILE keeps the namespace when its processes have ended" {
    local row option name
    for row in mount:mnt uts:uts ipc:ipc net:net user:user cgroup:cgroup time:time; do
        IFS=: read -r option name <<<"$row"
        run -0 in_private_mounts "
            touch kept
            inside=\$('$LABS/03_unshare' --$option=kept --fork readlink /proc/self/ns/$name)
            stat -fc %T kept
            [ \"\$inside\" != \"\$(readlink /proc/self/ns/$name)\" ]
            [ \"\$inside\" = \"$name:[\$(stat -Lc %i kept)]\" ]
            [ \"\$inside\" = \"\$(nsenter --preserve-credentials --$option=\$PWD/kept readlink /proc/self/ns/$name)\" ]
            umount -n kept && rm kept"
        assert_output nsfs
    done
}

@test "03 tool: --uts=FILE keeps what was set inside" {
    run -0 in_private_mounts "
        touch kept
        '$LABS/03_unshare' --uts=kept sh -c 'echo sandbox >/proc/sys/kernel/hostname'
        nsenter --uts=kept uname -n
        umount -n kept && rm kept"
    assert_output sandbox
}

@test "03 tool: --pid=FILE keeps the namespace of the child, which others can enter" {
    run -0 in_private_mounts "
        touch kept && mkfifo begun end
        '$LABS/03_unshare' --pid=kept --fork sh -c 'readlink /proc/self/ns/pid >begun; read -r word <end' &
        read -r inside <begun
        [ \"\$inside\" != \"\$(readlink /proc/self/ns/pid)\" ]
        [ \"\$inside\" = \"pid:[\$(stat -Lc %i kept)]\" ]
        [ \"\$inside\" = \"\$(nsenter --pid=kept readlink /proc/self/ns/pid)\" ]
        nsenter --pid=kept sh -c 'echo \$\$'
        echo >end && wait
        umount -n kept && rm kept begun end"
    assert_output --regexp '^[2-9]$'
}

@test "03 tool: several files, with --mount among them and a user namespace" {
    run -0 in_private_mounts "
        touch m u n U
        '$LABS/03_unshare' --mount=m --uts=u --net=n --user=U -r readlink /proc/self/ns/{mnt,uts,net,user} >inside
        [ \"\$(stat -Lc %i m u n U)\" = \"\$(tr -dc '0-9\n' <inside)\" ]
        stat -fc %T m u n U
        umount -n m u n U && rm m u n U inside"
    assert_output "$(printf 'nsfs\n%.0s' 1 2 3 4)"
}

@test "03 tool: if one namespace cannot be kept, none is and the command does not run" {
    run -0 in_private_mounts "
        touch u
        ! '$LABS/03_unshare' --uts=u --mount=\$PWD/missing -f touch ran
        ! '$LABS/03_unshare' --uts=u --mount=\$PWD/missing touch ran
        ! '$LABS/03_unshare' --ipc=u --pid=u -n touch ran
        ! findmnt -n u
        [ ! -e ran ] && rm u"
    assert_line --regexp "^03_unshare: mount /proc/[0-9]+/ns/mnt on '$TMPDIR/missing': ENOENT \(No such file or directory\)$"
    assert_line --regexp "^03_unshare: mount /proc/[0-9]+/ns/pid_for_children on 'u': ENOENT .*; a PID namespace begins with a child: add --fork$"
}

@test "03 tool: --mount-proc and --propagation change nothing outside" {
    # Mounts that are shared, as systemd makes them: what a new namespace mounts would come out.
    run -0 in_private_mounts "
        mkdir shared && mount -n -t tmpfs tmpfs shared && mount -n --make-rshared / && grep -c . /proc/self/mountinfo >before
        '$LABS/03_unshare' --mount sh -c 'mount -n -t tmpfs tmpfs shared'
        '$LABS/03_unshare' --mount --propagation=slave sh -c 'mount -n -t tmpfs tmpfs shared'
        '$LABS/03_unshare' --mount-proc -pf --propagation=unchanged true
        '$LABS/03_unshare' --mount-proc -pf --propagation=shared true
        grep -c . /proc/self/mountinfo | cmp - before
        '$LABS/03_unshare' --mount --propagation=unchanged sh -c 'mount -n -t tmpfs tmpfs shared'
        [ \$(grep -c . /proc/self/mountinfo) -eq \$((\$(cat before) + 1)) ]
        rm before; umount -n shared shared && rmdir shared"
}

# Start our tool with --fork and OPTIONS, a child that sleeps, and kill the tool. Sets $child.
kill_parent_of_child() {
    local parent attempt
    "$LABS/03_unshare" --fork "$@" sleep 60 3>&- &
    parent=$!
    for attempt in $(seq $((200 * SLOW))); do
        child=$(pgrep -P "$parent" -x sleep) && break
        sleep 0.02
    done
    [ -n "$child" ] || fail "no child (looked $attempt times)"
    kill -KILL "$parent"
    wait "$parent" || true
}

# A dead one that nobody has waited for yet does not run.
is_running() { grep -qs '^State:[[:space:]]*[DIRSTt]' "/proc/$1/status"; }

@test "03 tool: --kill-child kills the child when the tool dies, also one that has become another user" {
    local options attempt
    for options in --kill-child --kill-child=TERM "--kill-child --setuid=1 --setgid=1" "--kill-child -r" "--kill-child --pid"; do
        # shellcheck disable=SC2086 # words
        kill_parent_of_child $options
        for attempt in $(seq $((100 * SLOW))); do
            is_running "$child" || break
            sleep 0.02
        done
        ! is_running "$child" || fail "$options: the child lives (looked $attempt times)"
    done
}

@test "03 tool: without --kill-child the child lives on" {
    kill_parent_of_child --uts
    is_running "$child"
    kill "$child"
}

@test "03 experiment: every row of the article is seen" {
    run play 03_unshare
    assert_experiment_held
    assert_equal "$(grep -c '^  ok  ' <<<"$output")" 34
    for kind in uts ipc pid mnt net user "pid mnt" cgroup time; do
        assert_line "  ok    new: $kind; the other namespaces are the machine's"
    done
    assert_line "    | $(uname -n)"
    for flag in CLONE_NEWUTS CLONE_NEWIPC CLONE_NEWPID CLONE_NEWNS CLONE_NEWNET CLONE_NEWUSER CLONE_NEWCGROUP CLONE_NEWTIME; do
        assert_line "    unshare($flag) = 0"
    done
    assert_line '    write_file("/proc/self/uid_map", "0 65534 1") = 9'
    # It returns twice, and both are shown.
    assert_line --regexp '^    syscall\(SYS_clone3, .*\) = [1-9][0-9]*$'
    assert_line --regexp '^    syscall\(SYS_clone3, .*\) = 0$'
    assert_line "    setns(pidfd, CLONE_NEWPID | CLONE_NEWNS) = 0"
    assert_line "    msgget.outside = ENOENT (No such file or directory)"
    assert_line "    | second fork: ENOMEM (Cannot allocate memory)"
    assert_line --regexp '^    uid_map = +0 +65534 +1$'
    assert_line --regexp '^    \| lo +DOWN'
    # The numbers that do not differ are those of this shell; the experiment's mnt is its own.
    for kind in user cgroup ipc uts net time; do
        inode=$(readlink "/proc/self/ns/$kind" | tr -dc 0-9)
        assert_line --regexp "^    $kind +$inode +$inode\$"
    done
    assert_line --regexp "^    pid +$(readlink /proc/self/ns/pid | tr -dc 0-9) +\\*[0-9]+\$"
    assert_line --regexp '^    mnt +[0-9]+ +\*[0-9]+$'
}

@test "03 experiment: eight at once hold, and leave nothing" {
    local number pids=()
    for number in 1 2 3 4 5 6 7 8; do
        play 03_unshare >"$BATS_TEST_TMPDIR/$number" &
        pids+=($!)
    done
    for number in 1 2 3 4 5 6 7 8; do
        wait "${pids[number - 1]}" || { cat "$BATS_TEST_TMPDIR/$number"; fail "number $number"; }
        grep -q '^\[03\] 34 checks held, 0 failed$' "$BATS_TEST_TMPDIR/$number"
    done
}

# In a shell of --step, before step $1, type the line $2.
type_before_step() {
    { printf '\n%.0s' $(seq $(($1 - 1))) && printf '%s\n' s "$2" exit q; } |
        SHELL=/bin/sh timeout -k 1 "$TOO_LONG" "$LABS/03_unshare" --step 3>&-
}

@test "03 experiment: in a shell of --step, \$BOX is the sandbox of the step before, and is alive" {
    # shellcheck disable=SC2016 # expanded in that shell
    run -0 type_before_step 3 'nsenter --target $BOX --uts hostname'
    assert_line --regexp '^(.*[$#] )?sandbox$'
    # shellcheck disable=SC2016
    run -0 type_before_step 9 'nsenter --target $BOX --pid --mount ps ax -o pid=,comm='
    assert_line --regexp '^(.*[$#] )? +1 sh$'
    refute_line --partial ' 03_unshare'
}

@test "03 experiment: --shell ends in a shell inside" {
    run bash -c 'echo "uname -n; echo pid \$\$; echo devices \$(ip -o link | wc -l); readlink /proc/self/ns/uts" |
        SHELL=/bin/sh timeout 300 "$LABS/03_unshare" --shell 2>&1 3>&-'
    assert_success
    assert_line --partial sandbox
    assert_line --partial "pid 1"
    assert_line --partial "devices 1"
    refute_line "$(readlink /proc/self/ns/uts)"
}

@test "03 tool: a pipe that fails is told, nothing is run and no process stays" {
    touch "$TMPDIR/uts"
    local arguments
    for arguments in "-u -f" "--uts=$TMPDIR/uts" "--uts=$TMPDIR/uts -f"; do
        # shellcheck disable=SC2086 # words
        run -1 --separate-stderr timeout 10 "$(program_of refuse)" write:EIO:2=1 -- \
            "$LABS/03_unshare" $arguments touch "$TMPDIR/ran" 3>&-
        assert_equal "$stderr" "03_unshare: write to a pipe: EIO (Input/output error)"
        [ ! -e "$TMPDIR/ran" ]
    done
    rm "$TMPDIR/uts"
}

@test "03_unshare: where standard streams are closed, no error message opens the gate of the process that keeps" {
    touch "$TMPDIR/uts"
    run -1 bash -c '"$@" >&- 2>&-' - strace -f -qq -o /dev/null -e inject=unshare:error=ENOSPC \
        -e inject=exit_group:delay_enter=$((200000 * SLOW)) "$LABS/03_unshare" --uts="$TMPDIR/uts" true 3>&-
    run ! mountpoint -q "$TMPDIR/uts"
    rm "$TMPDIR/uts"
}

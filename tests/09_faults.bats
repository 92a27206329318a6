#!/usr/bin/env bats
# Lab 09: no call of the service fails in silence. A call is made to fail, and what must follow is a status other than
# 0, one line that names what was tried and the errno, and a record that stays until nothing is left.

load helpers
load container

setup_file() { make_rootfs; }
setup() { machine_before; host_up; }
teardown() { host_down; machine_after; }

# with_fault PATH CALL EFFECT COMMAND...: a command of lab 09 in which CALL, on PATH unless that is empty, has EFFECT,
# as strace words it.
with_fault() {
    local of_path=() words=("${@:4}")
    if [ -n "$1" ]; then of_path=(-P "$1"); fi
    if [ "$4" = run ] && [ -n "$CANNOT_MAP" ]; then words=(run --userns host "${@:5}"); fi
    on_host timeout -k 1 "$TOO_LONG" strace -f -qq -o /dev/null "${of_path[@]}" -e "trace=$2" -e "inject=$2:$3" \
        "$LABS/09_full_container" "${words[@]}"
}

# What the machine has of the bridge.
network_of_host() {
    on_host sh -c 'ip -br link show labs0 2>/dev/null | cut -d " " -f 1; iptables-save | grep -e CONTAINER-LABS -e labs0
        nft list tables; cat /proc/sys/net/ipv4/ip_forward'
}

# nothing_is_left: the next command removes what there is.
nothing_is_left() {
    run -0 labs09 prune
    assert_equal "$(network_of_host)" 0
    [ ! -e "$CONTAINER_LABS_STATE" ] || fail "left: $(ls -A "$CONTAINER_LABS_STATE")"
}

@test "faults: stop, kill, exec and ps that cannot look at a process say so, and it runs on" {
    start -n w --net none
    local pid command
    pid=$(pid_of w)
    for command in "stop w" "kill w" ps "inspect w" "logs w" prune; do
        # shellcheck disable=SC2086 # a command and its arguments
        run -1 on_host sh -c "ulimit -n 4; exec $LABS/09_full_container $command"
        assert_output --partial "EMFILE (Too many open files)"
        [ "${#lines[@]}" -eq 1 ] || [ "$command" = ps ] || fail "$command: $output"
    done
    for command in "stop w" "kill w" ps; do
        # shellcheck disable=SC2086
        run -1 with_fault "" pidfd_open error=EMFILE $command
        assert_output --regexp "09_full_container: open process [0-9]+ of w: EMFILE \\(Too many open files\\)"
        # shellcheck disable=SC2086
        run -1 with_fault "/proc/$pid/stat" openat error=ENFILE $command
        assert_output --partial "09_full_container: open process $pid of w: ENFILE (Too many open files in system)"
    done
    run -125 with_fault "" pidfd_open error=EMFILE exec w true
    assert_output "09_full_container: open process $pid of w: EMFILE (Too many open files); too many files are open: raise ulimit -n"
    run -1 with_fault "/proc/$pid/status" openat error=EACCES stop w
    assert_output "09_full_container: read which signals process $pid of w handles: EACCES (Permission denied)"
    run -0 labs09 ps
    assert_line --regexp "^w  *$pid  *running "
    labs09 kill w
}

@test "faults: exec that can send nothing from inside does not take the container for ended" {
    start -n w --net none
    # The process between reports by sendmsg, too.
    run -125 with_fault "" sendmsg error=ENOBUFS exec w true
    assert_output "09_full_container: the process that enters w has ended with status 125, and could not say why"
    labs09 kill w
}

@test "faults: a runtime that cannot wait any more ends its container, and says so" {
    local status=0
    labs09 run -n w --net none ${CANNOT_MAP:+--userns host} "$ROOTFS" sleep 1000 2>"$BATS_TEST_TMPDIR/said" 3>&- &
    eventually eval 'labs09 exec w true 2>/dev/null'
    # poll(2) takes no more descriptors than a process may open.
    prlimit --pid "$(container_runtimes)" --nofile=6:6
    kill -WINCH "$(container_runtimes)"
    wait $! || status=$?
    assert_equal "$status" 137
    assert_equal "$(head -n 1 "$BATS_TEST_TMPDIR/said")" "09_full_container: wait for the container, which is ended now: EINVAL (Invalid argument)"
    nothing_is_left
}

@test "faults: a claim whose container has no record is told by each command, until it is removed" {
    start -n w --net none
    ln -s gone "$CONTAINER_LABS_STATE/+port-tcp-9001"
    run -0 labs09 ps
    assert_line "09_full_container: $CONTAINER_LABS_STATE/+port-tcp-9001 is of gone, whose record is gone: remove it when that container is, too"
    run -1 labs09 prune
    rm "$CONTAINER_LABS_STATE/+port-tcp-9001"
    labs09 kill w
    nothing_is_left
}

@test "faults: a container is not started where its process cannot be told from a later one" {
    # shellcheck disable=SC2016 # the inner shell's own PID
    run -125 on_host unshare -m --propagation private sh -c 'mount --bind /dev/null "/proc/$$/stat" && exec "$@"' \
        sh "$LABS/09_full_container" run --net none "$ROOTFS" true
    assert_output --regexp '^09_full_container: read when process [0-9]+ began: EBADMSG \(Bad message\)$'
    assert [ ! -e "$CONTAINER_LABS_STATE" ]
}

@test "faults: where the boot ID or the record of the bridge cannot be read, the bridge is not forgotten" {
    start -n w
    local before file
    before=$(network_of_host)
    for file in /proc/sys/kernel/random/boot_id "$CONTAINER_LABS_STATE/.network"; do
        run -0 with_fault "$file" openat error=EMFILE ps
        assert_line --regexp "^09_full_container: use the record .*/\.network: EMFILE \(Too many open files\)$"
        run -1 with_fault "$file" openat error=EMFILE prune
        run -125 with_fault "$file" openat error=EMFILE run "$ROOTFS" true
        assert_line --partial "EMFILE (Too many open files)"
        assert_equal "$(network_of_host)" "$before"
    done
    labs09 kill w
    nothing_is_left
}

@test "faults: undoing that fails keeps the record, makes the status 125, and is tried again" {
    local bridge
    run -125 with_fault /proc/sys/net/ipv4/ip_forward openat error=EIO:when=3+ run -n w "$ROOTFS" true
    assert_line "09_full_container: give back /proc/sys/net/ipv4/ip_forward, whose record is in /run/container-labs.forwarding: EIO (Input/output error)"
    assert_line --partial "what is left of w is for the next command to remove"
    # While forwarding is on, what guards it stays, too.
    bridge=$(network_of_host)
    assert [ "$(grep -c -e 'FORWARD ! -i labs0' <<<"$bridge")" -eq 1 ]
    nothing_is_left
    # The bridge is removed by a child, whose only message this is.
    run -125 with_fault "" fork,clone error=EAGAIN run -n w "$ROOTFS" true
    nothing_is_left
    # That there is no process for ::1 ends no other process: -1 would be all of them.
    run -125 with_fault "" fork,clone error=EAGAIN run -n w -p 8080:80 "$ROOTFS" true
    assert_line --regexp '^09_full_container: fork for the ports at ::1: EAGAIN'
    nothing_is_left
}

@test "faults: a process for ::1 that has ended before its container is told" {
    labs09 run -n w -p 8080:80 ${CANNOT_MAP:+--userns host} "$ROOTFS" sleep 1000 2>"$BATS_TEST_TMPDIR/told" &
    eventually labs09 exec w true
    kill -VTALRM "$(relay_of w)"
    labs09 kill w
    wait "$!" || true
    assert_equal "$(head -n 1 "$BATS_TEST_TMPDIR/told")" "09_full_container: w: ended by SIGKILL"
    assert_equal "$(tail -n 1 "$BATS_TEST_TMPDIR/told")" "09_full_container: the process for the ports at ::1 had ended before its container"
}

@test "faults: a base whose container cannot be looked for is neither removed nor passed over in silence" {
    mkdir -m 700 "$CONTAINER_LABS_STATE" "$CONTAINER_LABS_STATE/+bases"
    mkdir "$CONTAINER_LABS_STATE/+bases/gone"
    run -1 with_fault "$CONTAINER_LABS_STATE/gone" lstat,newfstatat error=EIO prune
    assert_output "09_full_container: look for the container of the base gone: EIO (Input/output error)"
    assert [ -d "$CONTAINER_LABS_STATE/+bases/gone" ]
    nothing_is_left
}

@test "faults: claims that cannot be listed or removed are removed by the next command" {
    local call
    for call in getdents64 readlinkat unlinkat; do
        run with_fault "$CONTAINER_LABS_STATE" "$call" error=EIO run -n w -p 8080:80 "$ROOTFS" true
        assert_failure 125
        assert_line --partial "EIO (Input/output error)"
        nothing_is_left
        run -0 labs09 run -n w2 -p 8080:80 "$ROOTFS" true
    done
}

@test "faults: a claim that cannot be made is not taken for one of another container" {
    run -125 with_fault "$CONTAINER_LABS_STATE" symlinkat error=ENOSPC run "$ROOTFS" true
    assert_output "09_full_container: claim address 10.209.0.2 in $CONTAINER_LABS_STATE: ENOSPC (No space left on device)"
    run -125 with_fault "$CONTAINER_LABS_STATE" symlinkat error=ENOSPC:when=2 run -p 8080:80 "$ROOTFS" true
    assert_output "09_full_container: claim port 8080/tcp in $CONTAINER_LABS_STATE: ENOSPC (No space left on device)"
    run -125 with_fault "" bind error=EACCES run -p 8080:80 "$ROOTFS" true
    assert_output --partial "EACCES (Permission denied)"
    refute_output --partial "in use"
    nothing_is_left
}

@test "faults: what fails where an archive is unpacked is told, and not written to the archive" {
    local before
    tar -C "$ROOTFS" -cf "$TMPDIR/a.tar" .
    before=$(sha256sum <"$TMPDIR/a.tar")
    run -125 with_fault /proc/self/uid_map openat error=EMFILE run --net none - true 0<>"$TMPDIR/a.tar"
    assert_line --partial "09_full_container: read /proc/self/uid_map: EMFILE (Too many open files)"
    assert_equal "$(sha256sum <"$TMPDIR/a.tar")" "$before"
    rm "$TMPDIR/a.tar"
    nothing_is_left
}

@test "faults: a published port is never missing in silence" {
    start -n first -p 8081:80
    # The container is listed, but cannot be read.
    run -125 with_fault "$CONTAINER_LABS_STATE/first/state" openat error=EIO run -n w -p 8080:80 "$ROOTFS" true
    assert_line "09_full_container: read $CONTAINER_LABS_STATE/first/state: EIO (Input/output error)"
    assert_line "09_full_container: the published ports could not be made reachable"
    run -0 on_host iptables-save
    assert_line --partial "--dport 8081"
    labs09 kill first
    nothing_is_left
}

@test "faults: rules of others that are many, or cannot be listed, are not taken for none" {
    mkdir "$TMPDIR/bin"
    printf '#!/bin/sh\necho broken >&2; exit 4\n' >"$TMPDIR/bin/iptables-legacy-save"
    chmod 755 "$TMPDIR/bin/iptables-legacy-save"
    # More than 256 KiB.
    (echo '*filter' && seq -f '-A INPUT -s 10.1.0.0/16 -p tcp --dport %g -j ACCEPT' 8000 && echo COMMIT) |
        on_host iptables-restore
    start -n w
    # Of a table that is no matter of iptables, as other programs have.
    on_host nft 'add table ip other; add chain ip other out { type nat hook postrouting priority 100; };
        add rule ip other out ip saddr 10.99.0.0/16 masquerade'
    labs09 kill w
    assert_equal "$(on_host cat /proc/sys/net/ipv4/ip_forward)" 1
    on_host sysctl -qw net.ipv4.ip_forward=0
    XTABLES_LOCKFILE=$BATS_TEST_TMPDIR/lock on_host iptables-legacy -t nat -A POSTROUTING -s 10.98.0.0/16 -j MASQUERADE
    PATH=$TMPDIR/bin:$PATH run -125 labs09 run -n w "$ROOTFS" true
    assert_line '09_full_container: iptables-legacy-save: broken'
    assert_line '09_full_container: later it could not be told whether other programs rely on /proc/sys/net/ipv4/ip_forward'
    run ! on_host ip link show labs0
    start -n w
    XTABLES_LOCKFILE=$BATS_TEST_TMPDIR/lock on_host iptables-legacy -t nat -A PREROUTING -s 10.97.0.0/16 -j DNAT --to-destination 10.96.0.1
    labs09 kill w
    assert_equal "$(on_host cat /proc/sys/net/ipv4/ip_forward)" 1
    rm -r "${TMPDIR:?}/bin"
}

@test "faults: where iptables has no connlimit, the other rules are made, and a line says so" {
    mkdir "$TMPDIR/bin"
    cat >"$TMPDIR/bin/iptables-restore" <<'SH'
#!/bin/sh
text=$(cat)
case $text in *connlimit*) echo "no connlimit" >&2; exit 4 ;; esac
echo "$text" | PATH=${PATH#*:} exec iptables-restore "$@"
SH
    chmod 755 "$TMPDIR/bin/iptables-restore"
    PATH=$TMPDIR/bin:$PATH run -0 labs09 run "$ROOTFS" echo good
    assert_output "09_full_container: iptables refuses connlimit or hashlimit (no connlimit): containers may fill the machine's table of connections
good"
    # One that is killed has refused nothing.
    sed -i 's/echo "no connlimit.*;;/kill -KILL $$ ;;/' "$TMPDIR/bin/iptables-restore"
    PATH=$TMPDIR/bin:$PATH run -125 labs09 run "$ROOTFS" echo good
    assert_line "09_full_container: iptables-restore was ended by SIGKILL"
    run -0 on_host iptables-save
    refute_output --partial CONTAINER-LABS
    rm -r "${TMPDIR:?}/bin"
}

@test "faults: the ports of a container whose record is gone are closed, though others run" {
    local runtime
    start -n keep -p 8081:80
    start -n w -p 8080:80 -p 8053:53/udp
    runtime=$(sed -n 's/^runtime=//p' "$CONTAINER_LABS_STATE/w/state")
    kill -9 "$runtime"
    wait_until_gone "$runtime"
    # As after a failure at the end, when all else is gone.
    rm "$CONTAINER_LABS_STATE/w/state"
    eventually find /sys/fs/cgroup -depth -type d -name 'container-w-*' -exec rmdir {} +
    run -0 labs09 prune
    run -0 on_host nft list ruleset
    refute_output --partial 8080
    refute_output --partial 8053
    assert_output --partial 8081
}

@test "faults: the ports of a container that ends are closed, though the record of another one is damaged" {
    start -n a -p 8080:80 --ip 10.209.0.2
    start -n b -p 8081:80 -p 8053:53/udp
    cp "$CONTAINER_LABS_STATE/b/state" "$TMPDIR/whole"
    : >"$CONTAINER_LABS_STATE/b/state"
    labs09 stop -t 0 a || true
    run -0 on_host nft list ruleset
    refute_output --partial 8080
    assert_output --partial 8081
    assert_output --partial 8053
    cp "$TMPDIR/whole" "$CONTAINER_LABS_STATE/b/state"
    rm "$TMPDIR/whole"
    labs09 kill b
    nothing_is_left
}

@test "faults: a damaged state is refused with its name, and nothing is removed" {
    start -n w -p 8080:80
    local state=$CONTAINER_LABS_STATE/w/state before runtime pid damage
    before=$(network_of_host)
    runtime=$(container_runtimes)
    pid=$(pid_of w)
    cp "$state" "$TMPDIR/whole"
    kill -9 "$runtime"
    eventually eval '[ ! -e "/proc/$pid" ]'
    # Cut in a line, between lines, empty, of another version, of another kind, without one line, with a broken number.
    for damage in 'head -c -6' 'head -n -1' 'head -n 3' 'head -c 0' 'sed "1s/1$/2/"' 'sed "1s/state/network/"' \
        'sed "/^runtime_name=/d"' 'sed "s/^address=.*/address=x/"' 'sed "s/^port=/prot=/"'; do
        eval "$damage" <"$TMPDIR/whole" >"$state"
        run -1 labs09 prune
        assert_line --partial "$state is damaged or of another version, so nothing of w is removed"
        run -1 labs09 stop w
        assert_line --partial "$state is damaged"
        run -125 labs09 exec w true
        assert_line --partial "$state is damaged"
        run -1 labs09 ps
        assert_line --partial "$state is damaged"
        assert_equal "$(network_of_host)" "$before"
        [ -L "$CONTAINER_LABS_STATE/+port-tcp-8080" ]
        # Others are not concerned.
        run -0 labs09 run -n other --net none "$ROOTFS" true
    done
    cp "$TMPDIR/whole" "$state"
    rm "$TMPDIR/whole"
    nothing_is_left
}

@test "faults: a damaged record of the bridge is refused with its name, and nothing is removed" {
    start -n w
    local record=$CONTAINER_LABS_STATE/.network before damage
    before=$(network_of_host)
    cp "$record" "$TMPDIR/whole"
    for damage in 'head -c -3' 'head -n -1' 'head -c 0' 'sed "1s/1$/2/"' 'sed "2s/ [^ ]*$//"'; do
        eval "$damage" <"$TMPDIR/whole" >"$record"
        run -125 labs09 run "$ROOTFS" true
        assert_line --partial "$record is damaged or of another version, so the bridge is not removed"
        run -1 labs09 prune
        assert_line --partial "$record is damaged"
        assert_equal "$(network_of_host)" "$before"
    done
    labs09 kill w
    assert_equal "$(network_of_host)" "$before"
    cp "$TMPDIR/whole" "$record"
    rm "$TMPDIR/whole"
    nothing_is_left
}

@test "faults: what cannot be removed is told with its own errno" {
    local upper
    mkdir "$TMPDIR/layers"
    start -n w --net none --layer "$TMPDIR/layers"
    run -0 labs09 exec w touch /file
    upper=$(dirname "$(find "$TMPDIR/layers" -name file)")
    kill -9 "$(container_runtimes)"
    run -1 with_fault "$upper" unlinkat error=EPERM prune
    assert_output --partial "EPERM (Operation not permitted)"
    nothing_is_left
    rmdir "$TMPDIR/layers"
}

@test "faults: a group that cannot be made in all hierarchies is made in none" {
    if has_v2; then return; fi
    local number
    # One directory of the state, then one for each hierarchy.
    for number in 3 4 5; do
        run -125 with_fault "" mkdir "error=ENOSPC:when=$number" run -n half --net none "$ROOTFS" true
        assert_output --partial "ENOSPC (No space left on device)"
        run -0 find /sys/fs/cgroup -name 'container-half-*'
        assert_output ""
        [ ! -e "$CONTAINER_LABS_STATE" ]
    done
}

@test "faults: --userns auto gives no more rights because of an error" {
    needs_own_users
    local error
    for error in ENOSPC EPERM EUSERS EINVAL; do
        run -125 with_fault "" clone3 "error=$error:when=1" run --net none "$ROOTFS" id -u
        assert_output --partial "09_full_container: clone3 with new namespaces: $error ("
        refute_output --partial "root inside is root outside"
    done
    # Where they are turned off it goes on as before, and says so.
    echo 0 >"$TMPDIR/none"
    run -0 on_host unshare -m --propagation private sh -c 'mount --bind "$1" /proc/sys/user/max_user_namespaces && shift &&
        exec "$@"' sh "$TMPDIR/none" "$LABS/09_full_container" run --net none "$ROOTFS" cat /proc/self/uid_map
    assert_line --index 0 --partial "--userns auto: a user namespace cannot be made: ENOSPC"
    assert_line --index 1 --regexp '^ +0 +0 +4294967295$'
    rm "$TMPDIR/none"
}

@test "faults: the bounding set and --cap-drop ALL are as asked for where the last capability is not told" {
    local bounding
    bounding=$(labs09 run --net none "$ROOTFS" grep CapBnd /proc/self/status)
    # libcap looks for the last one by reading them: PR_CAPBSET_READ is 23.
    run -0 on_host "$(program_of refuse)" prctl:EINVAL:0=23 -- "$LABS/09_full_container" run \
        ${CANNOT_MAP:+--userns host} --net none "$ROOTFS" grep CapBnd /proc/self/status
    assert_output "$bounding"
    run -0 on_host "$(program_of refuse)" prctl:EINVAL:0=23 -- "$LABS/09_full_container" run \
        ${CANNOT_MAP:+--userns host} --cap-drop ALL --net none "$ROOTFS" grep CapBnd /proc/self/status
    assert_output $'CapBnd:\t0000000000000000'
}

@test "faults: a container that a failing start cannot kill is not waited for" {
    run -125 on_host timeout -k 1 "$TOO_LONG" strace -qq -o /dev/null -e trace=fsmount,pidfd_send_signal \
        -e inject=fsmount,pidfd_send_signal:error=EPERM "$LABS/09_full_container" run -n w --net none \
        ${CANNOT_MAP:+--userns host} "$ROOTFS" true
    assert_line '09_full_container: make the layer of w in memory: EPERM (Operation not permitted)'
    assert_line '09_full_container: send SIGKILL to a process of the container: EPERM (Operation not permitted)'
    nothing_is_left
}

@test "faults: a process that is killed before it becomes the command is no start" {
    # That process alone asks for a keyring.
    run -125 with_fault "" keyctl signal=KILL run -d -n w --net none "$ROOTFS" sleep 1000
    assert_output "09_full_container: the process was ended by SIGKILL before it became the command"
    run -125 with_fault "" keyctl signal=KILL run -n w --net none "$ROOTFS" true
    assert_output "09_full_container: the process was ended by SIGKILL before it became the command"
    # What has failed because it was gone, if anything, stands behind that.
    for _ in 1 2 3 4 5; do
        run -125 with_fault "" sethostname signal=KILL run -n w "$ROOTFS" true
        assert_output --regexp "^09_full_container: the process was ended by SIGKILL before it became the command"
    done
    run -125 with_fault "" recvmsg error=ENOMEM:when=1 run -d -n w --net none "$ROOTFS" sleep 1000
    assert_output --partial "ENOMEM (Cannot allocate memory)"
    start -n w --net none
    run -125 with_fault "" setns signal=KILL exec w true
    run -125 with_fault "" keyctl signal=KILL exec w true
    assert_output --partial "was ended by SIGKILL before it became the command"
    labs09 kill w
    assert [ ! -e "$CONTAINER_LABS_STATE" ]
}

@test "faults: a log that a full disk cuts says where it ends" {
    mkdir "$TMPDIR/full"
    mount -t tmpfs -o size=64k none "$TMPDIR/full"
    export CONTAINER_LABS_STATE=$TMPDIR/full/state
    # shellcheck disable=SC2016
    start_long='seq 1 20000; sleep 1000'
    labs09 run -d -n w --net none "$ROOTFS" sh -c "$start_long"
    eventually [ -e "$CONTAINER_LABS_STATE/w/log.cut" ]
    run labs09 logs w
    assert_failure 1
    assert_line --index 0 1
    assert_line --index 10000 10001
    assert_line --partial "09_full_container: the log of w ends here: $CONTAINER_LABS_STATE/w/log could not be written"
    labs09 kill w
    assert [ ! -e "$CONTAINER_LABS_STATE" ]
    # There is room for its last record.
    labs09 run -d --rm=false -n w --net none "$ROOTFS" sh -c 'seq 1 20000; exit 3'
    eventually eval '[[ $(labs09 ps) == *" ended (3) "* ]]'
    run -1 labs09 logs w
    assert_line --index 0 1
    labs09 prune
    umount "$TMPDIR/full"
    rmdir "$TMPDIR/full"
    export CONTAINER_LABS_STATE=$TMPDIR/state
    labs09 run -d -n w --net none "$ROOTFS" sh -c 'echo said; sleep 1000'
    eventually eval '[ "$(labs09 logs w)" = said ]'
    run -1 with_fault "$CONTAINER_LABS_STATE/w/log" read error=EIO logs w
    assert_output "09_full_container: read $CONTAINER_LABS_STATE/w/log: EIO (Input/output error)"
    run -1 with_fault "$CONTAINER_LABS_STATE/w/log" openat error=EMFILE logs w
    assert_output "09_full_container: read $CONTAINER_LABS_STATE/w/log: EMFILE (Too many open files)"
    labs09 kill w
}

@test "faults: a caller's limit for files cuts the log, and what run prints, and ends no container" {
    local limited='ulimit -f 8; exec "$@"' # KiB
    run -0 on_host bash -c "$limited" bash "$LABS/09_full_container" run --net none ${CANNOT_MAP:+--userns host} "$ROOTFS" \
        sh -c 'seq 1 20000; seq 1 20000 >/tmp/file; echo $?'
    assert_line --partial "/log: EFBIG (File too large); it ends here"
    assert_line 153 # as everywhere: killed by SIGXFSZ
    run -125 on_host bash -c "exec >$TMPDIR/printed; $limited" bash "$LABS/09_full_container" run --net none ${CANNOT_MAP:+--userns host} "$ROOTFS" sh -c 'seq 1 20000; true'
    assert_line --partial "write the output of the command: EFBIG (File too large)"
    start -n w --net none
    run -125 on_host bash -c "exec >$TMPDIR/printed; $limited" bash "$LABS/09_full_container" exec w sh -c 'seq 1 20000; true'
    assert_line --partial "write the output of the command: EFBIG (File too large)"
    run -0 labs09 exec w sh -c 'ulimit -f 1; seq 1 20000 >/tmp/file; echo $?'
    assert_line 153
    rm "$TMPDIR/printed"
}

@test "faults: a signal that ends the runtime of a detached container at its start is told" {
    run -137 on_host strace -f -qq -o /dev/null -e inject=setsid:signal=KILL "$LABS/09_full_container" run -d -n w --net none ${CANNOT_MAP:+--userns host} "$ROOTFS" true
    assert_output "09_full_container: the runtime of w was ended by SIGKILL"
}

@test "faults: a terminal that cannot be looked at is not taken for another file" {
    run -125 script -qec "nsenter -t $HOST_PID -n -u -i strace -qq -o /dev/null -e inject=ioctl:error=EIO \
        $LABS/09_full_container run -it --net none ${CANNOT_MAP:+--userns host} $ROOTFS true" /dev/null
    assert_output --partial "look whether standard input is a terminal: EIO (Input/output error)"
    run -125 script -qec "nsenter -t $HOST_PID -n -u -i strace -qq -o /dev/null -e inject=wait4:error=ECHILD \
        $LABS/09_full_container run -it --net none ${CANNOT_MAP:+--userns host} $ROOTFS true" /dev/null
    assert_output --partial "wait for the runtime: ECHILD (No child processes)"
    # Only EIO is the end of what a terminal gives. The terminal has this path while its container lives.
    run -125 script -qec "nsenter -t $HOST_PID -n -u -i strace -f -qq -o /dev/null -P /dev/pts/ptmx -e inject=read:error=ENOMEM \
        $LABS/09_full_container run -t --net none ${CANNOT_MAP:+--userns host} $ROOTFS sh -c 'echo said; sleep 1'" /dev/null
    assert_output --partial "read the output of the command: ENOMEM (Cannot allocate memory)"
}

@test "faults: a process 1 of --init that cannot wait ends, and does not wait for ever" {
    run -125 with_fault "" wait4 error=ECHILD run --net none --init "$ROOTFS" true
    assert_output "the status of the command is lost: ECHILD (No child processes)"
}

@test "faults: what cannot be read is not called empty, missing, or not installed" {
    run -125 with_fault "$ROOTFS" getdents64 error=EIO run --net none "$ROOTFS" true
    assert_output "09_full_container: root file system '$ROOTFS': EIO (Input/output error)"
    run -125 with_fault "" openat2 error=EIO run --net none -u nobody "$ROOTFS" true
    assert_output --partial "EIO (Input/output error)"
    refute_output --partial "has no user"
    run -125 with_fault /etc/passwd read error=EIO run --net none -u nobody "$ROOTFS" true
    assert_output "09_full_container: read /etc/passwd in the root file system: EIO (Input/output error)"
    run -125 with_fault "" sched_getscheduler error=EPERM run --net none "$ROOTFS" true
    assert_output "09_full_container: look at the scheduling policy: EPERM (Operation not permitted)"
    # The file descriptor of / in the container: the errno of open(2), not that of the call that uses it.
    run -125 with_fault / openat error=EMFILE run --net none "$ROOTFS" true
    assert_output --partial "EMFILE (Too many open files)"
    run -125 with_fault "$(command -v iptables-restore)" execve error=ENOMEM run "$ROOTFS" true
    assert_output --partial "execute iptables-restore: ENOMEM (Cannot allocate memory)"
    refute_output --partial "install iptables"
    run -125 with_fault "" memfd_create error=EMFILE:when=2+ run -p 8080:80 "$ROOTFS" true
    assert_output --partial "write the rules to a file in memory: EMFILE (Too many open files)"
    run -125 with_fault "" getcwd error=ENOMEM run --net none "$ROOTFS" true
    assert_output "09_full_container: look where the working directory '/' is: ENOMEM (Cannot allocate memory)"
    if [ -z "$CANNOT_MAP" ]; then
        run -125 with_fault /etc/subuid openat error=EACCES run --net none "$ROOTFS" true
        assert_output --partial "claim user IDs: EACCES (Permission denied)"
    fi
    run -125 with_fault /etc/resolv.conf openat error=EIO run "$ROOTFS" true
    assert_output --partial "read the name servers of this machine: EIO (Input/output error)"
    run -125 with_fault "" socket error=EMFILE run "$ROOTFS" true
    assert_output --partial "EMFILE (Too many open files)"
    refute_output --partial "all in use"
    nothing_is_left
}

# What is set on that machine of forwarding, but for devices that a lab has made.
forwarding_of_host() {
    on_host sh -c 'cd /proc/sys/net/ipv4 && grep -H . ip_forward conf/all/accept_redirects conf/*/forwarding | grep -v -e /br0/ -e /labs0/ -e /veth'
}

forwarding_is() { [ "$(forwarding_of_host)" = "$1" ]; }

@test "faults: forwarding is turned off by the last lab that needs it, in whatever order they end" {
    local order lab up before
    outside_up
    on_host ip route add default via 192.0.2.2
    on_host sysctl -qw net.ipv4.conf.all.accept_redirects=1 net.ipv4.conf.up0.forwarding=1
    before=$(forwarding_of_host)
    for order in "09 08 09 08" "09 08 08 09" "08 09 08 09" "08 09 09 08"; do
        up=
        for lab in $order; do
            case "$up $lab" in
            *08*08) on_host "$LABS/08_nat" down >/dev/null ;;
            *09*09) labs09 kill a ;;
            *08) on_host "$LABS/08_nat" up >/dev/null ;;
            *09) start -n a --cap-add NET_RAW >/dev/null ;;
            esac
            if [[ $up == *"$lab"* ]]; then up=${up/$lab/}; else up+=" $lab"; fi
            if [[ $up == *08* ]]; then run -0 on_host ip netns exec net1 ping -c 1 -W 2 192.0.2.2; fi
            if [[ $up == *09* ]]; then run -0 labs09 exec a ping -c 1 -W 2 192.0.2.2; fi
        done
        eventually forwarding_is "$before" || assert_equal "$(forwarding_of_host)" "$before" # a link goes a moment later
        assert_equal "$(on_host nft list ruleset)" ""
        assert [ ! -e /run/container-labs.forwarding ]
    done
    # A damaged record is not taken for none.
    start -n a
    local record
    record=$(echo /run/container-labs.forwarding/*)
    cp "$record" "$TMPDIR/whole"
    head -c -2 "$TMPDIR/whole" >"$record"
    run -1 on_host "$LABS/08_nat" up
    assert_line --partial "record in /run/container-labs.forwarding that ip_forward becomes 1: EBADMSG (Bad message); a record there is damaged"
    labs09 kill a
    assert_equal "$(on_host cat /proc/sys/net/ipv4/ip_forward)" 1
    run -1 labs09 prune
    assert_line --partial "a record in /run/container-labs.forwarding is damaged: see what it says, set /proc/sys/net/ipv4/ip_forward as it was, and remove it"
    cp "$TMPDIR/whole" "$record"
    rm "$TMPDIR/whole"
    nothing_is_left
    # It stays noted until that can be told.
    run -0 on_host "$LABS/08_nat" down
    eventually forwarding_is "$before" || assert_equal "$(forwarding_of_host)" "$before"
}

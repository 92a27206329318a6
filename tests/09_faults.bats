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
    on_host timeout -k 1 $((30 * SLOW)) strace -f -qq -o /dev/null "${of_path[@]}" -e "trace=$2" -e "inject=$2:$3" \
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
        assert_line --regexp "^09_full_container: read .*/\.network: EMFILE \(Too many open files\)$"
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
    run -125 with_fault /proc/sys/net/ipv4/ip_forward write error=EIO:when=2 run -n w "$ROOTFS" true
    assert_line "09_full_container: write 0 to /proc/sys/net/ipv4/ip_forward: EIO (Input/output error)"
    assert_line --partial "what is left of w is for the next command to remove"
    # While forwarding is on, what guards it stays, too.
    bridge=$(network_of_host)
    assert [ "$(grep -c -e 'FORWARD ! -i labs0' <<<"$bridge")" -eq 1 ]
    nothing_is_left
    # The bridge is removed by a child, whose only message this is.
    run -125 with_fault "" fork,clone error=EAGAIN run -n w "$ROOTFS" true
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

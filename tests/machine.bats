#!/usr/bin/env bats
# tests/machine: what the command sees, what is seen outside, and what is left.

load helpers

setup() {
    machine_before
    MACHINE=${BATS_TEST_FILENAME%.bats}
}
teardown() { machine_after; }

machine() { timeout -k 1 "$TOO_LONG" "$MACHINE" "$@" 3>&-; }

# The groups of machines, seen from here.
groups() {
    local hierarchy
    findmnt -nro TARGET -t cgroup,cgroup2 | while read -r hierarchy; do
        find "$hierarchy" -maxdepth 1 -name 'container-labs-tests.*'
    done
}

@test "machine: it has its own namespaces, directories, uplink, and in each hierarchy a root" {
    local namespace
    run -0 env -u BATS_RUN_TMPDIR "$MACHINE" bash -c 'for n in mnt pid net uts ipc cgroup; do echo "$n $(readlink /proc/self/ns/$n)"; done
        echo "PID $$"; echo "files $(find /run /tmp /var/tmp /dev/shm -mindepth 1 ! -path /run/mount)"' 3>&-
    for namespace in mnt pid net uts ipc cgroup; do
        assert_line --regexp "^$namespace $namespace:\[[0-9]+\]$"
        refute_line "$namespace $(readlink "/proc/self/ns/$namespace")"
    done
    assert_line --regexp '^PID [0-9]{1,3}$'
    assert_line 'files '
    run -0 machine sh -c 'ip -4 route get 192.0.2.1; ls /sys/class/net'
    assert_line --partial 'via 198.51.100.1 dev uplink'
    assert_line beyond
    # A group of v2 that has processes hands on no controllers, so there it is one below the root.
    run -0 machine sh -c "sed -E 's/^[0-9]+:[^:]*:/group /' /proc/self/cgroup; awk '/ - cgroup/ {print \"root\", \$4}' /proc/self/mountinfo"
    refute_line --regexp '^group /(init)?.*[./]'
    refute_line --regexp '^root /.'
    assert_equal "$(grep -c ^root <<<"$output")" "$(grep -c ' - cgroup' /proc/self/mountinfo)"
}

@test "machine: what is done in it is not seen outside" {
    run -0 machine bash -ec '
        mount -t tmpfs tmpfs /mnt
        ip link add seen type veth peer name heard
        iptables -A INPUT -s 192.0.2.1 -j DROP
        hostname seen
        echo 1 >/proc/sys/net/ipv4/ip_forward
        ipcmk -M 4096
        touch /run/seen /tmp/seen /var/tmp/seen /dev/shm/seen
        echo done'
    assert_line 'done'
}

@test "machine: status, streams and directory are those of the command" {
    run -42 machine sh -c 'exit 42'
    run -143 machine sh -c 'kill $$'
    run -0 --separate-stderr machine sh -c 'cat; pwd; echo aside >&2' <<<'a word'
    assert_output "a word"$'\n'"$PWD"
    assert_equal "$stderr" aside
    # A directory below those that are its own is there, too.
    cd "$TMPDIR"
    run -0 machine sh -c 'pwd; echo x >here'
    assert_output "$TMPDIR"
    rm here
    run -2 machine
    run -77 setpriv --reuid=65534 --regid=65534 --clear-groups "$MACHINE" true
    assert_output --partial "machine: needs root (type: sudo $MACHINE true), or a user namespace"
}

@test "machine: what is left in a cgroup is removed, named, and counts" {
    local hierarchy
    hierarchy=$(findmnt -nro TARGET -t cgroup,cgroup2 | head -n 1)
    run -1 machine mkdir -p "$hierarchy/left/deep"
    assert_output --regexp "^machine: this was left in a cgroup: $hierarchy/container-labs-tests\.[^/]+/left "
    run -3 machine sh -c 'mkdir "$1/left" && exit 3' - "$hierarchy"
    assert_output --partial 'this was left in a cgroup'
    assert_equal "$(groups)" ''
}

# Start a machine that lives until it is ended; $living is the script, $inside a process that its command has left.
start_machine() {
    "$MACHINE" sh -c 'setsid sleep 987654 & sleep 1000' 3>&- &
    living=$!
    wait_until pgrep -x -f 'sleep 987654' >/dev/null
    inside=$(pgrep -x -f 'sleep 987654')
    [ -n "$(groups)" ]
}

@test "machine: SIGTERM ends all that is in it, and nothing is left" {
    local status=0
    start_machine
    kill -TERM "$living"
    wait "$living" || status=$?
    assert_equal "$status" 143
    assert [ ! -e "/proc/$inside" ]
    assert_equal "$(groups)" ''
}

@test "machine: kill -9 ends all that is in it, and the next one removes the name that is left" {
    start_machine
    machine true
    # One that lives is not removed.
    assert [ -e "/proc/$inside" ]
    [ -n "$(groups)" ]
    kill -KILL "$living"
    wait "$living" || true
    wait_until_gone "$inside"
    [ -n "$(groups)" ]
    machine true
    assert_equal "$(groups)" ''
}

@test "machine: names that others make in /tmp are not those of machines" {
    local user=(setpriv --reuid 65534 --regid 65534 --clear-groups)
    mkdir /tmp/precious
    touch /tmp/precious/file
    "${user[@]}" mkdir /tmp/container-labs-tests.x$'\n'precious /tmp/container-labs-tests.a23456
    machine true
    assert [ -e /tmp/precious/file ]
    assert [ -e /tmp/container-labs-tests.a23456 ]
    rm -r /tmp/precious /tmp/container-labs-tests.*
}

# Loaded by the tests of lab 09: a machine to run containers on that is not this one. It is a process
# in network, UTS and IPC namespaces of its own; what containers do to the machine they do to it.
# A second one plays the outside, connected to it.
#
#     setup_file() { make_rootfs; }
#     setup() { machine_before; host_up; }
#     teardown() { host_down; machine_after; }

# Make $ROOTFS, once for a test file: busybox, the probe of tests/container, and a ping that needs no
# raw socket.
make_rootfs() {
    export ROOTFS="$BATS_FILE_TMPDIR/rootfs"
    "$LABS/02_rootfs" "$ROOTFS" >/dev/null || return
    cp "$(program_of container/probe)" "$ROOTFS/bin/probe"
    cp "$ROOTFS/bin/probe" "$ROOTFS/suid"
    chmod 4755 "$ROOTFS/suid"
    # Where this kernel or this file system cannot show files with other owners (lab 09 says so each
    # time), the tests ask for --userns host.
    CANNOT_MAP=$(cd "$ROOTFS" && "$LABS/doctor" 'idmapped mounts' | sed -n 's/^  note .* here: //p')
    export CANNOT_MAP
    # A user's container must be able to reach it.
    chmod o+x "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/file" "$BATS_FILE_TMPDIR" 2>/dev/null || true
}

host_is_named() { [ "$(on_host hostname 2>/dev/null)" = "$HOST_NAME" ]; }

host_up() {
    export CONTAINER_LABS_STATE="$TMPDIR/state"
    HOST_NAME=outer-$$
    unshare --net --uts --ipc sh -c "hostname $HOST_NAME; ip link set lo up; exec sleep 1000" 3>&- &
    HOST_PID=$!
    BACKGROUND+=($!)
    wait_until host_is_named
}

host_down() {
    # What a test has left running ends here; the sweep of the next command clears up.
    local pid
    for pid in $(container_runtimes); do
        if kill -9 "$pid" 2>/dev/null; then wait_until_gone "$pid"; fi
    done
    [ -z "${HOST_PID:-}" ] || [ ! -d "$TMPDIR/state" ] || on_host "$LABS/09_full_container" prune
    for pid in "${BACKGROUND[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait "${BACKGROUND[@]}" 2>/dev/null || true
}

container_runtimes() {
    # Beside the directories are links to them, whose names begin with a plus.
    cat "$TMPDIR"/state/[a-z0-9]*/state 2>/dev/null | sed -n 's/^runtime=//p'
}

# The PID of process 1 of container $1.
pid_of() { labs09 ps | awk -v name="$1" '$1 == name {print $2}'; }

# The process for the ports of container $1 at ::1, where one container runs.
relay_of() { pgrep -P "$(container_runtimes)" | grep -vx "$(pid_of "$1")"; }

# Commands that go on in the background until the test ends.
BACKGROUND=()
on_host_meanwhile() {
    nsenter --target "$HOST_PID" --net --uts --ipc -- "$@" 3>&- &
    BACKGROUND+=($!)
}

on_host() { nsenter --target "$HOST_PID" --net --uts --ipc -- "$@" 3>&-; }

# Run lab 09 on that machine.
labs09() {
    local words=("$@")
    if [ "$1" = run ] && [ -n "$CANNOT_MAP" ]; then words=(run --userns host "${@:2}"); fi
    on_host timeout -k 1 "$TOO_LONG" "$LABS/09_full_container" "${words[@]}"
}

needs_own_users() { [ -z "$CANNOT_MAP" ] || skip "files cannot be shown with other owners here: $CANNOT_MAP"; }

# The outside: 192.0.2.2, connected to 192.0.2.1 of the machine, which has no route back.
is_outside() { [ "$(readlink "/proc/$OUTSIDE_PID/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }

outside_up() {
    unshare --net sleep 1000 3>&- &
    OUTSIDE_PID=$!
    BACKGROUND+=($!)
    wait_until is_outside
    on_host ip link add up0 type veth peer name eth0 netns "$OUTSIDE_PID"
    on_host ip addr add 192.0.2.1/24 dev up0
    on_host ip link set up0 up
    outside ip addr add 192.0.2.2/24 dev eth0
    outside ip link set eth0 up
    outside ip link set lo up
}

outside_meanwhile() {
    nsenter --target "$OUTSIDE_PID" --net -- "$@" 3>&- &
    BACKGROUND+=($!)
}

outside() { nsenter --target "$OUTSIDE_PID" --net -- "$@" 3>&-; }

# Start a container with the given options that runs until it is ended, and wait until it does.
start() { labs09 run -d "$@" "$ROOTFS" sleep 1000; }

# says_nothing_of PATTERN COMMAND...: the command succeeds, and no line of what it says matches.
says_nothing_of() {
    local pattern=$1 said
    shift
    said=$("$@") && ! grep -qE -e "$pattern" <<<"$said"
}

# refused STATUS TEXT ARGUMENT...: one line that says TEXT, and nothing is left.
refused() {
    local expected=$1 text=$2
    shift 2
    run "-$expected" labs09 run "$@"
    [ "${#lines[@]}" -eq 1 ] || fail "$*: ${#lines[@]} lines: $output"
    [[ $output == "09_full_container: "*"$text"* ]] || fail "$*: '$text' is not in: $output"
    [ "${STATE_STAYS:-no}" = yes ] || [ ! -e "$CONTAINER_LABS_STATE" ] || fail "$*: $(find "$CONTAINER_LABS_STATE")"
    run on_host ip link show labs0
    [ "$status" -ne 0 ] || [ "${STATE_STAYS:-no}" = yes ] || fail "$*: labs0 is still there"
}

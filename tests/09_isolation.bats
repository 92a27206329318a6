#!/usr/bin/env bats
# What root in a container with default options cannot do. Every probe (tests/container/probe.c) is run
# twice: in such a container, where its way must be blocked, and in one from which one wall was taken
# away, where it must be open; so none passes because it does not work.

load helpers
load container

setup_file() { make_rootfs; }
setup() { machine_before; host_up; }
teardown() { host_down; machine_after; }

# try PROBE OPTION...: run a probe in a container; its output is $output.
try() {
    local probe=$1
    shift
    run labs09 run --net none -e "HOST_PID=$HOST_PID" -e "HOST_NAME=$HOST_NAME" -e HOST_LINK=host0 \
        -e "HOST_FILE=$BATS_TEST_TMPDIR/before" -e "SHM_KEY=${SHM_KEY:-0}" "$@" "$ROOTFS" probe "$probe"
}

# blocked_but_for PROBE OPTION...: blocked as it is, open with the options that take a wall away.
blocked_but_for() {
    local probe=$1
    shift
    try "$probe"
    [ "$status" -eq 1 ] || fail "$probe is not blocked: $output"
    assert_line --index 0 --regexp "^$probe: blocked by E[A-Z]+$"
    seen=${lines[0]}
    try "$probe" "$@"
    [ "$status" -eq 0 ] || fail "$probe is not open with $*: $output"
    echo "$seen; open with $*"
    PROBES=$((${PROBES:-0} + 1))
}

@test "isolation: the file system" {
    blocked_but_for mount_tmpfs --cap-add SYS_ADMIN
    blocked_but_for new_mount_calls --cap-add SYS_ADMIN
    blocked_but_for unmask --cap-add SYS_ADMIN
    blocked_but_for remount --cap-add SYS_ADMIN
    blocked_but_for mount_cgroup --cap-add SYS_ADMIN --userns host
    blocked_but_for climb --without pivot --userns host
    blocked_but_for file_handle --cap-add DAC_READ_SEARCH --userns host
    blocked_but_for left_descriptor --without descriptors 9<"$BATS_TEST_TMPDIR/before"
    [ "$PROBES" -eq 8 ]
}

@test "isolation: devices" {
    blocked_but_for make_device --cap-add MKNOD --userns host --without nodev
    # A device that came with the root file system.
    cp -a "$ROOTFS" "$TMPDIR/with-device"
    mknod -m 666 "$TMPDIR/with-device/zero" c 1 5
    ROOTFS=$TMPDIR/with-device blocked_but_for use_device --without nodev
    rm -r "$TMPDIR/with-device"
    [ "$PROBES" -eq 2 ]
}

@test "isolation: names and processes" {
    blocked_but_for set_host_name --cap-add SYS_ADMIN
    blocked_but_for set_domain_name --cap-add SYS_ADMIN
    blocked_but_for host_name_of_host --without uts
    blocked_but_for signal_outside --without pid --userns host
    blocked_but_for see_outside --without pid --userns host
    blocked_but_for trace_outside --without pid --userns host --cap-add SYS_PTRACE
    blocked_but_for trace_child --cap-add SYS_PTRACE
    blocked_but_for read_memory_of_another --cap-add SYS_PTRACE
    blocked_but_for compare_processes --cap-add SYS_PTRACE
    blocked_but_for be_nice_to_nobody --cap-add SYS_NICE --userns host
    blocked_but_for memory_policy --cap-add SYS_NICE --userns host
    [ "$PROBES" -eq 11 ]
}

@test "isolation: privileges" {
    blocked_but_for more_capabilities --cap-add SYS_ADMIN
    blocked_but_for bounding_set --cap-add SYS_ADMIN
    [ -n "$CANNOT_MAP" ] || blocked_but_for root_outside --userns host
    try set_user_id -u 1000
    [ "$status" -eq 1 ]
    try set_user_id -u 1000 --without privileges
    [ "$status" -eq 0 ] || fail "a set-user-ID program does not work without that wall: $output"
    [ "$PROBES" -ge 2 ]
}

@test "isolation: inter-process communication" {
    SHM_KEY=4711
    on_host ipcmk -M 4096 >/dev/null
    SHM_KEY=$((16#$(on_host ipcs -m | awk '/^0x/ {print substr($1, 3)}')))
    blocked_but_for shared_memory --without ipc --userns host
    on_host sh -c 'mkdir -p "$0" && mount -t mqueue none "$0" && : >"$0/host_queue"; umount "$0"; rmdir "$0"' "$TMPDIR/queues"
    blocked_but_for message_queue --without ipc --userns host
    [ "$PROBES" -eq 2 ]
}

@test "isolation: network" {
    on_host ip link add host0 type veth peer name host1
    on_host_meanwhile "$ROOTFS/bin/probe" listen >"$BATS_TEST_TMPDIR/listening"
    eventually grep -q listening "$BATS_TEST_TMPDIR/listening"
    blocked_but_for raw_socket --cap-add NET_RAW
    blocked_but_for packet_socket --cap-add NET_RAW
    blocked_but_for promiscuous --cap-add NET_ADMIN
    blocked_but_for host_link --net host
    blocked_but_for abstract_socket --net host
    blocked_but_for socket_families --without seccomp
    assert_equal "$seen" 'socket_families: blocked by EAFNOSUPPORT'
    blocked_but_for socket_protocols --without seccomp
    assert_equal "$seen" 'socket_protocols: blocked by EPROTONOSUPPORT'
    blocked_but_for socket_options --without seccomp
    assert_equal "$seen" 'socket_options: blocked by EPERM'
    # A namespace of other users has that setting since Linux 6.3.
    if labs09 run --net none "$ROOTFS" test -e /proc/sys/net/core/somaxconn; then
        on_host sysctl -qw net.core.somaxconn=4096
        blocked_but_for accept_queue --net host
        assert_equal "$seen" 'accept_queue: blocked by ETIMEDOUT'
        PROBES=$((PROBES - 1))
    fi
    [ "$PROBES" -eq 8 ]
}

@test "isolation: /proc and /sys" {
    blocked_but_for core_pattern --without read-only --userns host
    blocked_but_for drop_caches --without read-only --userns host
    blocked_but_for proc_irq --without read-only --userns host
    blocked_but_for sys_write --without read-only --userns host
    blocked_but_for kernel_symbols --without masks
    blocked_but_for timer_list --without masks --userns host
    blocked_but_for key_list --without masks --userns host
    blocked_but_for kernel_pages --without masks --userns host
    blocked_but_for interrupt_counts --without masks
    [ "$PROBES" -eq 9 ]
    # A kernel without PSI has no such file.
    [ ! -e /proc/pressure/cpu ] || blocked_but_for pressure_trigger --without read-only
}

@test "isolation: the kernel as a whole" {
    # What this kernel was built without cannot be shown to be open.
    if [ -e /proc/modules ]; then blocked_but_for load_module --cap-add SYS_MODULE --userns host; fi
    if [ -e /sys/kernel/kexec_loaded ]; then blocked_but_for other_kernel --cap-add SYS_BOOT --userns host; fi
    blocked_but_for restart --cap-add SYS_BOOT --userns host
    blocked_but_for clock_step --cap-add SYS_TIME --userns host
    blocked_but_for kernel_log --cap-add SYSLOG --userns host
    blocked_but_for swap --cap-add SYS_ADMIN --userns host
    blocked_but_for accounting --cap-add SYS_PACCT --userns host
    blocked_but_for quota --cap-add SYS_ADMIN --userns host
    blocked_but_for bpf_map --cap-add BPF --userns host
    # Debian's kernels want more than PERFMON (kernel.perf_event_paranoid=3).
    blocked_but_for performance_events --cap-add PERFMON --cap-add SYS_ADMIN --userns host
    [ "$PROBES" -ge 8 ]
}

@test "isolation: calls that only the filter refuses" {
    blocked_but_for user_faults --without seccomp
    blocked_but_for keyring --without seccomp
    blocked_but_for add_key --without seccomp
    blocked_but_for io_uring --without seccomp
    blocked_but_for asynchronous_io --without seccomp
    blocked_but_for new_user_namespace --without seccomp
    blocked_but_for clone_user_namespace --without seccomp
    blocked_but_for clone_parent --without seccomp
    blocked_but_for clone3_user_namespace --without seccomp
    blocked_but_for line_discipline --without seccomp
    assert_equal "$seen" 'line_discipline: blocked by EPERM'
    blocked_but_for core_limit --without seccomp
    blocked_but_for filter_listener --without seccomp
    blocked_but_for access_list --without seccomp
    blocked_but_for join_namespace --cap-add SYS_ADMIN
    [ "$PROBES" -eq 14 ]
    # Not played without the filter: the module would stay.
    try vlan_module
    assert_line 'vlan_module: blocked by EPERM'
}

@test "isolation: limits" {
    blocked_but_for memory_hog --memory max
    blocked_but_for forks --pids-limit max
    [ "$PROBES" -eq 2 ]
}

conntrack() { on_host cat "/proc/sys/net/netfilter/nf_conntrack_$1"; }

# fill_connections WAY PROTOCOL: how many connections are there more when a container has tried 12000.
fill_connections() {
    local before
    before=$(conntrack count)
    labs09 run -p 8080:80 -e UDP_HOST="$1" "$ROOTFS" probe "$2_connections" >/dev/null || true
    echo "$(($(conntrack count) - before))"
}

@test "isolation: the machine's table of connections is filled by no container" {
    local way most begun
    outside_up
    start -n stays # and so do the rules
    # What is begun stays until the end of this test.
    on_host sysctl -qw net.netfilter.nf_conntrack_{udp_timeout,tcp_timeout_time_wait,tcp_timeout_close}=600
    most=$(on_host iptables-save | sed -n 's/.*--connlimit-above \([0-9]*\) .*/\1/p')
    # Those of TCP have ended, and are in the table yet; 68 a second may come in the meantime.
    for way in '10.209.0.1 udp' '192.0.2.2 udp' '10.209.0.1 tcp'; do
        begun=$SECONDS
        # shellcheck disable=SC2086 # two words
        run fill_connections $way
        [ "$output" -lt "$((most + 500 + 70 * (SECONDS - begun)))" ] || fail "$way: $output, not $most"
    done
    # The attack works without the rules, on a small machine until there is no place any more.
    on_host iptables -F CONTAINER-LABS-NEW
    for way in udp tcp; do
        run fill_connections 10.209.0.1 "$way"
        [ "$output" -gt "$((most + 1000))" ] || [ "$(conntrack count)" -gt "$(($(conntrack max) * 9 / 10))" ] || fail "$way: $output"
    done
    labs09 kill stays
}

# The terminal that -t gives, in which a probe may type.
on_terminal() {
    script -qec "$(printf '%q ' nsenter -t "$HOST_PID" -n -u -i "$LABS/09_full_container" run -t --net none "$@")" \
        /dev/null </dev/null 3>&-
}

@test "isolation: no two containers have a user in common, wherever they are kept" {
    needs_own_users
    local i first=() starts here there=$TMPDIR/there
    here=$CONTAINER_LABS_STATE
    for i in 1 2 3; do
        CONTAINER_LABS_STATE=$there start -n "there-$i" --net none 3>&- &
        starts=($!)
        start -n "here-$i" --net none 3>&- &
        wait "${starts[@]}" $!
    done >/dev/null
    # shellcheck disable=SC2013 # PIDs are words
    for i in $(cat "$here"/*/state "$there"/*/state | sed -n 's/^pid=//p'); do
        first+=("$(awk '$1 == 0 && $3 == 65536 {print $2}' "/proc/$i/uid_map")")
    done
    [ "${#first[@]}" -eq 6 ]
    [ "$(printf '%s\n' "${first[@]}" | sort -u | grep -c '^1[0-9]*$')" -eq 6 ] || fail "${first[*]}"
    # Killed or ended, what they had can be had again.
    kill -9 "$(sed -n 's/^runtime=//p' "$there/there-2/state")"
    CONTAINER_LABS_STATE=$there labs09 ps >/dev/null
    for i in 1 3; do CONTAINER_LABS_STATE=$there labs09 kill "there-$i"; done
    for i in 1 2; do labs09 kill "here-$i"; done
    assert [ -e /run/container-labs.ids ]
    run -0 labs09 run --net none "$ROOTFS" awk '{print $2}' /proc/self/uid_map
    [[ " ${first[*]} " == *" $output "* ]] || fail "$output is none of ${first[*]}"
    # The file goes with the last, even with one that was killed.
    kill -9 "$(container_runtimes)"
    # A signal takes its time on a busy machine: the next command that finds the process dead removes them.
    eventually eval 'labs09 ps >/dev/null; [ ! -e "$here" ] && [ ! -e "$there" ]'
}

@test "isolation: nobody types into a terminal" {
    local probe
    for probe in type_into_terminal type_into_terminal_64; do
        run on_terminal "$ROOTFS" probe "$probe"
        assert_output --partial "$probe: blocked by EPERM"
        run on_terminal --userns host --cap-add SYS_ADMIN --without seccomp "$ROOTFS" probe "$probe"
        assert_output --partial "$probe: open"
    done
}

# A root file system in which this program could run: with its loader and libraries.
with_libraries() {
    cp -a "$ROOTFS" "$TMPDIR/evil"
    "$LABS/01_chroot" --with "$LABS/09_full_container" "$TMPDIR/evil" /bin/true
}

@test "isolation: a script whose interpreter is /proc/self/exe does not get the runtime (CVE-2019-5736)" {
    with_libraries
    printf '#!/proc/self/exe\n' >"$TMPDIR/evil/bin/evil"
    chmod 755 "$TMPDIR/evil/bin/evil"
    run labs09 run --net none --without binary "$TMPDIR/evil" /bin/evil
    assert_output --partial "there is no command '/bin/evil'" # it was our program that ran
    run -126 labs09 run --net none "$TMPDIR/evil" /bin/evil
    assert_output "a script cannot have the interpreter /proc/self/exe here"
    rm -r "$TMPDIR/evil"
}

# A library with which a process that enters a container takes its time there, twice: before and after it
# gives its powers away.
make_slow() {
    cc -shared -fPIC -o "$BATS_TEST_TMPDIR/slow.so" -x c - <<'C'
#define _GNU_SOURCE
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int prctl(int option, ...)
{
    va_list list;
    va_start(list, option);
    unsigned long a = va_arg(list, unsigned long), b = va_arg(list, unsigned long),
                  c = va_arg(list, unsigned long), d = va_arg(list, unsigned long);
    va_end(list);
    long result = syscall(SYS_prctl, option, a, b, c, d);
    if (option == PR_SET_PDEATHSIG)
        usleep(500000);
    return result;
}
C
}

# An exec that somebody in the container has stopped on its way in: its PID in ENTERING, that of what it has sent
# in STOPPED. Not every one is caught there.
catch_exec() {
    local tries
    for tries in $(seq 50); do
        on_host_meanwhile "$LABS/09_full_container" exec stopper true 2>"$TMPDIR/said"
        ENTERING=$!
        # Beside it may be the one that started it, which has ended.
        while [ -e "/proc/$ENTERING/exe" ]; do
            STOPPED=$(pgrep --runstates T -P "$ENTERING") || continue
            case $(readlink "/proc/$STOPPED/exe") in *busybox) break ;; *) return 0 ;; esac
        done
        kill -9 "$ENTERING" 2>/dev/null || true
    done
    fail "none of $tries was caught"
}

@test "isolation: who stops an exec on its way in cannot keep it from being ended" {
    local status=0
    labs09 run -d -n stopper --net none "$ROOTFS" sh -c 'while :; do kill -STOP -1; done'
    catch_exec
    kill -TERM "$ENTERING"
    eventually eval '[ ! -e "/proc/$ENTERING/exe" ]'
    wait "$ENTERING" || status=$?
    assert_equal "$status" 143
    # bash may have told there, too, that an earlier one was killed.
    run -0 tail -n 1 "$TMPDIR/said"
    assert_output '09_full_container: exec in stopper: stopped by SIGTERM before the command ran'
    eventually eval '[ ! -e "/proc/$STOPPED" ]'
    labs09 kill stopper
    rm "$TMPDIR/said"
}

# exec_taken VARIABLE...: an exec in the background whose way in is in the hands of root inside; its PID is $taken.
exec_taken() {
    on_host_meanwhile env "$@" LD_PRELOAD="$BATS_TEST_TMPDIR/taken.so" ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0 \
        "$LABS/09_full_container" exec taken sleep 4712 2>"$TMPDIR/said"
    taken=$!
}

make_taken() {
    cc -D_GNU_SOURCE -shared -fPIC -o "$BATS_TEST_TMPDIR/taken.so" "$BATS_TEST_DIRNAME/container/taken.c"
    start -n taken --net none
}

@test "isolation: a process of the machine that is handed to exec as its command is not signalled" {
    local wall victim taken status
    make_taken
    for wall in none child; do
        sleep 1000 3>&- &
        victim=$! status=0
        BACKGROUND+=("$victim")
        exec_taken VICTIM="$victim" WITHOUT="$wall"
        wait_until eval 'labs09 exec taken ps -o args | grep -qx "sleep 4712"'
        kill -TERM "$taken"
        wait "$taken" || status=$?
        if [ "$wall" = child ]; then
            wait_until_gone "$victim/exe"
        else
            assert_equal "$status" 143
            [ -e "/proc/$victim/exe" ]
        fi
    done
    labs09 kill taken
    rm "$TMPDIR/said"
}

@test "isolation: exec hears a signal whatever is sent from inside, without an end" {
    local taken status=0
    make_taken
    # The attack works where signals are looked at only while nothing comes.
    exec_taken FLOOD=1 WITHOUT=signal
    sleep 0.4
    kill -TERM "$taken"
    sleep 0.4
    [ -e "/proc/$taken/exe" ]
    kill -9 "$taken"
    wait "$taken" || true
    exec_taken FLOOD=1
    sleep 0.4
    kill -TERM "$taken"
    wait_until [ ! -e "/proc/$taken/exe" ]
    wait "$taken" || status=$?
    assert_equal "$status" 143
    run -0 tail -n 1 "$TMPDIR/said"
    assert_output '09_full_container: exec in taken: stopped by SIGTERM before the command ran'
    labs09 kill taken
    rm "$TMPDIR/said"
}

# attack_exec OPTION...: somebody in a container with these options waits for an exec, keeps its program open,
# and writes to it when it has ended. HELD is whether it could be opened, CHANGED whether it is another now.
attack_exec() {
    local runtime="$TMPDIR/victim" before size attacker
    # A copy: it is really written to, and no other process must execute it.
    cp "$LABS/09_full_container" "$runtime"
    before=$(cksum <"$runtime")
    size=$(stat -c %s "$runtime")
    labs09 run -d -n attacked --net none "$@" "$ROOTFS" /bin/sleep 1000
    # shellcheck disable=SC2016 # it is the container's shell that counts
    labs09 exec attacked /bin/sh -c 'echo ready
        until p=$(grep -lxE "container-run|victim" /proc/[0-9]*/comm); do :; done
        p=${p%%/comm*}
        until true <$p/exe; do [ -d $p ] || exit; done
        exec 5<$p/exe
        stat -L -c "held %s" /proc/self/fd/5
        for i in $(seq 100); do
            sleep 0.05
            echo evil >>/proc/self/fd/5 && exit
        done' >"$TMPDIR/said" 2>"$TMPDIR/errors" 3>&- &
    attacker=$!
    eventually grep -q ready "$TMPDIR/said"
    run -0 on_host env "LD_PRELOAD=$BATS_TEST_TMPDIR/slow.so" ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0 \
        timeout -k 1 "$TOO_LONG" "$runtime" exec attacked /bin/true
    wait "$attacker" || true
    labs09 kill attacked
    HELD=$(grep -cxF "held $size" "$TMPDIR/said" || true) # and not what it has become
    CHANGED=$([ "$(cksum <"$runtime")" = "$before" ] && echo 0 || echo 1)
    echo "$*: held $HELD, changed $CHANGED: $(sort "$TMPDIR/errors" | uniq -c | tail -n 3)"
    rm "$runtime" "$TMPDIR/said" "$TMPDIR/errors"
}

@test "isolation: exec is out of reach while it enters (CVE-2019-5736)" {
    make_slow
    # It works where nothing is in its way.
    attack_exec --userns host --without binary
    [ "$HELD$CHANGED" = 11 ]
    # Nobody inside may look into it; who may, has a view of it that cannot be written to.
    attack_exec --userns host
    [ "$HELD$CHANGED" = 00 ]
    attack_exec --userns host --cap-add SYS_PTRACE
    [ "$HELD$CHANGED" = 10 ]
    attack_exec
    [ "$HELD$CHANGED" = 00 ]
}

@test "isolation: a working directory does not lead out (CVE-2024-21626)" {
    local fd
    for fd in 3 4 5 6 7 8 9 10 12 14; do
        run labs09 run --net none -w "/proc/self/fd/$fd" "$ROOTFS" ls
        assert_failure 125
        assert_output --partial "working directory '/proc/self/fd/$fd': "
    done
    start -n here --net none
    run labs09 exec -w /proc/self/fd/7 here pwd
    assert_failure 125
    run labs09 exec -w /proc/1/root here cat /proc/self/mountinfo
    assert_failure 125
    labs09 kill here
}

@test "isolation: through a volume that is a shared mount no mount passes, in or out" {
    mkdir -p "$TMPDIR/volume/sub" "$TMPDIR/other"
    run -0 on_host unshare --mount sh -c '
        set -e
        cd "$TMPDIR"
        mount --bind volume volume
        mount --make-shared volume
        container() { "$LABS/09_full_container" "$@" 2>/dev/null; }
        options="${CANNOT_MAP:+--userns host} --net none"
        # One of the runtime, one of root inside.
        container run $options -v $PWD/volume:/a -v $PWD/other:/a/sub "$ROOTFS" grep -c " /a/sub " /proc/mounts
        container run $options --cap-add SYS_ADMIN -v $PWD/volume:/a:ro "$ROOTFS" sh -c "mount -t tmpfs none /a/sub; grep -c \" /a/sub \" /proc/mounts"
        grep -c " $PWD/volume/sub " /proc/self/mountinfo || true
        # One of the machine.
        container run -d -n later $options -v $PWD/volume:/a "$ROOTFS" sleep 100
        mount -t tmpfs -o mode=777 none volume/sub
        container exec later grep -c " /a/sub " /proc/mounts || true
        container kill later' 3>&-
    assert_output "1
1
0
later
0"
    rm -r "$TMPDIR/volume" "$TMPDIR/other"
}

@test "isolation: links in place of mount targets do not lead out (CVE-2025-31133 and its kin)" {
    local name
    for name in proc sys dev; do
        cp -a "$ROOTFS" "$TMPDIR/linked"
        rm -r "$TMPDIR/linked/$name"
        ln -s /etc "$TMPDIR/linked/$name"
        run labs09 run --net none "$TMPDIR/linked" true
        assert_failure 125
        assert_output --partial "/$name in the root file system is a link"
        rm -r "$TMPDIR/linked"
    done
    # A link on the way of a volume is followed, inside.
    cp -a "$ROOTFS" "$TMPDIR/linked"
    mkdir "$TMPDIR/shared"
    : >"$TMPDIR/shared/file"
    ln -s /tmp "$TMPDIR/linked/out"
    run -0 labs09 run --net none -v "$TMPDIR/shared:/out/there-$$" "$TMPDIR/linked" ls "/tmp/there-$$"
    assert_output file
    assert [ ! -e "/tmp/there-$$" ]
    run labs09 run --net none -v "$TMPDIR/shared:/proc/self" "$ROOTFS" true
    assert_failure 125
    assert_output --partial "is not a place for a mount"
    # What covers /proc/keys is an empty file, whatever the root file system has as /dev/null.
    rm -r "$TMPDIR/linked/dev"
    mkdir "$TMPDIR/linked/dev"
    ln -s /proc/sys/kernel/core_pattern "$TMPDIR/linked/dev/null"
    run -0 labs09 run --net none --userns host "$TMPDIR/linked" stat -c '%F %t:%T' /proc/keys /dev/null
    assert_output "regular empty file 0:0
character special file 1:3"
    rm -r "$TMPDIR/linked" "$TMPDIR/shared"
}

@test "isolation: what covers a file cannot be used to change the machine's" {
    local before
    before=$(stat -c %a /dev/null)
    run labs09 run --net none --userns host "$ROOTFS" chmod 600 /proc/keys
    assert_failure
    assert_equal "$(stat -c %a /dev/null)" "$before"
    # It is another file, so that a lock on it is not one on the machine's.
    run -0 labs09 run --net none --userns host "$ROOTFS" stat -c %d:%i /proc/keys
    refute_output "$(stat -c %d:%i /dev/null)"
}

#!/usr/bin/env bats
# Lab 09 where things go wrong: a runtime that is killed at the worst moment, words and root file systems
# that mean harm, readers that do not read. Each test is of something that once went wrong.

# machines: 2
load helpers
load container

setup_file() { make_rootfs; }
setup() { machine_before; host_up; }
teardown() { host_down; machine_after; }

# bats test_tags=v2
@test "hardening: exec on cgroup v2 is born in the container's group" {
    has_v2 || { play_in_vm; return; }
    # Owners can be mapped on a disk's file system, before Linux 6.3 in none that is in memory.
    local users
    mkfs.ext4 -q -d "$ROOTFS" "$TMPDIR/disk" 32m
    mkdir "$TMPDIR/root"
    mount -o loop "$TMPDIR/disk" "$TMPDIR/root"
    for users in auto host; do
        run -0 labs09 run -d -n "v2-$users" --net none --userns "$users" "$TMPDIR/root" sleep 1000
        assert_output "v2-$users"
        run -0 labs09 exec "v2-$users" cat /proc/self/cgroup
        assert_output 0::/
        run -0 labs09 exec "v2-$users" cmp /proc/1/cgroup /proc/self/cgroup
        labs09 kill "v2-$users"
    done
    umount "$TMPDIR/root"
    rm -r "$TMPDIR/disk" "$TMPDIR/root"
}

# --- a runtime that is killed ------------------------------------------------------------------------

# Nothing runs, nothing is claimed, and no bridge is left once the next command has swept.
nothing_left() {
    on_host timeout -k 1 30 "$LABS/09_full_container" ps >/dev/null
    [ ! -e "$CONTAINER_LABS_STATE" ] && ! on_host ip link show labs0 >/dev/null 2>&1
}

# A library with which the container's process waits before it asks to be killed with the runtime, and the
# runtime before it sends anything.
make_late() {
    cc -shared -fPIC -o "$BATS_TEST_TMPDIR/late.so" -x c - <<'C'
#define _GNU_SOURCE
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
int prctl(int option, ...)
{
    va_list list;
    va_start(list, option);
    unsigned long a = va_arg(list, unsigned long), b = va_arg(list, unsigned long),
                  c = va_arg(list, unsigned long), d = va_arg(list, unsigned long);
    va_end(list);
    if (option == PR_SET_PDEATHSIG)
        usleep(400000);
    return syscall(SYS_prctl, option, a, b, c, d);
}
ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    sleep(2);
    return syscall(SYS_sendmsg, fd, message, flags);
}
C
}

@test "hardening: a runtime killed before its container knows of it leaves nothing that is not swept" {
    make_late
    local how
    for how in --rm=true --detach; do
        on_host env "LD_PRELOAD=$BATS_TEST_TMPDIR/late.so" ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0 \
            timeout -k 1 20 "$LABS/09_full_container" run "$how" -n early --net none "$ROOTFS" sleep 1000 2>/dev/null 3>&- &
        local typed=$!
        eventually eval '[ -n "$(container_runtimes)" ]'
        sleep 0.3 # it has come to sendmsg(2), and its child to prctl(2)
        kill -9 "$(container_runtimes)"
        local status=0
        wait "$typed" || status=$?
        [ "$status" -ne 124 ] || fail "$how: what was typed still waits"
        eventually nothing_left || fail "$how: $(find "$CONTAINER_LABS_STATE")"
    done
}

@test "hardening: kill -9 of a runtime at any moment of a start" {
    local i
    for i in $(seq 25); do
        on_host_meanwhile "$LABS/09_full_container" run -n "moment-$i" "$ROOTFS" sleep 1000 2>/dev/null
        sleep "0.0$((RANDOM % 80 + 10))"
        kill -9 $! 2>/dev/null || true
        wait $! || true
        eventually nothing_left || fail "$i: $(find "$CONTAINER_LABS_STATE"; on_host ip link)"
    done
}

@test "hardening: a container whose user is not root ends with its runtime, and so does what exec brought" {
    labs09 run -d -n other-user --net none -u 1000 "$ROOTFS" sleep 1000
    local pid
    # shellcheck disable=SC2034 # it is used, in what is evaluated below
    pid=$(pid_of other-user)
    kill -9 "$(container_runtimes)"
    eventually eval '[ ! -e "/proc/$pid" ]'
    eventually nothing_left
    start -n stays --net none
    on_host_meanwhile "$LABS/09_full_container" exec -u nobody stays sleep 4711
    local joiner=$!
    eventually eval 'labs09 exec stays ps -o args | grep -qx "sleep 4711"'
    kill -9 "$joiner"
    wait "$joiner" || true
    eventually eval 'run labs09 exec stays ps -o args; [ "$status" -eq 0 ] && [[ $output != *4711* ]]'
    labs09 kill stays
}

# How many inotify instances root can have, 200 at most.
instances_of_root() {
    on_host python3 -c '
import ctypes
print(sum(ctypes.CDLL(None).inotify_init() >= 0 for _ in range(200)))'
}

@test "hardening: what the kernel counts by user is the container's, and not root's" {
    needs_own_users
    local before
    before=$(instances_of_root)
    cc -static -include sys/inotify.h -include unistd.h -x c -o "$TMPDIR/watch" - <<<'
int main(void) { for (int i = 0; i < 200; i++) inotify_init(); write(1, "full\n", 5); return pause(); }'
    on_host_meanwhile "$LABS/09_full_container" run -n watches --net none -v "$TMPDIR/watch:/watch:ro" "$ROOTFS" /watch >"$TMPDIR/said"
    wait_until grep -q full "$TMPDIR/said"
    assert_equal "$(instances_of_root)" "$before"
    labs09 kill watches
    rm "$TMPDIR/watch" "$TMPDIR/said"
}

@test "hardening: what its caller has of priority or of protection from the lack of memory is not the container's" {
    # Root without CAP_SYS_RESOURCE has no such protection and no such limits to give. Fields 19 and 41 are nice and policy, proc(5).
    on_host_protected() {
        run on_host chrt -f 10 nice -n -5 ionice -c 1 bash -c '{ prlimit --pid $$ --nice=40 --rtprio=50; echo -500 >/proc/self/oom_score_adj; } 2>/dev/null; exec "$@"' bash \
            timeout "$TOO_LONG" "$LABS/09_full_container" "$@"
        assert_success
    }
    local look='cat /proc/self/oom_score_adj; cut -d" " -f19,41 /proc/self/stat; ionice; ulimit -e; ulimit -r'
    local nothing=$'0\n0 0\nnone: prio 0\n0\n0'
    on_host_protected run --net none "$ROOTFS" sh -c "$look"
    assert_output "$nothing"
    labs09 run -d -n plain --net none "$ROOTFS" sleep 1000
    on_host_protected exec plain sh -c "$look"
    assert_output "$nothing"
    labs09 kill plain
}

@test "hardening: root inside cannot open the memory of what run and exec send in before it is the command" {
    local taker wall tries exec=(on_host timeout -k 1 "$TOO_LONG" env ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0)
    cp "$(program_of container/take)" "$TMPDIR/take"
    cc -D_GNU_SOURCE -shared -fPIC -o "$BATS_TEST_TMPDIR/taken.so" "$BATS_TEST_DIRNAME/container/taken.c"
    for wall in none mode; do
        on_host_meanwhile "$LABS/09_full_container" run --name taker -v "$TMPDIR/take:/take:ro" "$ROOTFS" /take 60 >"$TMPDIR/took"
        taker=$!
        wait_until grep -q waiting "$TMPDIR/took"
        for tries in $(seq "$([ "$wall" = none ] && echo 10 || echo 100)"); do
            [ "$tries" -le 10 ] || ! grep -q took "$TMPDIR/took" || break
            "${exec[@]}" LD_PRELOAD="$BATS_TEST_TMPDIR/taken.so" WITHOUT="$wall" "$LABS/09_full_container" exec taker true
        done
        labs09 kill taker
        wait "$taker" || true
        run sort -u "$TMPDIR/took"
        if [ "$wall" = none ]; then assert_output waiting; else assert_line --partial "took /memfd:launch"; fi
    done
    rm "$TMPDIR/take" "$TMPDIR/took"
}

@test "hardening: what the kernel keeps for ptys and sockets is limited" {
    local protocol
    cp "$(program_of container/fill)" "$TMPDIR/fill"
    local inside=(-v "$TMPDIR/fill:/fill:ro" "$ROOTFS" /fill)
    run -0 labs09 run --net none "${inside[@]}" ptys
    assert_output 256
    # On v2 it is part of the memory that is limited, and may end the container.
    for protocol in tcp udp; do
        run labs09 run --net none --memory 32m "${inside[@]}" "$protocol"
        [ "$status" -eq 137 ] || [ "$output" -lt 96 ] || fail "$protocol: $output MiB"
        # The attack works where nothing is limited.
        run -0 labs09 run --net none --memory max "${inside[@]}" "$protocol"
        [ "$output" -gt 150 ] || fail "$protocol: $output MiB"
    done
    # What one process can have of netlink is limited by its files.
    run labs09 run --net none --memory 32m "${inside[@]}" netlink
    [ "$status" -eq 137 ] || [ "$output" -lt 240 ] || fail "$output MiB"
    cc -shared -fPIC -o "$BATS_TEST_TMPDIR/files.so" -x c - <<<'int setrlimit(int what, const void *limit) { return 0; }'
    run -0 on_host prlimit --nofile=4000 env "LD_PRELOAD=$BATS_TEST_TMPDIR/files.so" ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0 \
        "$LABS/09_full_container" run --net none ${CANNOT_MAP:+--userns host} --memory max "${inside[@]}" netlink
    [ "$output" -gt 300 ] || fail "$output MiB"
    rm "$TMPDIR/fill"
}

@test "hardening: a process has at most 1024 files and pending signals, fewer where the machine allows fewer" {
    start -n files --net none
    run -0 labs09 exec files sh -c 'ulimit -Sn; ulimit -Hn; grep -E "core|pending" /proc/self/limits'
    assert_output --regexp $'^1024\n1024\nMax core file size +1 +1 .*\nMax pending signals +1024 +1024 '
    run -0 labs09 run --net none "$ROOTFS" sh -c 'ulimit -Hn; ulimit -n 1025 || ulimit -n 1000'
    assert_line --index 0 1024
    assert_line --partial "Operation not permitted"
    run -0 prlimit --nofile=512:600 nsenter -t "$HOST_PID" -n -u -i "$LABS/09_full_container" run --net none ${CANNOT_MAP:+--userns host} "$ROOTFS" \
        sh -c 'ulimit -Sn; ulimit -Hn'
    assert_output "512
600"
    labs09 kill files
}

@test "hardening: all users of a container have 1024 timers together, and little locked memory whatever their caller has" {
    needs_own_users
    # Root without CAP_SYS_RESOURCE has no more to give.
    local limits=(on_host sh -c 'for l in memlock msgqueue; do prlimit --pid $$ --$l=unlimited; done 2>/dev/null; exec "$@"' sh
        timeout -k 1 "$TOO_LONG" "$LABS/09_full_container" run --net none)
    cp "$(program_of container/fill)" "$TMPDIR/fill"
    run -0 "${limits[@]}" -v "$TMPDIR/fill:/fill:ro" "$ROOTFS" /fill timers
    [ "$output" -gt 500 ]
    [ "$output" -le 1024 ]
    # Each has so many where the kernel does not count them together.
    run -0 "${limits[@]}" --userns host -v "$TMPDIR/fill:/fill:ro" "$ROOTFS" /fill timers
    [ "$output" -gt 2000 ]
    run -0 "${limits[@]}" "$ROOTFS" grep -E 'locked|msgqueue' /proc/self/limits
    assert_output --regexp $'^Max locked memory +8388608 +8388608 .*\nMax msgqueue size +819200 +819200 '
    rm "$TMPDIR/fill"
}

@test "hardening: a network namespace that is kept outside keeps no link to the bridge" {
    local pid
    start -n stays # and so does the bridge
    labs09 run -d -n ends "$ROOTFS" sleep 1000
    pid=$(pid_of ends)
    # As a socket does that root inside has sent to another process of the machine.
    exec 8<"/proc/$pid/ns/net"
    labs09 kill ends
    eventually eval '[ "$(on_host ip -o link show type veth | grep -c .)" -eq 1 ]' || fail "$(on_host ip link)"
    exec 8<"/proc/$(pid_of stays)/ns/net"
    pid=$(container_runtimes)
    kill -9 "$pid"
    wait_until_gone "$pid"
    run -0 labs09 ps
    run -0 on_host ip -o link show type veth
    assert_output ""
    exec 8<&-
}

@test "hardening: the bridge has no table of multicast groups, which one container would fill for all" {
    start -n member
    run -0 on_host ip -d link show labs0
    assert_output --partial "mcast_snooping 0"
    labs09 kill member
}

@test "hardening: users are not looked for in a file that never ends" {
    start -n large --net none
    labs09 exec large truncate -s 200G /etc/passwd
    run -125 timeout 20 nsenter -t "$HOST_PID" -n -u -i "$LABS/09_full_container" exec -u daemon large true
    assert_output "09_full_container: /etc/passwd in the root file system is larger than 1 MiB"
    labs09 kill large
}

@test "hardening: a lease of a process inside keeps nobody out" {
    start -n leased --net none
    local path
    path=/proc/$(pid_of leased)/root/etc/passwd
    on_host_meanwhile python3 -c '
import fcntl, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = open(sys.argv[1], "r+")
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("leased", flush=True)
signal.pause()' "$path" >"$TMPDIR/said"
    wait_until grep -q leased "$TMPDIR/said"
    run -0 labs09 exec leased id -u
    assert_output 0
    run -0 labs09 exec -u 5 leased id -u
    assert_output 5
    labs09 kill leased
    rm "$TMPDIR/said"
}

@test "hardening: with the machine's users, root inside can write to no file of /proc that is not a process's" {
    local look='find /proc -path "/proc/[0-9]*" -prune -o -type f -perm -0200 -print | while read -r f; do if (: >>"$f"); then echo "$f"; fi; done 2>/dev/null'
    run -0 labs09 run --userns host --net none "$ROOTFS" sh -c "$look"
    assert_output ""
    run -0 labs09 run --userns host --without read-only --net none "$ROOTFS" sh -c "$look"
    [[ $output == *"/proc/sys/kernel/core_pattern"* ]]
}

# forge PATH: make a directory of containers whose container "mine" is a process of the machine, $victim.
forge() {
    local began
    sleep 1000 3>&- &
    victim=$!
    BACKGROUND+=("$victim")
    began=$(sed 's/.*) //' "/proc/$victim/stat" | cut -d ' ' -f 20)
    start -n mine --net none
    mkdir -m 700 "$1"
    cp -r "$CONTAINER_LABS_STATE/mine" "$1/mine"
    labs09 kill mine
    sed -i "s/^pid=.*/pid=$victim/; s/^pid_began=.*/pid_began=$began/" "$1/mine/state"
    exec 8<"$1/mine" # a runtime that lives has this lock
    flock 8
}

@test "hardening: a directory of containers that another user can change is refused, and so is its forged state" {
    local victim forged=$TMPDIR/forged command
    forge "$forged"
    chown 4242 "$forged"
    for command in "kill mine" "exec mine true" "logs mine" ps prune "run --net none $ROOTFS true"; do
        # shellcheck disable=SC2086 # its words
        CONTAINER_LABS_STATE=$forged run labs09 $command
        assert_failure
        assert_output "09_full_container: $forged is not a private directory of this user: make it one (mode 0700), or name another one in CONTAINER_LABS_STATE"
    done
    chown 0 "$forged"
    # Below a directory of another user, in one that all can write to, and by a link there.
    mkdir "$TMPDIR/theirs" "$TMPDIR/all"
    mv "$forged" "$TMPDIR/theirs/forged"
    ln -s "$TMPDIR/theirs" "$TMPDIR/link"
    ln -s "$TMPDIR/theirs" "$TMPDIR/all/link"
    chown 4242 "$TMPDIR/theirs"
    chmod 777 "$TMPDIR/all"
    for command in {theirs,link,all/link}/{forged,none}; do
        CONTAINER_LABS_STATE=$TMPDIR/$command run -1 labs09 kill mine
        assert_output --regexp "^09_full_container: other users can change $TMPDIR/(theirs|all), so what is found in "
    done
    kill -0 "$victim"
    # Where the state is root's, it is believed.
    chown 0 "$TMPDIR/theirs"
    CONTAINER_LABS_STATE=$TMPDIR/link/forged run -0 labs09 kill mine
    wait "$victim" || assert_equal $? 137
    exec 8<&-
    rm -r "$TMPDIR/theirs" "$TMPDIR/all" "$TMPDIR/link"
}

@test "hardening: a layer that another user puts in the place of root's is refused" {
    cc -D_GNU_SOURCE -shared -fPIC -o "$BATS_TEST_TMPDIR/swaps.so" -x c - <<'C'
#include <string.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
/* The user is quick: just after mkdirat(2) another directory has the name, with a link to root's in it. */
int mkdirat(int directory, const char *name, mode_t mode)
{
    int result = syscall(SYS_mkdirat, directory, name, mode);
    if (result == 0 && strstr(name, ".layer") && renameat(directory, name, directory, "away") == 0 &&
        renameat(directory, "trap", directory, name) == -1)
        perror("trap");
    if (result == -1 && strcmp(name, "upper") == 0)
        return 0;
    return result;
}
C
    mkdir -p "$TMPDIR/layers/trap" "$TMPDIR/precious"
    ln -s "$TMPDIR/precious" "$TMPDIR/layers/trap/upper"
    chown -h 4242 "$TMPDIR/layers" "$TMPDIR/layers/trap" "$TMPDIR/layers/trap/upper"
    run -125 on_host env "LD_PRELOAD=$BATS_TEST_TMPDIR/swaps.so" ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0 \
        "$LABS/09_full_container" run --net none ${CANNOT_MAP:+--userns host} --layer "$TMPDIR/layers" "$ROOTFS" true
    assert_output --partial "make the layer of"
    assert_output --partial "EPERM"
    assert_equal "$(stat -c %u "$TMPDIR/precious")" 0
    rm -r "$TMPDIR/layers" "$TMPDIR/precious"
}

@test "hardening: a link that another user puts in the place of layers removes nothing of root" {
    mkdir -p "$TMPDIR/theirs/layers" "$TMPDIR/precious"
    touch "$TMPDIR/precious/file"
    chown -R 4242 "$TMPDIR/theirs"
    labs09 run -d -n w --net none --layer "$TMPDIR/theirs/layers" "$ROOTFS" sleep 1000
    local name
    name=$(ls "$TMPDIR/theirs/layers")
    # In his own mount namespace any directory has the name of the layer.
    unshare -m sh -c 'mkdir -p "$1" && mount --rbind "$2" "$1" && echo made && exec sleep 1000' - \
        "$TMPDIR/theirs/fake/$name" "$TMPDIR/precious" >"$BATS_TEST_TMPDIR/said" 3>&- &
    wait_until grep -q made "$BATS_TEST_TMPDIR/said"
    mv "$TMPDIR/theirs/layers" "$TMPDIR/theirs/old"
    ln -s "/proc/$!/root$TMPDIR/theirs/fake" "$TMPDIR/theirs/layers"
    local runtime
    runtime=$(container_runtimes)
    kill -KILL "$runtime"
    wait_until_gone "$runtime"
    run -0 labs09 prune
    assert_line "09_full_container: $TMPDIR/theirs/layers/$name is not the layer that was made there, and stays"
    assert [ -e "$TMPDIR/precious/file" ]
    kill "$!"
    # Nor another directory that is root's alone, which he can rename but not empty.
    rm "$TMPDIR/theirs/layers"
    mkdir "$TMPDIR/theirs/layers"
    labs09 run -d -n w --net none --layer "$TMPDIR/theirs/layers" "$ROOTFS" sleep 1000
    name=$(ls "$TMPDIR/theirs/layers")
    mv "$TMPDIR/theirs/layers/$name" "$TMPDIR/theirs/away"
    chmod 700 "$TMPDIR/precious"
    mv "$TMPDIR/precious" "$TMPDIR/theirs/layers/$name"
    labs09 kill w
    assert [ -e "$TMPDIR/theirs/layers/$name/file" ]
    rm -r "$TMPDIR/theirs"
}

@test "hardening: a runtime killed after its container's end leaves no claim behind what --rm=false keeps" {
    labs09 run -d -n kept --rm=false -p 8084:80 "$ROOTFS" sleep 1000
    local runtime
    runtime=$(container_runtimes)
    # It wants the lock to clear up.
    exec 8<"$CONTAINER_LABS_STATE"
    flock 8
    kill "$runtime"
    eventually grep -q ended=1 "$CONTAINER_LABS_STATE/kept/state"
    kill -9 "$runtime"
    exec 8<&-
    eventually eval '[ ! -e "/proc/$runtime" ]'
    run -0 labs09 ps
    assert_line --regexp '^kept .*ended \('
    run find "$CONTAINER_LABS_STATE" -name '[+.]*'
    assert_output ""
    run -0 on_host iptables-save
    refute_output --partial CONTAINER-LABS
    run -0 labs09 run -p 8084:80 "$ROOTFS" true
    run -0 labs09 prune
    assert_output kept
}

# --- words and root file systems that mean harm --------------------------------------------------------

@test "hardening: standard input cannot be used to change the machine's /dev/null" {
    local before after
    before=$(stat -c %a /dev/null)
    run labs09 run --net none --userns host "$ROOTFS" chmod 600 /dev/stdin /proc/self/fd/0
    after=$(stat -c %a /dev/null)
    chmod "$before" /dev/null # for everybody else, should this fail
    assert_equal "$after" "$before"
    start -n input --net none --userns host
    run labs09 exec input chmod 600 /dev/stdin /proc/self/fd/0
    after=$(stat -c %a /dev/null)
    chmod "$before" /dev/null
    assert_equal "$after" "$before"
    # It is at its end all the same.
    run -0 timeout 10 nsenter -t "$HOST_PID" -n -u -i "$LABS/09_full_container" exec input wc -c
    assert_output 0
    labs09 kill input
}

@test "hardening: an address of another network is refused before the machine is changed" {
    local words
    for words in "--ip 192.168.0.1" "--ip 10.209.0.1" "--subnet 10.211.0.0/30 --ip 10.211.0.3"; do
        # shellcheck disable=SC2086 # several words
        run -125 labs09 run $words "$ROOTFS" true
        assert_output --partial "is not one that a container on"
        assert [ ! -e "$CONTAINER_LABS_STATE" ]
        run on_host ip link show labs0
        assert_failure
        assert_equal "$(on_host cat /proc/sys/net/ipv4/ip_forward)" 0
    done
    # Nor does anything stay where it has been changed already.
    on_host_meanwhile busybox nc -l -p 8085
    eventually eval 'on_host ss -ltn | grep -q :8085'
    run -125 labs09 run -p 8085:80 "$ROOTFS" true
    assert_output --partial "is in use on this machine"
    assert [ ! -e "$CONTAINER_LABS_STATE" ]
}

@test "hardening: what the root file system has as /etc/resolv.conf and /etc/hosts is not written to" {
    local name
    for name in resolv.conf hosts; do
        cp -a "$ROOTFS" "$TMPDIR/evil"
        mkdir -p "$TMPDIR/evil/etc"
        # Where a distribution has it, although there is none; a pipe that nobody reads; the container's own
        # kernel, before it is the container's; a file of the root file system.
        while read -r make; do
            rm -f "$TMPDIR/evil/etc/$name"
            eval "$make $TMPDIR/evil/etc/$name"
            run -0 labs09 run --userns host --hostname victim "$TMPDIR/evil" sh -c "hostname; ls -l /etc/$name; cat /etc/hosts"
            assert_line --index 0 victim
            assert_line --index 1 --regexp '^-rw-r--r-- '
            assert_line --index 3 --regexp '^10\.209\.0\.[0-9]+[[:space:]]victim$'
        done <<'MAKE'
ln -s ../run/systemd/resolve/stub-resolv.conf
mkfifo
ln -s /proc/sys/kernel/hostname
ln -s passwd
MAKE
        run -1 grep -r victim "$TMPDIR/evil/etc"
        rm -r "$TMPDIR/evil"
    done
    cp -a "$ROOTFS" "$TMPDIR/evil"
    rm -r "$TMPDIR/evil/etc"
    ln -s /proc/sys/kernel "$TMPDIR/evil/etc"
    run -125 labs09 run --userns host "$TMPDIR/evil" true
    assert_output --partial "/etc in the container: "
    rm -r "$TMPDIR/evil"
}

# How many packets the machine has sent on the link $1.
sent_on() { on_host awk -v link="$1:" '$1 == link {print $11}' /proc/net/dev; }

@test "hardening: forwarding is for the bridge alone, and stays where others rely on it meanwhile" {
    outside_up
    # A third one, to whom the outside might want to be forwarded.
    on_host ip link add third0 type veth peer name third1
    on_host ip addr add 198.51.100.1/24 dev third0
    on_host ip link set third0 up
    on_host ip neigh add 198.51.100.2 lladdr 02:00:00:00:00:02 dev third0
    on_host ip link set third1 up
    on_host sh -c 'echo 1 >/proc/sys/net/ipv6/conf/third0/disable_ipv6; echo 1 >/proc/sys/net/ipv6/conf/third1/disable_ipv6'
    outside ip route add 198.51.100.0/24 via 192.0.2.1
    start -n first
    assert_equal "$(on_host cat /proc/sys/net/ipv4/ip_forward)" 1
    local before
    before=$(sent_on third0)
    run outside busybox nc -w 1 198.51.100.2 80 </dev/null
    assert_equal "$(sent_on third0)" "$before"
    labs09 kill first
    assert_equal "$(on_host cat /proc/sys/net/ipv4/ip_forward)" 0
    run -0 on_host iptables-save
    refute_output --partial labs0
    # Somebody comes who would have switched it on, had it not been on.
    start -n second
    on_host iptables -I FORWARD -i third0 -j ACCEPT
    on_host ip link show labs0 >/dev/null
    labs09 kill second
    run -1 on_host ip link show labs0
    assert_equal "$(on_host cat /proc/sys/net/ipv4/ip_forward)" 1
    on_host iptables -D FORWARD -i third0 -j ACCEPT
}

@test "hardening: a volume whose owners cannot be mapped does not make root inside root outside" {
    mkdir "$TMPDIR/o" "$TMPDIR/m"
    mount -t tmpfs none "$TMPDIR/o"
    mkdir "$TMPDIR/o/u" "$TMPDIR/o/w"
    mount -t overlay -o "lowerdir=$ROOTFS,upperdir=$TMPDIR/o/u,workdir=$TMPDIR/o/w" overlay "$TMPDIR/m"
    # Where the base itself cannot be mapped, as in memory before Linux 6.3, there is no user namespace at all.
    if [ -z "$CANNOT_MAP" ]; then
        run -125 labs09 run --net none -v "$TMPDIR/m:/data" "$ROOTFS" true
        assert_output --partial "volume '$TMPDIR/m': "
        assert_output --partial "--userns host"
    fi
    run -0 labs09 run --net none --userns host -v "$TMPDIR/m:/data" "$ROOTFS" ls /data/bin/busybox
    umount "$TMPDIR/m" "$TMPDIR/o"
    rmdir "$TMPDIR/m" "$TMPDIR/o"
}

@test "hardening: two containers with 64 published ports each" {
    local first=() second=() i
    for i in $(seq 64); do
        first+=(-p "$((9000 + i)):80")
        second+=(-p "$((9100 + i)):80")
    done
    start -n many "${first[@]}"
    start -n more "${second[@]}"
    run -0 on_host iptables-save -t nat
    [ "$(grep -c -e '--to-destination' <<<"$output")" -eq 128 ]
    labs09 kill many
    run -0 on_host iptables-save -t nat
    [ "$(grep -c -e '--to-destination' <<<"$output")" -eq 64 ]
    labs09 kill more
    assert [ ! -e "$CONTAINER_LABS_STATE" ]
}

@test "hardening: a bridge that somebody has removed is made again for the next container" {
    start -n before
    on_host ip link del labs0
    run -0 labs09 run --cap-add NET_RAW "$ROOTFS" ping -c 1 -W 5 10.209.0.1
    labs09 kill before
    run -1 on_host ip link show labs0
    assert [ ! -e "$CONTAINER_LABS_STATE" ]
    assert_equal "$(on_host cat /proc/sys/net/ipv4/ip_forward)" 0
}

# --- readers that do not read, and talkers that do not stop ------------------------------------------------

@test "hardening: exec ends with its command, whatever that has left talking" {
    start -n talks --net none
    local status=0
    # The pipe is never empty.
    {
        timeout -k 1 $((60 * SLOW)) nsenter -t "$HOST_PID" -n -u -i "$LABS/09_full_container" exec talks sh -c 'yes & sleep 0.2; exit 3' || status=$?
        echo "$status" >"$BATS_TEST_TMPDIR/status"
    } | while [ "$(head -c 4096 | wc -c)" -gt 0 ]; do sleep 0.02; done
    assert_equal "$(cat "$BATS_TEST_TMPDIR/status")" 3
    labs09 kill talks
}

@test "hardening: what a container said last is carried whole to a reader that is slow" {
    labs09 run --net none "$ROOTFS" sh -c 'head -c 60000 /dev/zero' | (sleep 1.5; wc -c >"$BATS_TEST_TMPDIR/count")
    assert_equal "$(cat "$BATS_TEST_TMPDIR/count")" 60000
}

@test "hardening: nobody waits for ever for a reader that does not read" {
    mkfifo "$BATS_TEST_TMPDIR/pipe"
    exec 7<>"$BATS_TEST_TMPDIR/pipe"
    on_host_meanwhile "$LABS/09_full_container" run -n unread --net none "$ROOTFS" yes >&7
    local job=$!
    eventually eval 'labs09 ps | grep -q ^unread'
    sleep 0.3
    run -1 labs09 kill unread
    assert_output "09_full_container: unread was ended, but its runtime, process $job, goes on: it or an exec is stopped, its output is not read, or it removes files yet"
    kill -TERM "$job"
    local status=0
    wait "$job" || status=$?
    assert_equal "$status" 137
    status=0
    start -n left --net none
    on_host_meanwhile "$LABS/09_full_container" exec left yes >&7
    job=$!
    eventually eval 'labs09 exec left ps | grep -q yes'
    run -0 labs09 stop left # although exec still waits
    kill -TERM "$job"
    wait "$job" || status=$?
    assert_equal "$status" 137
    exec 7<&-
    assert [ ! -e "$CONTAINER_LABS_STATE" ]
}

# with_reader_gone COMMAND...: the status of COMMAND, which has a reader that goes away; 124 if it does not end.
with_reader_gone() {
    timeout -k 1 $((60 * SLOW)) nsenter -t "$HOST_PID" -n -u -i "$@" | head -n 1 >/dev/null
    return "${PIPESTATUS[0]}"
}

@test "hardening: a command whose reader is gone ends as in a shell; output that cannot be written is an error" {
    start -n writes --net none
    local line
    for line in "run --net none $ROOTFS" 'exec writes'; do
        # Process 1 is not killed by SIGPIPE, and then yes says what EPIPE is.
        # shellcheck disable=SC2086 # words
        run with_reader_gone "$LABS/09_full_container" $line yes
        assert_equal "$line: $status" "$line: $([[ $line = run* ]] && echo 1 || echo 141)"
        # shellcheck disable=SC2086
        run -125 eval "labs09 $line echo hello >/dev/full"
        assert_output '09_full_container: write the output of the command: ENOSPC (No space left on device)'
        # shellcheck disable=SC2086
        run -3 eval "labs09 $line sh -c 'echo hello; exit 3' >/dev/full"
    done
    for line in ps 'inspect writes'; do
        # shellcheck disable=SC2086
        run -1 eval "labs09 $line >/dev/full"
        assert_output '09_full_container: write to stdout: ENOSPC (No space left on device)'
    done
    labs09 kill writes
}

# --- what comes from the caller ---------------------------------------------------------------------------

@test "hardening: a signal is the container's to hear, again and again" {
    labs09 run -d -n hears --rm=false --net none "$ROOTFS" sh -c \
        'for s in HUP INT USR1 USR2; do trap "echo $s" $s; done; echo ready; while :; do sleep 0.05; done'
    eventually eval 'labs09 logs hears | grep -q ready'
    local signal runtime
    runtime=$(container_runtimes)
    for signal in HUP USR1 HUP USR2; do
        kill -s "$signal" "$runtime"
        eventually eval "labs09 logs hears | tail -n 1 | grep -qx $signal"
    done
    run -0 labs09 logs hears
    assert_output "$(printf '%s\n' ready HUP USR1 HUP USR2)"
    labs09 kill hears
    labs09 prune
}

@test "hardening: who waits for the other containers' lock can be interrupted" {
    mkdir -m 700 "$CONTAINER_LABS_STATE"
    exec 8<"$CONTAINER_LABS_STATE"
    flock 8
    env --default-signal=INT nsenter -t "$HOST_PID" -n -u -i "$LABS/09_full_container" run --net none "$ROOTFS" true 8<&- 3>&- &
    local job=$! status=0
    BACKGROUND+=("$job")
    sleep 0.3
    kill -INT "$job"
    eventually eval '! kill -0 "$job" 2>/dev/null || grep -q "^State:.Z" "/proc/$job/status"'
    wait "$job" || status=$?
    assert_equal "$status" 130
    exec 8<&-
    rmdir "$CONTAINER_LABS_STATE"
}

# interrupt PID: SIGTERM ends it, at once; its status is $status.
interrupt() {
    status=0
    kill -TERM "$1"
    eventually eval "! kill -0 $1 2>/dev/null || grep -q '^State:.Z' /proc/$1/status" || fail "it goes on"
    wait "$1" || status=$?
}

@test "hardening: a tar that is being unpacked keeps nobody waiting, and can be interrupted" {
    local sender
    python3 -c '
import sys, tarfile
i = tarfile.TarInfo("endless"); i.size = 1 << 40
sys.stdout.buffer.write(i.tobuf())' >"$TMPDIR/header"
    # Nothing comes; or it never ends.
    mkfifo "$TMPDIR/pipe"
    for sender in "exec sleep 1000" "cat $TMPDIR/header; while :; do head -c 512 /dev/zero; done"; do
        sh -c "$sender" >"$TMPDIR/pipe" 3>&- &
        BACKGROUND+=($!)
        on_host_meanwhile sh -c "exec '$LABS/09_full_container' run -n unpacks - true <'$TMPDIR/pipe'" 2>"$TMPDIR/said"
        local job=$!
        eventually eval '[ -e "$CONTAINER_LABS_STATE/+bases/unpacks" ]'
        [[ $sender != cat* ]] || eventually eval '[ -s "$CONTAINER_LABS_STATE/+bases/unpacks/endless" ]'
        run -0 labs09 run "$ROOTFS" echo meanwhile
        assert_output meanwhile
        interrupt "$job"
        assert_equal "$status" 143
        assert_equal "$(cat "$TMPDIR/said")" "09_full_container: unpacks: stopped by SIGTERM before the command ran"
        assert [ ! -e "$CONTAINER_LABS_STATE" ]
        run -1 on_host ip link show labs0
    done
    rm "$TMPDIR/pipe" "$TMPDIR/header" "$TMPDIR/said"
}

@test "hardening: files that are being removed keep nobody waiting, and the end can be interrupted" {
    cc -D_GNU_SOURCE -shared -fPIC -o "$BATS_TEST_TMPDIR/slow.so" -x c - <<'C'
#include <sys/syscall.h>
#include <unistd.h>
int unlinkat(int directory, const char *name, int flags)
{
    usleep(20000);
    return syscall(SYS_unlinkat, directory, name, flags);
}
C
    mkdir "$TMPDIR/layers"
    on_host_meanwhile env "LD_PRELOAD=$BATS_TEST_TMPDIR/slow.so" ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0 \
        "$LABS/09_full_container" run -n many --layer "$TMPDIR/layers" "$ROOTFS" sh -c 'mkdir /d; cd /d; touch $(seq 500)' 2>"$TMPDIR/said"
    local job=$!
    eventually eval 'labs09 ps | grep -q "^many .* ending "'
    run -0 labs09 run "$ROOTFS" echo meanwhile
    assert_output meanwhile
    run -125 labs09 run -n many --net none "$ROOTFS" true
    assert_output --partial "the name many is in use"
    interrupt "$job"
    assert_equal "$status" 143
    assert_equal "$(cat "$TMPDIR/said")" "09_full_container: many: its files are removed in the background"
    # They are, with all else, and without any other command.
    assert [ -n "$(ls "$TMPDIR/layers")" ]
    PATIENCE=60 eventually eval '[ ! -e "$CONTAINER_LABS_STATE" ]' || fail "$(find "$CONTAINER_LABS_STATE")"
    run -0 ls "$TMPDIR/layers"
    assert_output ""
    run -1 on_host ip link show labs0
    rm -r "$TMPDIR/layers" "$TMPDIR/said"
}

@test "hardening: standard streams that are closed, and SIGCHLD that is ignored" {
    closed() { on_host timeout -k 1 30 sh -c '"$@" <&- >&- 2>&-' sh "$LABS/09_full_container" "$@"; }
    run -3 closed run --net none "$ROOTFS" sh -c 'echo x; exit 3'
    run -127 closed run --net none "$ROOTFS" nothing
    run -125 closed run -d -n closed --net none "$ROOTFS" sleep 1000
    run -4 closed exec closed sh -c 'exit 4'
    labs09 kill closed
    run -0 env --ignore-signal=CHLD nsenter -t "$HOST_PID" -n -u -i "$LABS/09_full_container" run "$ROOTFS" echo good
    assert_output good
}

@test "hardening: nothing is mounted on the root, and every size of a tmpfs works" {
    local target
    cp -a "$ROOTFS" "$TMPDIR/evil"
    ln -s / "$TMPDIR/evil/link"
    mkdir "$TMPDIR/shared"
    for target in / /. /link /tmp/..; do
        run -125 labs09 run --net none -v "$TMPDIR/shared:$target" "$TMPDIR/evil" true
        assert_output --partial "'$target' is not a place for a mount"
        run -125 labs09 run --net none --tmpfs "$target" "$TMPDIR/evil" true
        assert_output --partial "is not a place for a mount"
    done
    for target in max 8192b 1M; do
        run -0 labs09 run --net none --tmpfs "/x:$target" "$ROOTFS" sh -c 'echo x >/x/y && stat -f -c %b /x'
        case $target in
        max) assert_output 0 ;;
        8192b) assert_output 2 ;;
        1M) assert_output 256 ;;
        esac
    done
    rm -r "$TMPDIR/evil" "$TMPDIR/shared"
}

@test "hardening: a strange line in /etc/subuid, a long name of the state directory, a very long command" {
    printf 'alice::65536\n:::\n\nbob:1879048192:65536\n' >"$BATS_TEST_TMPDIR/subuid"
    run -0 unshare --mount --propagation private sh -c 'f=/etc/subuid; [ -e $f ] || f=/etc/subgid; mount --bind "$0" "$f"; exec "$@"' \
        "$BATS_TEST_TMPDIR/subuid" nsenter -t "$HOST_PID" -n -u -i timeout 20 "$LABS/09_full_container" run --net none "$ROOTFS" cat /proc/self/uid_map
    refute_output --regexp ' 1879048192 '
    local deep
    deep=$TMPDIR/$(printf 'd%.0s' $(seq 200))/$(printf 'e%.0s' $(seq 200))
    mkdir -p "$deep"
    CONTAINER_LABS_STATE=$deep/state run -0 labs09 run "$ROOTFS" true
    assert_output ""
    assert [ ! -e "$deep/state" ]
    rm -r "${deep%/*}"
    local words=()
    readarray -t words < <(head -c 1100000 /dev/zero | tr '\0' x | fold -w 100000)
    run -125 labs09 run --net none "$ROOTFS" echo "${words[@]}"
    assert_output --partial "E2BIG"
    assert [ ! -e "$CONTAINER_LABS_STATE" ]
}

# --- terminals, init, exec, kill ------------------------------------------------------------------------------

@test "hardening: the end of what is typed into a terminal is the end for the command" {
    start -n reads --net none
    # shellcheck disable=SC2016 # it is the container's shell that counts
    run -0 eval 'printf "echo sum-\$((40 + 2))\n" | labs09 run -it --net none "$ROOTFS" sh'
    assert_output --partial sum-42
    run -0 eval 'printf "no newline" | labs09 exec -it reads cat'
    assert_output --partial "no newline"
    # Without -i nothing is read.
    run -0 eval 'yes | labs09 run -t --net none "$ROOTFS" sh -c "read -t 1 x; echo \"got \$x.\""'
    assert_output --partial "got ."
    labs09 kill reads
}

@test "hardening: Ctrl-C comes once, with --init as without" {
    local init
    # shellcheck disable=SC2034 # it is used by eval
    for init in "" --init; do
        run eval '{ sleep $SLOW; printf "\3"; sleep 1; } | labs09 run -it $init --net none "$ROOTFS" sh -c "trap \"echo got\" INT; i=0; while [ \$i -lt $((30 * SLOW)) ]; do sleep 0.1; i=\$((i + 1)); done"'
        assert_equal "$(grep -c '^.*got' <<<"$output")" 1
    done
}

@test "hardening: with --init, stop asks first" {
    labs09 run -d -n asked --rm=false --init --net none "$ROOTFS" sh -c 'trap "exit 5" TERM; echo ready; while :; do sleep 0.1; done'
    eventually eval 'labs09 logs asked | grep -q ready'
    labs09 stop asked
    run -0 labs09 ps
    assert_line --regexp '^asked .*ended \(5\)'
    labs09 prune
}

@test "hardening: exec tells of the lack of memory and drops no variable; kill names the process without a handler" {
    local words=()
    readarray -t words < <(for i in $(seq 40); do printf '%s\n' -e "V$i=$i"; done)
    start -n full --net none --memory 32m "${words[@]}"
    run -137 labs09 exec full tail /dev/zero
    assert_output --partial "full: out of memory: the limit is 33554432 bytes"
    run -0 labs09 exec full true
    assert_output ""
    run -125 labs09 exec "${words[@]}" full env
    assert_output --partial "more than 64 times --env"
    run -1 labs09 kill -s TERM full
    assert_output --partial "process 1 of full has no handler for SIGTERM"
    labs09 kill full
}

@test "hardening: of two failures, the one that came first is told" {
    cc -shared -fPIC -o "$BATS_TEST_TMPDIR/fails.so" -x c - <<'C'
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
/* The container fails at once, while the runtime takes its time; or when that has sent all, and has not heard
 * it yet when the container is gone. */
ssize_t recvmsg(int from, struct msghdr *message, int flags)
{
    if (getenv("LATE"))
        usleep(400000);
    return syscall(SYS_recvmsg, from, message, flags);
}
int sethostname(const char *name, size_t length)
{
    (void)name, (void)length;
    if (getenv("LATE"))
        usleep(400000);
    errno = EPERM;
    return -1;
}
int mknodat(int directory, const char *name, mode_t mode, dev_t device)
{
    usleep(100000);
    return syscall(SYS_mknodat, directory, name, mode, device);
}
C
    local late
    for late in "" LATE=yes; do
        # shellcheck disable=SC2086 # one word or none
        run -125 on_host env $late "LD_PRELOAD=$BATS_TEST_TMPDIR/fails.so" ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0 \
            timeout -k 1 20 "$LABS/09_full_container" run -n fails ${late:+--net none} "$ROOTFS" true
        assert_output "09_full_container: sethostname 'fails': EPERM (Operation not permitted)"
    done
}

@test "hardening: an error whose remedy is known carries it" {
    # fails TEXT COMMAND...: run a container with what precedes it; it fails with one line that ends so.
    fails() {
        local text=$1
        shift
        run -125 nsenter -t "$HOST_PID" -n -u -i "$@" "$LABS/09_full_container" run --net none --userns "${users:-host}" \
            "${words[@]}" "$ROOTFS" true
        [ "${#lines[@]}" -eq 1 ] || fail "${#lines[@]} lines: $output"
        [[ $output == "09_full_container: "*"$text"* ]] || fail "'$text' is not in: $output"
        assert [ ! -e "$CONTAINER_LABS_STATE" ]
    }
    local words=() users
    fails "ENOSYS (Function not implemented); this lab needs Linux 5.12; " "$(program_of refuse)" mount_setattr:ENOSYS --
    fails "ENOSYS (Function not implemented); this lab needs Linux 5.12; " "$(program_of refuse)" fsopen:ENOSYS --
    fails "clone3 with new namespaces: EPERM (Operation not permitted); new namespaces need CAP_SYS_ADMIN" \
        "$(program_of refuse)" clone3:EPERM --
    # A limit of a user namespace of its own.
    fails "clone3 with new namespaces: ENOSPC (No space left on device); one of the limits in /proc/sys/user/max_*_namespaces is reached" \
        unshare --user --map-root-user sh -c 'echo 0 >/proc/sys/user/max_net_namespaces && exec "$@"' sh
    # As it is within a container.
    if [ -z "$CANNOT_MAP" ]; then
        users=auto
        fails "mount proc: EPERM (Operation not permitted); parts of /proc are covered here" \
            unshare --mount --propagation private sh -c 'mount --bind /dev/null /proc/cpuinfo && exec "$@"' sh
        words=(-u 100000)
        fails ": EINVAL (Invalid argument); a container has the users and groups 0 to 65535" env
    fi
}

@test "hardening: each command has its help" {
    local command
    for command in run exec; do
        run -0 labs09 "$command" --help
        assert_line --index 0 --partial "09_full_container $command [OPTION]..."
    done
    for command in ps logs stop kill inspect prune; do
        run -0 labs09 "$command" --help
        assert_line --partial " $command"
    done
}

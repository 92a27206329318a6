#!/usr/bin/env bats
# Lab 09: what is promised of a container, line by line of the table in docs/09_full_container.md, and
# what is said where one cannot be. A machine of the test's own is used (tests/container.bash).

# machines: 2
load helpers
load container

setup_file() { make_rootfs; }
setup() { machine_before; host_up; }
teardown() { host_down; machine_after; }

# run_in OPTION... -- COMMAND...: what a command says in a container without a network.
run_in() {
    local options=()
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    run labs09 run --net none "${options[@]}" "$ROOTFS" "$@"
}

@test "full container: the experiment holds" {
    run play 09_full_container
    assert_experiment_held
    assert_line "  ok    EPERM: the filter (and no CAP_SYS_ADMIN)"
    assert_line "  ok    EROFS: the mount of /sys is read-only: what is written there changes the whole machine"
}

# --- the table -------------------------------------------------------------------------------------

@test "full container: ps sees the container's own processes, the command is process 1" {
    run_in -- ps -o pid,args
    assert_success
    assert_line --index 1 --regexp '^ +1 ps -o pid,args$'
    [ "${#lines[@]}" -eq 2 ]
}

@test "full container: mount shows the container's own mounts" {
    run_in -- mount
    assert_success
    assert_line --regexp '^overlay on / type overlay \(rw,nosuid,nodev,'
    assert_line --regexp '^proc on /proc type proc \(rw,nosuid,nodev,noexec'
    assert_line --regexp '^sysfs on /sys type sysfs \(ro,'
    assert_line --regexp '^tmpfs on /dev type tmpfs \(rw,nosuid,noexec'
    assert_line --regexp '^devpts on /dev/pts '
    assert_line --regexp '^tmpfs on /dev/shm '
    assert_line --regexp '^proc on /proc/sys type proc \(ro,'
    refute_output --partial /dev/vda
    refute_output --partial "$BATS_RUN_TMPDIR"
}

@test "full container: ip addr shows lo and eth0 with an address of the bridge's network" {
    run labs09 run "$ROOTFS" ip -4 addr
    assert_success
    assert_line --regexp '^1: lo: <LOOPBACK,UP,LOWER_UP>'
    assert_line --regexp '^ +inet 127.0.0.1/8 '
    assert_line --regexp '^2: eth0@.*,UP,'
    assert_line --regexp '^ +inet 10\.209\.0\.2/24 '
    [ "$(grep -c '^[0-9]*: ' <<<"$output")" -eq 2 ]
    run labs09 run "$ROOTFS" ip -6 addr show eth0
    refute_output --partial inet6
}

@test "full container: the host name is the container's, the machine keeps its own" {
    run_in --hostname inside -- hostname
    assert_output inside
    run_in -n named -- hostname
    assert_output named
    assert_equal "$(on_host hostname)" "$HOST_NAME"
}

@test "full container: /dev has what programs expect, and nothing else" {
    run_in -- sh -c 'cd /dev; ls -d *; stat -c "%n %F %t:%T %a" null zero full random urandom tty; for l in ptmx fd stdin stdout stderr; do readlink $l; done'
    assert_success
    assert_output "fd
full
mqueue
null
ptmx
pts
random
shm
stderr
stdin
stdout
tty
urandom
zero
null character special file 1:3 666
zero character special file 1:5 666
full character special file 1:7 666
random character special file 1:8 666
urandom character special file 1:9 666
tty character special file 5:0 666
pts/ptmx
/proc/self/fd
/proc/self/fd/0
/proc/self/fd/1
/proc/self/fd/2"
    run_in -- sh -c 'echo x >/dev/null && echo x >/dev/shm/file && head -c 4 /dev/zero | wc -c'
    assert_success
    assert_output 4
}

@test "full container: CapEff, NoNewPrivs and Seccomp" {
    run_in -- grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status
    # CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE SYS_CHROOT SETFCAP
    assert_output "CapInh:	0000000000000000
CapPrm:	00000000800405fb
CapEff:	00000000800405fb
CapBnd:	00000000800405fb
CapAmb:	0000000000000000
NoNewPrivs:	1
Seccomp:	2"
    run_in -u 1000 -- grep -E '^Cap(Prm|Eff|Bnd)' /proc/self/status
    assert_output "CapPrm:	0000000000000000
CapEff:	0000000000000000
CapBnd:	00000000800405fb"
    run_in --cap-drop ALL --cap-add KILL -- grep CapEff /proc/self/status
    assert_output "CapEff:	0000000000000020"
}

@test "full container: the limits are in the control group, seen from outside" {
    start -n limited --net none --memory 64m --pids-limit 20 --cpus 0.5 --cpu-shares 512
    local pid file
    pid=$(pid_of limited)
    assert_equal "$(limit_of "$pid" memory memory.limit_in_bytes memory.max)" 67108864
    assert_equal "$(limit_of "$pid" pids pids.max pids.max)" 20
    assert_equal "$(limit_of "$pid" cpu cpu.cfs_quota_us cpu.max)" "$(either 50000 '50000 100000')"
    assert_equal "$(limit_of "$pid" cpu cpu.shares cpu.weight)" "$(either 512 59)"
    labs09 kill limited
    # The default: 512 MiB, 256 processes.
    start -n default --net none
    pid=$(pid_of default)
    assert_equal "$(limit_of "$pid" memory memory.limit_in_bytes memory.max)" 536870912
    assert_equal "$(limit_of "$pid" pids pids.max pids.max)" 256
    # Of the machine's memory for TCP, which some kernels of v1 count apart, it gets no more than a part.
    file=$(group_file "$pid" memory memory.kmem.tcp.limit_in_bytes no-such-file)
    [ ! -e "$file" ] || [ "$(cat "$file")" -le $(($(awk '/^MemTotal/ {print $2}' /proc/meminfo) * 16)) ]
    labs09 kill default
}

# A file of the group of process $1 in the hierarchy of controller $2: $3 on v1, $4 on v2.
group_file() {
    local path
    path=$(sed -n "s/^[0-9]*:\([^:]*,\)*$2\(,[^:]*\)*://p" "/proc/$1/cgroup")
    if [ -n "$path" ]; then
        echo "$(findmnt -nro TARGET -t cgroup -O "$2" | head -n 1)$path/$3"
    else
        echo "$(findmnt -nro TARGET -t cgroup2 | head -n 1)$(sed -n 's/^0:://p' "/proc/$1/cgroup")/$4"
    fi
}

# What is in it.
limit_of() { cat "$(group_file "$@")"; }

either() { if [ -e /sys/fs/cgroup/cgroup.controllers ]; then echo "$2"; else echo "$1"; fi; }

@test "full container: root inside is an ordinary user outside, and files keep their owners" {
    needs_own_users
    start -n users --net none
    local pid
    pid=$(pid_of users)
    run awk '/^Uid/ {print $2}' "/proc/$pid/status"
    [ "$output" -ge 1879048192 ]
    assert_equal "$(labs09 exec users stat -c %u:%g /bin/busybox)" 0:0
    assert_equal "$(stat -c %u:%g "$ROOTFS/bin/busybox")" 0:0
    # Two containers have no user in common.
    start -n others --net none
    local other
    other=$(awk '/^Uid/ {print $2}' "/proc/$(pid_of others)/status")
    [ "$((other - output))" -ge 65536 ] || [ "$((output - other))" -ge 65536 ]
    labs09 kill users
    labs09 kill others
}

@test "full container: two containers ping each other by address" {
    cp -a "$ROOTFS" "$TMPDIR/ping"
    rm -f "$TMPDIR/ping/bin/ping" # a link to busybox
    "$LABS/01_chroot" --with "$(command -v ping)" "$TMPDIR/ping" /bin/true
    start -n one --ip 10.209.0.50
    # busybox's ping wants a raw socket; that of iputils is content with ping_group_range.
    run -0 labs09 run --cap-add NET_RAW "$ROOTFS" ping -c 1 -W 2 10.209.0.50
    assert_output --partial "64 bytes from 10.209.0.50: seq=0 ttl=64"
    run -0 labs09 run "$TMPDIR/ping" "$(command -v ping)" -c 1 -W 2 10.209.0.50
    assert_output --partial "1 received, 0% packet loss"
    # As Debian has it: execve(2) fails where the file wants a capability that is not in the bounding set.
    setcap cap_net_raw=ep "$TMPDIR/ping$(command -v ping)"
    run -0 labs09 run "$TMPDIR/ping" "$(command -v ping)" -c 1 -W 2 10.209.0.50
    assert_output --partial "1 received, 0% packet loss"
    run -126 labs09 run --without privileges "$TMPDIR/ping" "$(command -v ping)" -c 1 -W 2 10.209.0.50
    rm -r "$TMPDIR/ping"
    labs09 kill one
}

@test "full container: out through NAT with the machine's address, in by a published port alone" {
    outside_up
    # With an input that does not end it stays connected.
    mkfifo "$BATS_TEST_TMPDIR/silence"
    outside_meanwhile sh -c 'exec busybox nc -l -p 7000 <>"$0"' "$BATS_TEST_TMPDIR/silence"
    eventually eval 'outside ss -Hltn | grep -q :7000'
    labs09 run -d -n client "$ROOTFS" sh -c '(echo hello; sleep 1000) | nc 192.0.2.2 7000'
    eventually eval 'outside ss -Hatn | grep -q ESTAB'
    run -0 outside ss -Hatn
    assert_output --regexp 'ESTAB .*192\.0\.2\.2\]?:7000 +[^ ]*192\.0\.2\.1\]?:[0-9]+'
    labs09 kill client
    labs09 run -d -n web -p 8080:80 "$ROOTFS" nc -ll -p 80 -e echo from-web
    eventually reaches 192.0.2.1 8080 from-web
    # The other way, by the container's own address, is closed for the outside.
    outside ip route add 10.209.0.0/16 via 192.0.2.1
    run outside busybox nc -w 1 10.209.0.3 80 </dev/null
    assert_failure
    labs09 kill web
    run outside busybox nc -w 1 192.0.2.1 8080 </dev/null
    assert_failure
}

# The CPU time of process $1, in hundredths of a second.
ticks_of() { awk '{print $14 + $15}' "/proc/$1/stat"; }

@test "full container: a published port is reached by ::1, as long as the container is there" {
    local bytes=2000000 relay
    # An echo: what is sent comes back, while both directions are full.
    labs09 run -d -n echo -p 8080:80 -p 8081:81 "$ROOTFS" sh -c 'nc -ll -p 80 -e cat &
        until nc 127.0.0.1 80 </dev/null; do :; done; exec nc -ll -p 81 -e echo second'
    eventually machine_reaches ::1 8081 second
    head -c "$bytes" /dev/urandom >"$BATS_TEST_TMPDIR/sent"
    on_host timeout 20 busybox nc ::1 8080 <"$BATS_TEST_TMPDIR/sent" >"$BATS_TEST_TMPDIR/back" &
    on_host timeout 20 busybox nc ::1 8080 <"$BATS_TEST_TMPDIR/sent" >"$BATS_TEST_TMPDIR/back-too"
    wait $!
    cmp "$BATS_TEST_TMPDIR/sent" "$BATS_TEST_TMPDIR/back"
    cmp "$BATS_TEST_TMPDIR/sent" "$BATS_TEST_TMPDIR/back-too"
    # It holds nothing of the runtime, and listens at ::1 alone.
    run -0 on_host ss -Hltn
    assert_equal "$(awk '{print $4}' <<<"$output" | sort)" $'[::1]:8080\n[::1]:8081'
    relay=$(relay_of echo)
    assert_equal "$(find "/proc/$relay/fd" -type l | wc -l)" 2
    labs09 kill echo
    run on_host busybox nc -w 1 ::1 8080 </dev/null
    assert_failure
    # A client that is gone altogether leaves nothing behind, although the server keeps its end open.
    labs09 run -d -n hold -p 8080:80 "$ROOTFS" nc -ll -p 80 -e sleep 1000
    eventually on_host python3 -c '
import socket, struct
client = socket.create_connection(("::1", 8080))
client.shutdown(socket.SHUT_WR)
client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))'
    relay=$(relay_of hold)
    eventually eval '[ -z "$(pgrep --runstates RSD -P "$relay")" ]'
    labs09 kill hold
    # Nor does it where the server has ended its own side, and reads nothing of what the client has sent. A client that
    # is not gone by a reset may have left what the server reads yet: that waits for a minute, without CPU time.
    local reset served before
    for reset in 1 0; do
        labs09 run -d -n deaf -p 8080:80 "$ROOTFS" sh -c 'nc -l -p 80 </dev/null | sleep 1000'
        eventually on_host python3 -c '
import socket, struct, sys, time
def unread():
    with open("/proc/net/tcp6") as sockets:
        rows = map(str.split, sockets)
        return any(not row[4].endswith(":00000000") for row in rows if row[1].endswith(":1F90"))
client = socket.create_connection(("::1", 8080), 2)
assert client.recv(1) == b""
while not (unread() and not time.sleep(0.3) and unread()):
    client.send(bytes(16384))
    time.sleep(0.002)
client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", int(sys.argv[1]), 0))' "$reset"
        relay=$(relay_of deaf)
        if [ "$reset" = 1 ]; then
            eventually eval '[ -z "$(pgrep --runstates RSD -P "$relay")" ]'
        else
            served=$(pgrep -P "$relay")
            before=$(ticks_of "$served")
            sleep 1
            [ $(($(ticks_of "$served") - before)) -lt 10 ]
        fi
        labs09 kill deaf
    done
    # And it goes with a runtime that is killed.
    labs09 run -d -n echo -p 8080:80 "$ROOTFS" sleep 1000
    kill -9 "$(container_runtimes)"
    eventually says_nothing_of 8080 on_host ss -Hltn
    labs09 prune
    on_host_meanwhile python3 -c 'import socket, time; s = socket.socket(socket.AF_INET6); s.bind(("::1", 8083)); s.listen(); time.sleep(100)'
    eventually eval 'on_host ss -Hltn | grep -q 8083'
    refused 125 "port 8083/tcp is in use on this machine, at ::1" -p 8083:80 "$ROOTFS" true
    # A machine without IPv6 has no ::1.
    on_host sysctl -qw net.ipv6.conf.lo.disable_ipv6=1
    run -0 labs09 run -p 8084:80 "$ROOTFS" true
    on_host sysctl -qw net.ipv6.conf.lo.disable_ipv6=0
}

@test "full container: a connection by ::1 that one side breaks off is broken off for the other" {
    local way server relay
    labs09 run -d -n w -p 8080:80 "$ROOTFS" sleep 1000
    # By 127.0.0.1, which is the kernel's alone, as by ::1.
    for way in 127.0.0.1 ::1; do
        nsenter --target "$(pid_of w)" --net timeout 30 python3 -u -c '
import socket, struct, time
listener = socket.create_server(("", 80))
client = listener.accept()[0]
client.send(b"half of an answer")
client.recv(1)
client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
client.close()
client = listener.accept()[0]
client.send(b"?")
try:
    while client.recv(100): pass
    print("the end")
except ConnectionResetError:
    print("reset")
client = listener.accept()[0]
client.send(b"?")
time.sleep(30)' >"$BATS_TEST_TMPDIR/server" 3>&- &
        server=$!
        eventually on_host timeout 20 python3 -u -c '
import os, socket, struct, sys
server = socket.create_connection((sys.argv[1], 8080))
if not server.recv(100): sys.exit(1) # nobody listens yet
server.send(b"?")
try: print(server.recv(100))
except ConnectionResetError: print("reset")
server = socket.create_connection((sys.argv[1], 8080))
server.recv(1)
server.send(b"half of a request")
server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
server.close()
if ":" in sys.argv[1]:
    server = socket.create_connection((sys.argv[1], 8080))
    server.recv(1)
    os.system("kill -9 $(pgrep -P %s)" % sys.argv[2])
    try: print(server.recv(100))
    except ConnectionResetError: print("reset, as its process was killed")' "$way" "$(relay_of w)" >"$BATS_TEST_TMPDIR/client"
        eventually grep -q . "$BATS_TEST_TMPDIR/server"
        kill "$server"
        wait "$server" || true
        assert_equal "$(cat "$BATS_TEST_TMPDIR/server")" reset
        assert_equal "$(head -n 1 "$BATS_TEST_TMPDIR/client")" reset
    done
    assert_equal "$(tail -n 1 "$BATS_TEST_TMPDIR/client")" "reset, as its process was killed"
    labs09 kill w
}

machine_reaches() { on_host busybox nc -w 1 "$1" "$2" </dev/null 2>/dev/null | grep -q "$3"; }

@test "full container: a published port is reached by localhost, and the machine's localhost by no container" {
    local before
    before=$(rules_of_host)
    labs09 run -d -n web -p 8080:80 "$ROOTFS" nc -ll -p 80 -e echo from-web
    eventually machine_reaches 127.0.0.1 8080 from-web
    eventually machine_reaches 127.9.8.7 8080 from-web
    eventually machine_reaches 10.209.0.1 8080 from-web
    labs09 run -d -n names -p 5353:53/udp "$ROOTFS" probe udp_answer
    eventually eval 'labs09 exec names netstat -lun | grep -q :53'
    run -0 on_host env UDP_HOST=127.0.0.1 UDP_PORT=5353 "$ROOTFS/bin/probe" udp_ask
    # By ::1 a client is refused at once, and may try the next address of localhost.
    run on_host bash -c 'exec 3<>/dev/udp/::1/5353 && for i in 1 2 3; do echo ? >&3; done'
    assert_output --partial "Connection refused"
    # Root inside with every right over its network asks for what listens on the machine's lo alone.
    echo secret >"$BATS_TEST_TMPDIR/secret"
    on_host_meanwhile busybox httpd -f -p 127.0.0.1:7000 -h "$BATS_TEST_TMPDIR"
    eventually eval 'on_host ss -Hltn | grep -q 127.0.0.1:7000'
    ask='ip addr del 127.0.0.1/8 dev lo; ip route flush table local 127.0.0.0/8; echo 1 >/proc/sys/net/ipv4/conf/eth0/route_localnet
        ip route add 127.0.0.1 via 10.209.0.1; timeout 2 wget -qO- http://127.0.0.1:7000/secret'
    run labs09 run --without read-only --cap-add NET_ADMIN "$ROOTFS" sh -c "$ask" </dev/null
    refute_output --partial secret
    # It is the rule that prevents it.
    on_host iptables -I INPUT -i labs0 -d 127.0.0.0/8 -j ACCEPT
    run labs09 run --without read-only --cap-add NET_ADMIN "$ROOTFS" sh -c "$ask" </dev/null
    assert_output --partial secret
    on_host iptables -D INPUT -i labs0 -d 127.0.0.0/8 -j ACCEPT
    labs09 kill web
    labs09 kill names
    assert_equal "$(rules_of_host)" "$before"
}

@test "full container: a chain of nftables that drops what is forwarded is named" {
    local table="$BATS_TEST_DIRNAME/container/firewalld.nft"
    local ask=(run "$ROOTFS" timeout 2 wget -qO- http://192.0.2.2:7000/said)
    outside_up
    echo outside >"$BATS_TEST_TMPDIR/said"
    outside_meanwhile busybox httpd -f -p 7000 -h "$BATS_TEST_TMPDIR"
    eventually eval 'outside ss -Hltn | grep -q :7000'
    # firewalld as it begins; a published port it lets pass.
    grep -v labs0 "$table" | on_host nft -f -
    run labs09 "${ask[@]}"
    assert_output --partial "09_full_container: the chain filter_FORWARD of the table inet firewalld drops what its rules do not accept: what comes from labs0 may end there; with firewalld: firewall-cmd --zone=trusted --add-interface=labs0"
    refute_line outside
    labs09 run -d -n web -p 8080:80 "$ROOTFS" nc -ll -p 80 -e echo from-web 2>/dev/null
    eventually reaches 192.0.2.1 8080 from-web
    labs09 kill web
    run -0 labs09 run --net none "$ROOTFS" true
    assert_output ""
    # And with the remedy.
    on_host nft delete table inet firewalld
    on_host nft -f "$table"
    run -0 labs09 "${ask[@]}"
    assert_output outside
    # A chain that drops some packets only.
    on_host nft flush chain inet firewalld filter_FORWARD
    on_host nft add rule inet firewalld filter_FORWARD ct state established accept
    run -0 labs09 "${ask[@]}"
    assert_output outside
}

@test "full container: a container reaches its own published port, where a bridge shows its frames to iptables, too" {
    local value
    [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ] || skip "br_netfilter is not loaded; make vm has it"
    for value in 0 1; do
        on_host sysctl -qw net.bridge.bridge-nf-call-iptables="$value"
        labs09 run -d -n web -p 8080:80 "$ROOTFS" nc -ll -p 80 -e echo from-web
        eventually machine_reaches 10.209.0.1 8080 from-web
        run -0 labs09 exec web timeout 10 nc -w 5 10.209.0.1 8080 </dev/null
        assert_output from-web
        run -0 labs09 run "$ROOTFS" timeout 10 nc -w 5 10.209.0.1 8080 </dev/null
        assert_output from-web
        labs09 kill web
    done
}

reaches() { outside busybox nc -w 1 "$1" "$2" </dev/null | grep -q "$3"; }

@test "full container: a port of udp is published" {
    outside_up
    labs09 run -d -n names -p 5353:53/udp "$ROOTFS" probe udp_answer
    eventually eval 'labs09 exec names netstat -lun | grep -q :53'
    run -0 outside env UDP_HOST=192.0.2.1 UDP_PORT=5353 "$ROOTFS/bin/probe" udp_ask
    labs09 kill names
    run -1 outside env UDP_HOST=192.0.2.1 UDP_PORT=5353 "$ROOTFS/bin/probe" udp_ask
}

@test "full container: a client of a port of udp is led where the rules lead now, not where it was led before" {
    outside_up
    # From one port, by which the kernel knows it for half a minute.
    asks() { "$@" env UDP_SOURCE=40000 UDP_HOST="$host" UDP_PORT=5353 "$ROOTFS/bin/probe" udp_ask; }
    answers() { labs09 run -d -n "$1" "${@:2}" "$ROOTFS" probe udp_answer && eventually eval "labs09 exec $1 netstat -lun | grep -q :53"; }
    local host from
    for from in "outside 192.0.2.1" "on_host 127.0.0.1" "on_host 10.209.0.1"; do
        host=${from#* } from=${from% *}
        run -1 asks "$from"
        answers first -p 5353:53/udp
        run -0 asks "$from"
        labs09 kill first
        answers second -p 5353:53/udp --ip 10.209.0.77
        run -0 asks "$from"
        labs09 run -d -n else -p 8080:80 "$ROOTFS" sleep 1000
        labs09 kill second
        # What has the address now is not what it asked for.
        answers third --ip 10.209.0.77
        run -1 asks "$from"
        labs09 kill third
        labs09 kill else
        answers fourth --ip 10.209.0.77
        run -1 asks "$from"
        labs09 kill fourth
    done
    # A connection that is none of ours stays.
    answers first --ip 10.209.0.77
    run -0 on_host env UDP_SOURCE=40001 UDP_HOST=10.209.0.77 UDP_PORT=53 "$ROOTFS/bin/probe" udp_ask
    labs09 run -d -n else -p 53:53/udp "$ROOTFS" sleep 1000
    run -0 on_host grep -c 'sport=40001 dport=53 ' /proc/net/nf_conntrack
}

@test "full container: one that is being made is listed, and stop and kill end that" {
    local end hold starter
    mkfifo "$TMPDIR/archive"
    exec {hold}<>"$TMPDIR/archive"
    for end in stop kill; do
        labs09 run -n slow - true <"$TMPDIR/archive" >"$TMPDIR/said" 2>&1 3>&- {hold}>&- &
        starter=$!
        eventually eval 'labs09 ps | grep -q "^slow  *0  *starting "'
        run -1 labs09 kill -s USR1 slow
        assert_output "09_full_container: slow is being made yet: only SIGKILL ends that"
        run -0 labs09 inspect slow
        assert_line --partial '"state": "starting"'
        refute_output --partial '"mnt":'
        run -125 labs09 exec slow true
        assert_output "09_full_container: container slow does not run"
        run -0 labs09 "$end" slow
        status=0
        wait "$starter" || status=$?
        assert_equal "$status" 143
        assert_equal "$(cat "$TMPDIR/said")" "09_full_container: slow: stopped by SIGTERM before the command ran"
        run -0 labs09 ps
        refute_output --partial slow
    done
    exec {hold}>&-
    rm "$TMPDIR/archive" "$TMPDIR/said"
    # One that has just started, which is not recorded yet, and does not end by SIGTERM.
    for end in stop kill; do
        on_host timeout -k 1 "$TOO_LONG" strace -qq -o /dev/null -e inject=rename,renameat,renameat2:delay_enter=2000000:when=2 \
            "$LABS/09_full_container" run ${CANNOT_MAP:+--userns host} -n slow --net none "$ROOTFS" sh -c 'trap : TERM; while :; do sleep 1; done' 3>&- &
        starter=$!
        eventually eval 'labs09 ps | grep -q "^slow .* starting "'
        sleep 0.5
        run -0 labs09 "$end" slow
        wait "$starter" || true
    done
}

# with_servers LINE COMMAND...: where /etc/resolv.conf of the machine is this line.
with_servers() {
    echo "$1" >"$BATS_TEST_TMPDIR/resolv.conf"
    shift
    unshare --mount sh -c 'mount --bind "$0" "$(realpath /etc/resolv.conf)" && exec "$@"' "$BATS_TEST_TMPDIR/resolv.conf" \
        nsenter --target "$HOST_PID" --net --uts --ipc -- "$@" 3>&-
}

@test "full container: name servers that a container does not reach are replaced, or a line says so" {
    local run=("$LABS/09_full_container" run) show=("$ROOTFS" cat /etc/resolv.conf) server
    [ -z "$CANNOT_MAP" ] || run+=(--userns host)
    run -0 with_servers "nameserver 192.0.2.53" "${run[@]}" "${show[@]}"
    assert_output "nameserver 192.0.2.53"
    run -0 with_servers "$(for i in $(seq 800); do echo "# comment $i of administrators"; done; echo nameserver 192.0.2.53)" "${run[@]}" "${show[@]}"
    assert_line "nameserver 192.0.2.53"
    for server in 127.0.0.1 ::1 2001:db8::53; do
        run -0 with_servers "nameserver $server" "${run[@]}" "${show[@]}"
        assert_output --partial "09_full_container: the name servers in /etc/resolv.conf are at loopback addresses or ones of IPv6, which the container does not reach; give it others: -v FILE:/etc/resolv.conf"
        refute_output --partial "nameserver $server"
    done
    run -0 with_servers "nameserver 127.0.0.1" "${run[@]}" --net host "${show[@]}"
    assert_output "nameserver 127.0.0.1"
    echo "nameserver 192.0.2.54" >"$BATS_TEST_TMPDIR/other"
    run -0 with_servers "nameserver 127.0.0.1" "${run[@]}" -v "$BATS_TEST_TMPDIR/other:/etc/resolv.conf" "${show[@]}"
    assert_output "nameserver 192.0.2.54"
    mkdir -p /run/NetworkManager
    echo "nameserver 192.0.2.55" >/run/NetworkManager/no-stub-resolv.conf
    run -0 with_servers "nameserver 127.0.0.1" "${run[@]}" "${show[@]}"
    assert_output "nameserver 192.0.2.55"
    rm -r /run/NetworkManager
}

@test "full container: root's home, more than 64 groups, and a device that hides a file" {
    local root=$TMPDIR/accounts many=(--net none)
    cp -a "$ROOTFS" "$root"
    echo 'root:x:0:0:root:/home/of-root:/bin/sh' >"$root/etc/passwd"
    for number in $(seq 2000 2099); do echo "group$number:x:$number:root"; done >"$root/etc/group"
    run -0 labs09 run "${many[@]}" "$root" sh -c 'echo $HOME; id -G | wc -w'
    assert_output $'/home/of-root\n101'
    run -0 labs09 run "${many[@]}" -u root "$root" sh -c 'echo $HOME; id -G | wc -w'
    assert_output $'/home/of-root\n101'
    rm "$root/etc/passwd"
    run -0 labs09 run "${many[@]}" "$root" sh -c 'echo $HOME; id -u'
    assert_output $'/root\n0'
    run -0 labs09 run "${many[@]}" -v /dev/null:/etc/group "$root" sh -c 'cat /etc/group && echo x >/etc/group && stat -c %t:%T /etc/group'
    assert_output 1:3
    run -1 labs09 run "${many[@]}" --userns host -v /dev/null:/etc/group "$root" chmod 600 /etc/group
    assert_equal "$(stat -c %a /dev/null)" 666
    # Another device is no volume that works.
    mknod "$TMPDIR/memory" c 1 1
    run labs09 run "${many[@]}" --userns host -v "$TMPDIR/memory:/etc/memory" "$root" head -c 1 /etc/memory
    assert_failure 1
    assert_output --partial "Permission denied"
    rm -r "$root" "$TMPDIR/memory"
}

@test "full container: exec, as another user, elsewhere, with its status" {
    start -n busy --net none -e FROM=run
    run -0 labs09 exec busy ps -o pid,args
    assert_line --regexp '^ +1 sleep 1000$'
    run -0 labs09 exec -u nobody -w /tmp -e ALSO=exec busy sh -c 'id -un; pwd; echo $FROM $ALSO; cat /proc/self/status'
    assert_line --index 0 nobody
    assert_line --index 1 /tmp
    assert_line --index 2 "run exec"
    assert_line "NoNewPrivs:	1"
    assert_line "Seccomp:	2"
    assert_line "CapBnd:	00000000800405fb"
    run -7 labs09 exec busy sh -c 'exit 7'
    run -127 labs09 exec busy nothing
    run -143 labs09 exec busy sh -c 'kill -TERM $$'
    assert_equal "$(echo typed | labs09 exec -i busy cat)" typed
    # Its namespaces and its group are those of process 1.
    local inside
    inside=$(labs09 exec busy sh -c 'for n in mnt pid net uts ipc user cgroup; do readlink /proc/1/ns/$n; readlink /proc/self/ns/$n; done' | sort | uniq -c | awk '{print $1}')
    assert_equal "$inside" "$(yes 2 | head -n 7)"
    assert_equal "$(labs09 exec busy sh -c 'cmp /proc/1/cgroup /proc/self/cgroup && echo same')" same
    labs09 kill busy
    run -125 labs09 exec busy true
}

@test "full container: logs, and what is kept with --rm=false until prune" {
    labs09 run -d -n talks --net none "$ROOTFS" sh -c 'echo said; echo complained >&2; sleep 1000'
    eventually eval '[ "$(labs09 logs talks | wc -l)" -eq 2 ]'
    run -0 labs09 logs talks
    assert_line said
    assert_line complained
    labs09 kill talks
    run -1 labs09 logs talks
    run -3 labs09 run -n kept --rm=false --net none "$ROOTFS" sh -c 'echo last words; exit 3'
    run -0 labs09 logs kept
    assert_output "last words"
    run -0 labs09 ps
    assert_line --regexp '^kept .*ended \(3\)'
    run -125 labs09 run -n kept --net none "$ROOTFS" true
    run -0 labs09 prune
    assert_output kept
    assert [ ! -e "$CONTAINER_LABS_STATE" ]
    # A restart of the machine takes away what is in /run, and leaves what was unpacked.
    run -0 env -u CONTAINER_LABS_STATE unshare --mount sh -c 'mount -t tmpfs none /run && mount -t tmpfs none /var/lib &&
        mkdir -p -m 700 /var/lib/container-labs/+bases && mkdir -p /var/lib/container-labs/+bases/left/bin && "$LABS/09_full_container" prune && find /run /var/lib -name "container-labs*"'
    assert_output ""
    # What was unpacked for a container that lives stays, where /run is another one, too.
    run -0 env -u CONTAINER_LABS_STATE unshare --mount sh -c 'mount -t tmpfs none /run && mount -t tmpfs none /var/lib &&
        "$LABS/02_rootfs" --tar=/run/a.tar /run/root && "$LABS/09_full_container" run -d -n lives --net none /run/a.tar sleep 1000 >/dev/null &&
        unshare --mount sh -c "mount -t tmpfs none /run && \"$LABS/09_full_container\" prune &&
            \"$LABS/09_full_container\" run -n lives --net none $ROOTFS true" 3>&- &&
        "$LABS/09_full_container" exec lives ls /bin/busybox; "$LABS/09_full_container" kill lives' 3>&-
    assert_line /bin/busybox
    # So does what is made at this moment, and is not locked yet.
    # shellcheck disable=SC2016 # another shell expands it
    run -0 env -u CONTAINER_LABS_STATE unshare --mount sh -c 'mount -t tmpfs none /run && mount -t tmpfs none /var/lib || exit
        "$LABS/02_rootfs" --tar=/run/a.tar /run/root && mkdir -p -m 700 /var/lib/container-labs/+bases || exit
        strace -o /run/trace -P /var/lib/container-labs/+bases/new -e trace=flock -e inject=flock:delay_enter=2000000:when=1 \
            "$LABS/09_full_container" run -n new --net none /run/a.tar echo it runs &
        timeout 20 sh -c "while [ ! -e /var/lib/container-labs/+bases/new ]; do sleep 0.02; done"
        unshare --mount sh -c "mount -t tmpfs none /run && \"$LABS/09_full_container\" prune"; wait $! && grep DELAYED /run/trace' 3>&-
    assert_line "it runs"
    # With the last container the bridge goes: nothing that is busy with it keeps the name.
    run -0 on_host bash -c 'for _ in 1 2 3 4 5 6 7 8 9 10; do
        "$@" run -n last --rm=false "$ROOTFS" true && "$@" prune || exit; done' - "$LABS/09_full_container"
    assert_equal "${#lines[@]}" 10
}

@test "full container: beside what was unpacked nothing is removed, and no other user gets at it" {
    # shellcheck disable=SC2016 # another shell expands it
    run -0 env -u CONTAINER_LABS_STATE unshare --mount sh -c 'mount -t tmpfs none /run && mount -t tmpfs none /var/lib || exit
        "$LABS/02_rootfs" /run/root && tar -C /run/root -cf /run/a.tar . && mkdir -m 755 /run/disk && chmod 755 /run || exit
        for kind in directory mount link; do
            case $kind in
                directory) mkdir -m 755 /var/lib/container-labs ;;
                mount) mkdir -m 755 /var/lib/container-labs; mount --bind /run/disk /var/lib/container-labs ;;
                link) ln -s /run/disk /var/lib/container-labs ;;
            esac
            mkdir -p /var/lib/container-labs/photos && echo precious >/var/lib/container-labs/photos/file
            "$LABS/09_full_container" run -d -n web --net none /run/a.tar sleep 1000 || exit
            setpriv --reuid 65534 --clear-groups ls /var/lib/container-labs/+bases/web && exit 1
            "$LABS/09_full_container" kill web; "$LABS/09_full_container" run --net none /run/root true && "$LABS/09_full_container" prune || exit
            cat /var/lib/container-labs/photos/file; ls -A /var/lib/container-labs
            umount /var/lib/container-labs 2>/dev/null; rm -r /var/lib/container-labs
        done
        mkdir -p -m 755 /var/lib/container-labs/+bases/theirs; "$LABS/09_full_container" run --net none /run/a.tar true; ls -A /var/lib/container-labs/+bases' 3>&-
    assert_equal "$(grep -cx precious <<<"$output")" 3
    assert_equal "$(grep -cx photos <<<"$output")" 3
    assert_line --partial "/var/lib/container-labs/+bases is not a private directory of this user"
    assert_line theirs
}

@test "full container: a log has a limit" {
    labs09 run -d -n chatty --net none "$ROOTFS" sh -c 'yes 0123456789abcde | head -c 5000000; echo the end; sleep 1000'
    eventually eval 'labs09 logs chatty | tail -n 1 | grep -q "the end"'
    run du -sb "$CONTAINER_LABS_STATE/chatty"
    [ "${output%%[!0-9]*}" -lt 2200000 ]
    labs09 kill chatty
}

@test "full container: stop asks first; a process 1 that would not hear is not waited for" {
    # Its 2000 groups make /proc/PID/status long. Root inside can join 65536 of them.
    seq 10001 12000 | sed 's/.*/group&:x:&:root/' >"$TMPDIR/group"
    labs09 run -d -n polite --rm=false --net none -v "$TMPDIR/group:/etc/group" "$ROOTFS" \
        sh -c 'trap "echo bye; exit 5" TERM; while :; do sleep 0.1; done'
    labs09 stop polite
    rm "$TMPDIR/group"
    run -0 labs09 logs polite
    assert_output bye
    run -0 labs09 ps
    assert_line --regexp '^polite .*ended \(5\)'
    labs09 prune
    start -n deaf --net none
    SECONDS=0
    labs09 stop deaf
    [ "$SECONDS" -lt 8 ]
    labs09 run -d -n stubborn --net none "$ROOTFS" sh -c 'trap "" TERM; while :; do sleep 0.1; done'
    labs09 stop -t 1 stubborn
    run -0 labs09 ps
    [ "${#lines[@]}" -eq 1 ]
}

@test "full container: the memory limit kills the hog and nothing else, and that is told" {
    start -n neighbour --net none
    run labs09 run -n hog --net none --memory 32m "$ROOTFS" sh -c 'tail /dev/zero; echo "status $?"; exit 9'
    assert_failure 9
    assert_line "status 137"
    assert_line --partial "hog: out of memory: the limit is 33554432 bytes"
    run labs09 run -n hog --net none --memory 32m "$ROOTFS" tail /dev/zero
    assert_failure 137
    assert_line --partial "hog: out of memory: the limit is 33554432 bytes"
    run -0 labs09 exec neighbour true
    labs09 kill neighbour
}

@test "full container: the pids limit stops a loop of 300 forks" {
    run_in -- probe forks
    assert_failure
    assert_output "forks: blocked by EAGAIN"
    run_in --pids-limit max -- probe forks
    assert_success
}

# bats test_tags=alone
@test "full container: stop, kill and a signal end a container whose limit leaves no CPU time to end" {
    local verb file
    for verb in "stop -t 0" kill; do
        start -n many --net none --cpus 1
        labs09 exec many sh -c 'for i in $(seq 200); do sleep 1000 & done'
        file=$(group_file "$(pid_of many)" cpu cpu.cfs_quota_us cpu.max)
        echo 1000 >"$file"
        # shellcheck disable=SC2086 # several words
        run -0 labs09 $verb many
        assert_output ""
    done
    # A signal to the runtime is another way.
    start -n many --net none --cpus 1
    labs09 exec many sh -c 'for i in $(seq 200); do sleep 1000 & done'
    file=$(group_file "$(pid_of many)" cpu cpu.cfs_quota_us cpu.max)
    echo 1000 >"$file"
    SECONDS=0
    kill -TERM "$(container_runtimes)"
    eventually [ ! -e "$CONTAINER_LABS_STATE" ]
    [ "$SECONDS" -lt $((20 * SLOW)) ] || fail "it took $SECONDS seconds"
}

@test "full container: CPU within 1% of --cpus" {
    # Two spinning processes under 0.5 CPUs: the kernel's own account of 40 whole periods. Where one ends,
    # the quota has been used up for a while, and the account stands still.
    labs09 run -d -n spins --net none --cpus 0.5 "$ROOTFS" sh -c 'while :; do :; done & while :; do :; done'
    local pid both file from to began ended percent
    pid=$(pid_of spins)
    both="$pid $(pgrep -P "$pid")"
    file=$(group_file "$pid" cpu cpu.stat cpu.stat)
    # On a busy machine we may see a period's beginning late: then it is measured again.
    for _ in 1 2 3; do
        wait_for_period "$file"
        began=$periods from=$(cpu_time "$both")
        sleep 4
        wait_for_period "$file"
        ended=$periods to=$(cpu_time "$both")
        percent=$(((to - from) / ((ended - began) * 10000)))
        echo "measured: $percent / 100 percent in $((ended - began)) periods"
        [ "$percent" -lt 4950 ] || [ "$percent" -gt 5050 ] || break
    done
    labs09 kill spins
    # It gives less, too; what is more than a period late is the limit's fault.
    [ "$percent" -le $((5050 + 5000 / (ended - began))) ]
    { [ "$percent" -ge 4950 ] && [ "$percent" -le 5050 ]; } || [ "$(nproc)" -lt 2 ] || busy_machine
}

# Wait until a period of 100 ms begins, as the cpu.stat $1 says; $periods: how many there have been.
wait_for_period() {
    local end=$((SECONDS + 5 * SLOW)) before
    read_periods "$1"
    before=$periods
    while [ "$periods" = "$before" ]; do
        [ "$SECONDS" -lt "$end" ] || fail "no period of $1 begins"
        read_periods "$1"
    done
}

read_periods() {
    local key value
    while read -r key value; do
        if [ "$key" = nr_periods ]; then periods=$value; fi
    done <"$1"
}

# Nanoseconds of CPU time that the processes $1 have used.
cpu_time() {
    local pid total=0 of
    for pid in $1; do
        read -r of _ <"/proc/$pid/schedstat"
        total=$((total + of))
    done
    echo "$total"
}

busy_machine() { awk '{exit !($1 > 1.5)}' /proc/loadavg; }

# --- ways to run -------------------------------------------------------------------------------------

@test "full container: without a ROOTFS it is busybox; the base is never written to" {
    run -0 labs09 run --net none -i <<<'echo $0; busybox | head -n 1'
    assert_line --partial "BusyBox v"
    find "$ROOTFS" -printf '%p %T@ %s %m %U\n' | sort >"$BATS_TEST_TMPDIR/base-before"
    run_in -- sh -c 'rm /bin/ls; echo x >/new; chmod 777 /etc; chown 5:5 /etc/passwd'
    assert_success
    find "$ROOTFS" -printf '%p %T@ %s %m %U\n' | sort >"$BATS_TEST_TMPDIR/base-after"
    run -0 cmp "$BATS_TEST_TMPDIR/base-before" "$BATS_TEST_TMPDIR/base-after"
}

@test "full container: environment, working directory, user" {
    run_in -e A=1 -e "B=two words" -w /deep/er -u 1000:2000 -- sh -c 'echo "$A $B $HOME $PATH"; pwd; id -u; id -g'
    assert_output "1 two words / /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
/deep/er
1000
2000"
    run_in -n variables -e A=1 -e HOME=/home -- env
    assert_output "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
HOSTNAME=variables
HOME=/home
A=1"
}

@test "full container: a value of --env is read by the command, and in no command line of the machine" {
    local form
    KEPT=kept-secret labs09 run -d -n secrets --net none -e FIRST=first-secret -e KEPT "$ROOTFS" sleep 1000
    for form in "-e LATER=later-secret" "-eLATER=later-secret" "--env=LATER=later-secret"; do
        # shellcheck disable=SC2086 # its words
        on_host_meanwhile "$LABS/09_full_container" exec $form secrets sleep 4713
        wait_until eval 'labs09 exec secrets ps -o args | grep -qx "sleep 4713"'
        run grep -lsa -e first-secret -e later-secret -e kept-secret /proc/[0-9]*/cmdline
        assert_output ""
        run -0 labs09 exec secrets sh -c 'env; cat /proc/*/environ'
        assert_output --partial "FIRST=first-secret"
        assert_output --partial "LATER=later-secret"
        assert_output --partial "KEPT=kept-secret"
        kill "$!"
        wait "$!" || true
    done
    labs09 kill secrets
}

@test "full container: volumes, read-only ones, and a tmpfs" {
    mkdir "$TMPDIR/shared"
    echo from-outside >"$TMPDIR/shared/file"
    run_in -v "$TMPDIR/shared:/data" -v "$TMPDIR/shared/file:/etc/one:ro" --tmpfs /scratch:1m -- \
        sh -c 'cat /data/file /etc/one; echo inside >/data/new; echo x >/etc/one; df -m /scratch | tail -n 1; echo x >/scratch/y'
    # stdout and stderr are two pipes: which comes first is not said.
    assert_equal "$(grep -cx from-outside <<<"$output")" 2
    assert_line --partial "/etc/one: Read-only file system"
    assert_line --regexp '^tmpfs +1 '
    assert_equal "$(cat "$TMPDIR/shared/new")" inside
    # What root inside makes is root's outside, although it is another user: the mount maps it.
    assert_equal "$(stat -c %u "$TMPDIR/shared/new")" 0
    rm -r "$TMPDIR/shared"
}

@test "full container: name servers at the machine's loopback are not handed in, those behind them are" {
    local servers
    for servers in 'nameserver\t127.0.0.53' 'nameserver ::1' '# nameserver 192.0.2.1\nnameserver 127.0.0.53' \
        ' nameserver 127.0.0.1\nsearch example.org'; do
        run -0 on_host env SERVERS="$servers" unshare --mount sh -c '
            mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/resolve
            echo nameserver 192.0.2.53 >/run/systemd/resolve/resolv.conf
            printf "$SERVERS\n" >/run/servers && mount --bind /run/servers /etc/resolv.conf
            "$LABS/09_full_container" run ${CANNOT_MAP:+--userns host} --net host "$ROOTFS" cat /etc/resolv.conf 2>/dev/null'
        assert_output 'nameserver 192.0.2.53'
    done
}

@test "full container: a root file system of a user that a container does not have is refused" {
    needs_own_users
    mkdir -p "$TMPDIR/theirs/bin"
    cp "$ROOTFS/bin/busybox" "$TMPDIR/theirs/bin/busybox"
    chown -R 1000123:1000123 "$TMPDIR/theirs"
    refused 125 "belongs to user 1000123, and a container has the users 0 to 65535; give it to root (chown -R), or use --userns host" \
        --net none "$TMPDIR/theirs" /bin/busybox true
    run -0 labs09 run --net none --userns host "$TMPDIR/theirs" /bin/busybox true
    chown -R 65535:65535 "$TMPDIR/theirs"
    run -0 labs09 run --net none "$TMPDIR/theirs" /bin/busybox true
    rm -r "$TMPDIR/theirs"
}

@test "full container: a row of ps is a line, whatever the command" {
    start -n odd --net none >/dev/null
    labs09 run -d -n forged --net none "$ROOTFS" sh -c $'sleep 1000\n#false    1        running' >/dev/null
    run -0 labs09 ps
    assert_equal "${#lines[@]}" 3
    assert_line --partial ' sh -c sleep 1000?#false    1        running'
    run -2 labs09 kill -x odd
    assert_line --index 1 "Try '09_full_container --help' for more information."
    run -2 labs09 stop -t 1x odd
    assert_output "09_full_container: -t '1x' is not a number from 0 to 86400"
}

@test "full container: --read-only, and a layer on a disk" {
    run_in --read-only -- sh -c 'echo x >/file'
    assert_failure
    assert_output --partial "Read-only file system"
    mkdir "$TMPDIR/layers"
    run_in --layer "$TMPDIR/layers" -- sh -c 'echo x >/file; ls /file'
    assert_output /file
    assert_equal "$(ls "$TMPDIR/layers")" ""
    rmdir "$TMPDIR/layers"
    # In memory it has half of the memory limit.
    run_in --memory 32m -- dd if=/dev/zero of=/file bs=1M count=20
    assert_failure
    assert_output --partial "No space left on device"
}

@test "full container: --init reaps and hands on signals" {
    labs09 run -d -n init --net none --init "$ROOTFS" sh -c 'trap "exit 5" USR1; (sleep 0.5 & exit 0); while :; do sleep 0.1; done'
    run -0 labs09 exec init cat /proc/1/comm
    refute_output sh
    # The orphan has become process 1's, and is gone.
    eventually says_nothing_of '^Z|^[^ ]+ +sleep 0\.5' labs09 exec init ps -o stat,args
    run -2 labs09 kill -s FOO init
    assert_output "09_full_container: there is no signal 'FOO'"
    labs09 kill -s USR1 init
    eventually says_nothing_of '^init ' labs09 ps
    run labs09 run --net none --init "$ROOTFS" sh -c 'kill -KILL $$'
    assert_failure 137
}

@test "full container: standard input, output and error are carried apart and whole" {
    head -c 3000000 /dev/urandom >"$TMPDIR/data"
    labs09 run -i --net none "$ROOTFS" sh -c 'cat; echo to stderr >&2' <"$TMPDIR/data" >"$TMPDIR/copy" 2>"$TMPDIR/error"
    run -0 cmp "$TMPDIR/data" "$TMPDIR/copy"
    assert_equal "$(cat "$TMPDIR/error")" "to stderr"
    # Without -i there is none.
    assert_equal "$(echo typed | labs09 run --net none "$ROOTFS" cat)" ""
    # A reader that goes away does not keep the container.
    labs09 run --net none "$ROOTFS" sh -c 'yes | head -n 100000' | head -n 1 >/dev/null
    rm "$TMPDIR/data" "$TMPDIR/copy" "$TMPDIR/error"
}

# Run lab 09 with a terminal of its own.
on_terminal() {
    script -qec "stty rows 33 cols 101; $(printf '%q ' nsenter -t "$HOST_PID" -n -u -i "$LABS/09_full_container" "$@"); echo status \$?; stty -a" \
        /dev/null </dev/null 3>&-
}

@test "full container: -it gives a terminal of this one's size, and leaves this one as it was" {
    run on_terminal run -it --net none "$ROOTFS" sh -c 'tty; stty size; ls -l /dev/console; exit 4'
    assert_output --partial /dev/pts/0
    assert_output --partial "33 101"
    assert_output --partial "status 4"
    assert_output --partial " icanon "
    start -n terminal --net none
    run on_terminal exec -it terminal sh -c 'tty; exit 6'
    assert_output --partial /dev/pts/0
    assert_output --partial "status 6"
    labs09 kill terminal
}

@test "full container: a command that closes its terminal can open it again, and its status counts" {
    local closes='exec </dev/null >/dev/null 2>&1; sleep 0.3; echo back >/dev/tty; exit 5'
    run on_terminal run -it --net none "$ROOTFS" sh -c "$closes"
    assert_line --partial back
    assert_line --partial "status 5"
    start -n closes --net none
    run on_terminal exec -it closes sh -c "$closes"
    assert_line --partial back
    assert_line --partial "status 5"
    labs09 kill closes
}

@test "full container: a terminal is as it was after the runtime was killed, whichever part of it" {
    local which
    for which in parent child; do
        script -qfec "nsenter -t $HOST_PID -n -u -i $LABS/09_full_container run -it -n crash --net none $ROOTFS sleep 1000; sleep 0.3; stty -a" \
            "$BATS_TEST_TMPDIR/typed" </dev/null >/dev/null 2>&1 3>&- &
        local script=$!
        eventually eval 'labs09 ps | grep -q ^crash'
        local runtime
        runtime=$(container_runtimes)
        [ "$which" = child ] || runtime=$(awk '{print $4}' "/proc/$runtime/stat")
        kill -9 "$runtime"
        wait "$script" || true
        run -0 grep -c ' icanon ' "$BATS_TEST_TMPDIR/typed"
        eventually says_nothing_of '^crash ' labs09 ps
    done
}

@test "full container: the status is the signal that ended it, and Ctrl-C ends it" {
    run_in -- sh -c 'exit 42'
    assert_failure 42
    run_in --init -- sh -c 'kill -SEGV $$'
    assert_failure 139
    env --default-signal=INT,TERM nsenter -t "$HOST_PID" -n -u -i "$LABS/09_full_container" run -n ctrl-c --net none "$ROOTFS" sleep 1000 2>/dev/null 3>&- &
    local job=$!
    eventually eval 'labs09 ps | grep -q ^ctrl-c'
    kill -INT "$(container_runtimes)"
    local status=0
    wait "$job" || status=$?
    assert_equal "$status" 130
}

@test "full container: kill -9 of the runtime leaves nothing that the next command does not sweep" {
    outside_up
    start -n victim -p 8081:80
    local pid runtime
    pid=$(pid_of victim)
    runtime=$(container_runtimes)
    kill -9 "$runtime"
    eventually eval '[ ! -e "/proc/$pid" ]'
    run -0 labs09 ps
    [ "${#lines[@]}" -eq 1 ]
    assert [ ! -e "$CONTAINER_LABS_STATE" ]
    run on_host ip link show labs0
    assert_failure
    run on_host iptables-save
    refute_output --partial CONTAINER-LABS
    assert_equal "$(on_host cat /proc/sys/net/ipv4/ip_forward)" 0
}

@test "full container: the bridge and the rules come with the first container and go with the last" {
    on_host iptables -A FORWARD -s 198.51.100.0/24 -j ACCEPT
    local before
    before=$(rules_of_host)
    start -n first
    start -n second
    run -0 on_host ip -br addr show labs0
    assert_output --partial 10.209.0.1/24
    assert_equal "$(on_host cat /proc/sys/net/ipv4/ip_forward)" 1
    labs09 kill first
    run -0 on_host ip link show labs0
    labs09 kill second
    run -1 on_host ip link show labs0
    assert_equal "$(rules_of_host)" "$before"
    assert_equal "$(on_host cat /proc/sys/net/ipv4/ip_forward)" 0
    # A network that is in use is passed over.
    on_host ip link add used type veth peer name used-too
    on_host ip addr add 10.209.0.129/25 dev used
    run -0 labs09 run "$ROOTFS" ip -4 addr show eth0
    assert_output --partial "inet 10.210.0.2/24"
}

# network_with ROUTE: the address that a container gets where the machine has this route, too.
network_with() {
    on_host ip route add "$@" || return
    labs09 run "$ROOTFS" ip -4 -o addr show eth0 | awk '{print $4}'
    on_host ip route del "$@"
}

@test "full container: a network to which a VPN leads is free, a part of it is not" {
    on_host ip link add vpn0 type veth peer name vpn1
    on_host ip link set vpn1 up
    on_host ip addr add 198.51.100.2/24 dev vpn0
    on_host ip link set vpn0 up
    assert_equal "$(network_with 0.0.0.0/1 dev vpn0)" 10.209.0.2/24
    assert_equal "$(network_with 10.0.0.0/8 via 198.51.100.1)" 10.209.0.2/24
    assert_equal "$(network_with 10.209.0.128/25 via 198.51.100.1)" 10.210.0.2/24
    # All of it is on the link; or this table is asked before ours.
    assert_equal "$(network_with 10.0.0.0/8 dev vpn0)" 172.16.0.2/24
    # What leads nowhere is no network; of the same size it is meant for this one.
    assert_equal "$(network_with unreachable 10.0.0.0/8)" 10.209.0.2/24
    assert_equal "$(network_with blackhole 10.209.0.0/24)" 10.210.0.2/24
    assert_equal "$(network_with 10.0.0.0/8 via 198.51.100.1 table 52)" 172.16.0.2/24
    on_host ip route add 172.16.0.0/12 dev vpn0
    assert_equal "$(network_with 10.0.0.0/8 dev vpn0)" 192.168.0.2/24
    on_host ip route add 192.168.0.0/16 dev vpn0
    on_host ip route add 10.0.0.0/8 dev vpn0
    run -125 labs09 run "$ROOTFS" true
    assert_output --partial "192.168.0.0/16 are all in use on this machine (ip route show table all); choose a network with --subnet"
    run -125 labs09 run --subnet 10.209.0.0/16 "$ROOTFS" true
    assert_output --partial "the network asked for by --subnet is in use"
}

@test "full container: what the kernel changes along with forwarding is set back, and a policy of others stays" {
    on_host ip link add up0 type veth peer name up1
    on_host sysctl -qw net.ipv4.ip_forward=0 net.ipv4.conf.all.accept_redirects=0 net.ipv4.conf.up0.forwarding=1
    start -n first
    assert_equal "$(on_host cat /proc/sys/net/ipv4/ip_forward)" 1
    on_host iptables -P FORWARD DROP
    labs09 kill first
    run -0 on_host sysctl -n net.ipv4.ip_forward net.ipv4.conf.all.accept_redirects net.ipv4.conf.up0.forwarding \
        net.ipv4.conf.lo.forwarding
    assert_output $'0\n0\n1\n0'
    run -0 on_host iptables -S
    assert_line -- '-P FORWARD DROP'
    refute_output --partial CONTAINER-LABS
    # What kill -9 cut short does not keep the directory.
    start -n second --net none
    : >"$CONTAINER_LABS_STATE/.network.new"
    labs09 kill second
    assert [ ! -e "$CONTAINER_LABS_STATE" ]
}

@test "full container: rules go as a whole, or one by one where other programs have made some" {
    mkdir "$TMPDIR/path"
    printf '#!/bin/sh\necho >>"%s"\nexec "%s" "$@"\n' "$TMPDIR/calls" "$(command -v iptables-restore)" \
        >"$TMPDIR/path/iptables-restore"
    chmod +x "$TMPDIR/path/iptables-restore"
    local PATH=$TMPDIR/path:$PATH
    start -n alone
    labs09 kill alone
    assert_equal "$(wc -l <"$TMPDIR/calls")" 1
    run -0 on_host nft list ruleset
    assert_output ""
    start -n published -p 8080:80
    labs09 kill published
    assert_equal "$(wc -l <"$TMPDIR/calls")" 3
    run -0 on_host nft list ruleset
    assert_output ""
    start -n beside
    on_host iptables -t nat -A POSTROUTING -s 198.51.100.0/24 -j ACCEPT
    labs09 kill beside
    assert_equal "$(wc -l <"$TMPDIR/calls")" 5
    run -0 on_host iptables-save
    assert_output --partial "-A POSTROUTING -s 198.51.100.0/24 -j ACCEPT"
    refute_output --partial labs0
    on_host iptables -t nat -D POSTROUTING -s 198.51.100.0/24 -j ACCEPT
    rm -r "$TMPDIR/path" "$TMPDIR/calls"
}

@test "full container: rules that another program has flushed are made again by the next start" {
    local before whole flush
    before=$(rules_of_host)
    labs09 run -d -n web -p 8080:80 "$ROOTFS" nc -ll -p 80 -e echo from-web
    eventually machine_reaches 127.0.0.1 8080 from-web
    whole=$(rules_of_host)
    for flush in "nft flush ruleset" "iptables -F" "iptables -t nat -F PREROUTING"; do
        # shellcheck disable=SC2086 # words
        on_host $flush
        run -0 labs09 run "$ROOTFS" true
        assert_output --partial "rules of labs0 are gone"
        assert_equal "$(rules_of_host)" "$whole"
        machine_reaches 127.0.0.1 8080 from-web
    done
    # Rules of others beside ours are no reason, and count as theirs where they name the bridge, too.
    on_host iptables -A INPUT -i labs0 -p tcp --dport 22 -j ACCEPT
    run -0 labs09 run "$ROOTFS" true
    assert_output ""
    on_host iptables -t nat -F PREROUTING
    run -0 labs09 run "$ROOTFS" true
    assert_output --partial "rules of labs0 are gone"
    on_host sysctl -qw net.ipv4.ip_forward=0
    run -0 labs09 run "$ROOTFS" true
    assert_output --partial "another program has set net.ipv4.ip_forward to 0"
    run -0 labs09 kill web
    assert_output ""
    run -1 on_host ip link show labs0
    assert_equal "$(on_host iptables-save | grep ^-A)" "-A INPUT -i labs0 -p tcp -m tcp --dport 22 -j ACCEPT"
    on_host nft flush ruleset
    assert_equal "$(rules_of_host)" "$before"
}

@test "full container: rules that are made again know who had switched forwarding on, and who relies on it" {
    on_host sysctl -qw net.ipv4.ip_forward=1
    start -n first --ip 10.209.0.9
    on_host iptables -A FORWARD -s 198.51.100.0/24 -j ACCEPT
    run -0 labs09 run "$ROOTFS" true
    assert_output ""
    run -0 rules_of_host
    refute_line --partial "! -i labs0 ! -o labs0"
    labs09 kill first
    on_host iptables -D FORWARD -s 198.51.100.0/24 -j ACCEPT
    on_host sysctl -qw net.ipv4.ip_forward=0
    start -n second
    on_host iptables -A FORWARD -s 198.51.100.0/24 -j ACCEPT
    on_host iptables -t nat -F PREROUTING
    run -0 labs09 run "$ROOTFS" true
    assert_output --partial "rules of labs0 are gone"
    labs09 kill second
    assert_equal "$(on_host sysctl -n net.ipv4.ip_forward)" 1
    on_host iptables -D FORWARD -s 198.51.100.0/24 -j ACCEPT
    on_host sysctl -qw net.ipv4.ip_forward=0
}

@test "full container: there is a way out where devices do not forward by default" {
    outside_up
    on_host sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.default.forwarding=0
    run -0 labs09 run --cap-add NET_RAW "$ROOTFS" ping -c 1 -W 2 192.0.2.2
    on_host sysctl -qw net.ipv4.conf.default.forwarding=1 net.ipv4.ip_forward=0
}

# All of iptables, but for counters and dates.
rules_of_host() { on_host iptables-save | sed '/^#/d; s/ *[[][0-9:]*]//'; }

@test "full container: directories in directories go with their layer, and nothing beside it" {
    mkdir -p "$TMPDIR/layers/.moved-0"
    run -0 labs09 run --net none --layer "$TMPDIR/layers" "$ROOTFS" sh -c '
        for name in a b; do
            mkdir /$name && cd /$name || exit
            for i in $(seq 400); do mkdir .moved-$i .moved-0; cd .moved-0; done
        done'
    run -0 ls -A "$TMPDIR/layers"
    assert_output .moved-0
    rm -r "$TMPDIR/layers"
}

# slow_logs CALL WHEN: `logs w`, which waits 2 s when it makes the first CALL on the log.
slow_logs() {
    on_host timeout 30 strace -qq -o /dev/null -P "$CONTAINER_LABS_STATE/w/log" -e "trace=$1" \
        -e "inject=$1:$2=2000000:when=1" "$LABS/09_full_container" logs w >"$BATS_TEST_TMPDIR/said" 2>&1 3>&- &
    sleep 1
}

@test "full container: logs of a container that goes meanwhile, and of one whose log becomes the old one" {
    local status=0
    labs09 run -d -n w --net none "$ROOTFS" sh -c 'echo first; exec sleep 1000'
    slow_logs openat delay_enter
    labs09 kill w
    wait $! || status=$?
    assert_equal "$status" 1
    assert_equal "$(cat "$BATS_TEST_TMPDIR/said")" "09_full_container: there is no container w"
    labs09 run -d -n w --net none "$ROOTFS" sh -c 'echo first; exec sleep 1000'
    eventually eval '[ -n "$(labs09 logs w)" ]'
    # Where the old one is looked for before: it is not there yet.
    slow_logs openat delay_enter
    mv "$CONTAINER_LABS_STATE/w/log" "$CONTAINER_LABS_STATE/w/log.old"
    echo next >"$CONTAINER_LABS_STATE/w/log"
    wait $!
    assert_equal "$(cat "$BATS_TEST_TMPDIR/said")" $'first\nnext'
    # Where it is looked for afterwards: the present one is the old one by then.
    slow_logs openat delay_exit
    mv "$CONTAINER_LABS_STATE/w/log" "$CONTAINER_LABS_STATE/w/log.old"
    echo last >"$CONTAINER_LABS_STATE/w/log"
    wait $!
    assert_equal "$(cat "$BATS_TEST_TMPDIR/said")" $'next\nlast'
    labs09 kill w
}

@test "full container: a time namespace hides no container, nor one in it from outside" {
    local elsewhere=(unshare --time --boottime 100000 --fork --)
    labs09 run -d -n w --net none ${CANNOT_MAP:+--userns host} "$ROOTFS" sleep 1000
    run -0 on_host "${elsewhere[@]}" "$LABS/09_full_container" ps
    assert_line --regexp '^w .* running '
    run -0 on_host "${elsewhere[@]}" "$LABS/09_full_container" exec w echo inside
    run -0 on_host "${elsewhere[@]}" "$LABS/09_full_container" kill w
    on_host "${elsewhere[@]}" "$LABS/09_full_container" run -d -n w --net none ${CANNOT_MAP:+--userns host} "$ROOTFS" sleep 1000
    run -0 labs09 exec w echo inside
    run -0 labs09 kill w
}

@test "full container: one whose runtime has not yet removed it is ending, for ps and for inspect" {
    local runtime
    labs09 run -d -n w --net none "$ROOTFS" sleep 1000
    runtime=$(container_runtimes)
    kill -STOP "$runtime"
    kill -KILL "$(pid_of w)"
    eventually eval 'labs09 ps | grep -q "^w .* ending "'
    run -0 labs09 inspect w
    assert_line --partial '"state": "ending"'
    assert_line --partial '"namespaces": {}'
    kill -CONT "$runtime"
    eventually eval '! labs09 inspect w'
}

@test "full container: inspect is JSON, whatever the words hold" {
    labs09 run -d -n odd --net none -e $'TEXT=line\nother "quoted" \\ \x01 \xff ä \xed\xa0\x80 \xe0\x80\x80' "$ROOTFS" sleep 1000
    labs09 inspect odd >"$TMPDIR/odd.json"
    run -0 python3 -c 'import json, sys; c = json.load(open(sys.argv[1], encoding="utf-8")); print(c["name"], c["memory"], len(c["namespaces"]), c["environment"] == ["TEXT=line\nother \"quoted\" \\ \x01 \xff \u00e4 \xed\xa0\x80 \xe0\x80\x80"])' "$TMPDIR/odd.json"
    assert_output "odd 536870912 8 True"
    rm "$TMPDIR/odd.json"
    labs09 kill odd
}

@test "full container: 100 containers at once all run" {
    local i starts=()
    for i in $(seq 100); do
        labs09 run --net none "$ROOTFS" sh -c "echo container-$i" >>"$TMPDIR/hundred" 2>&1 3>&- &
        starts+=($!)
    done
    wait "${starts[@]}" || true
    run sort -u "$TMPDIR/hundred"
    [ "${#lines[@]}" -eq 100 ] || fail "${#lines[@]} lines: $output"
    run -1 grep -v '^container-[0-9]*$' "$TMPDIR/hundred"
    rm "$TMPDIR/hundred"
}

@test "full container: 100 containers at once on the bridge, which goes with the last" {
    local i starts=()
    for i in $(seq 100); do
        # It says its address, and whether the bridge is there.
        labs09 run -d -n "bridged-$i" --memory 32m --cap-add NET_RAW "$ROOTFS" sh -c \
            'ip -4 -o addr show eth0; ping -c 1 -W 10 10.209.0.1; exec sleep 1000' >>"$TMPDIR/names" 2>&1 3>&- &
        starts+=($!)
    done
    wait "${starts[@]}" || true
    run sort -u "$TMPDIR/names"
    [ "${#lines[@]}" -eq 100 ] || fail "${#lines[@]} lines: $output"
    run -1 grep -v '^bridged-[0-9]*$' "$TMPDIR/names"
    answers() { [ "$(cat "$CONTAINER_LABS_STATE"/bridged-*/log | grep -c '^64 bytes from 10.209.0.1: seq=0 ')" -eq 100 ]; }
    PATIENCE=60 eventually answers || fail "$(cat "$CONTAINER_LABS_STATE"/bridged-*/log)"
    # Of each its own; the kernel's view and ours are one.
    run -0 eval 'cat "$CONTAINER_LABS_STATE"/bridged-*/log | sed -n "s/^2: eth0 .* inet \([0-9.]*\)\/24 .*/\1/p" | sort -u'
    [ "${#lines[@]}" -eq 100 ] || fail "${#lines[@]} addresses: $output"
    assert_equal "$(labs09 ps | awk '/^bridged-/ {print $6}' | sort -u)" "$output"
    [ "$(on_host ip -o link show master labs0 | wc -l)" -eq 100 ]
    # All but one at the same moment; then that one.
    starts=()
    for i in $(seq 99); do
        labs09 kill "bridged-$i" 3>&- &
        starts+=($!)
    done
    wait "${starts[@]}"
    assert_equal "$(labs09 ps | awk '/^bridged-/ {print $1}')" bridged-100
    run -0 on_host ip link show labs0
    labs09 kill bridged-100
    run -1 on_host ip link show labs0
    run -0 on_host iptables-save
    refute_output --partial labs0
    refute_output --partial CONTAINER-LABS
    assert_equal "$(on_host cat /proc/sys/net/ipv4/ip_forward)" 0
    assert [ ! -e "$CONTAINER_LABS_STATE" ]
    rm "$TMPDIR/names"
}

@test "full container: the runtime of a running container has less than half a MB of memory of its own" {
    # The pages of the libraries, of which the kernel maps some more, are for all processes.
    local limit=512
    # The bookkeeping of a sanitizer is not the runtime's.
    # shellcheck disable=SC2034 # it is used, in what is evaluated below
    if grep -q __asan_init "$LABS/09_full_container"; then limit=65536; fi
    start -n small --net none
    eventually eval '[ "$(awk "/^RssAnon/ {print \$2}" /proc/$(container_runtimes)/status)" -lt "$limit" ]'
    labs09 kill small
}

# --- what cannot be ------------------------------------------------------------------------------------

@test "full container: bad words are refused before anything is changed" {
    refused 125 "invalid name: '../x'" -n ../x "$ROOTFS" true
    refused 125 "invalid host name" --hostname 'a b' "$ROOTFS" true
    refused 125 "'lots' is not a size such as 512m" --memory lots "$ROOTFS" true
    refused 125 "'9999999999g' is not a size" --memory 9999999999g "$ROOTFS" true
    refused 125 "'1k' is less than" --memory 1k "$ROOTFS" true
    refused 125 "invalid --cpus: '0'" --cpus 0 "$ROOTFS" true
    refused 125 "invalid --cpus: 'two'" --cpus two "$ROOTFS" true
    refused 125 "invalid --cpu-shares: '1'" --cpu-shares 1 "$ROOTFS" true
    refused 125 "invalid --pids-limit: '-5'" --pids-limit -5 "$ROOTFS" true
    refused 125 "invalid --ip: '300.1.1.1'" --ip 300.1.1.1 "$ROOTFS" true
    refused 125 "invalid --subnet: '10.0.0.1/8'" --subnet 10.0.0.1/8 "$ROOTFS" true
    refused 125 "invalid --subnet: '0.0.0.0/8' is not a network of hosts" --subnet 0.0.0.0/8 "$ROOTFS" true
    refused 125 "invalid --subnet: '224.0.0.0/24' is not a network of hosts" --subnet 224.0.0.0/24 "$ROOTFS" true
    : >"$TMPDIR/file"
    refused 125 "ENOTDIR" --net none --layer "$TMPDIR/file" "$ROOTFS" true
    rm "$TMPDIR/file"
    refused 125 "invalid --publish: '70000:80'" -p 70000:80 "$ROOTFS" true
    refused 125 "invalid --publish: '80:80/icmp'" -p 80:80/icmp "$ROOTFS" true
    refused 125 "port 80 is published twice" -p 80:1 -p 80:2 "$ROOTFS" true
    refused 125 "invalid --net: 'cloud'" --net cloud "$ROOTFS" true
    refused 125 "need --net bridge" --net none -p 80:80 "$ROOTFS" true
    refused 125 "invalid capability: 'FLY'" --cap-add FLY "$ROOTFS" true
    refused 125 "invalid --userns: 'mine'" --userns mine "$ROOTFS" true
    refused 125 "invalid --volume: 'data'" -v data "$ROOTFS" true
    refused 125 "invalid --env: '=x'" -e =x "$ROOTFS" true
    refused 125 "invalid --workdir: 'here'" -w here "$ROOTFS" true
    refused 125 "'paper' is not a wall; the walls are pid, ipc, " --without paper "$ROOTFS" true
    refused 125 "does not go together" -d -t "$ROOTFS" true
    run -125 labs09 run --magic "$ROOTFS" true
    assert_equal "$output" "09_full_container: unrecognized option '--magic'
Try '09_full_container run --help' for more information."
}

@test "full container: a ROOTFS that is none" {
    mkdir "$TMPDIR/empty"
    echo text >"$TMPDIR/text"
    refused 125 "'$TMPDIR/nowhere': ENOENT (No such file or directory); \`$LABS/02_rootfs $TMPDIR/nowhere\` makes one" \
        --net none "$TMPDIR/nowhere" true
    refused 125 "is not a root file system: it is empty" --net none "$TMPDIR/empty" true
    refused 125 "neither a directory nor a tar" --net none "$TMPDIR/text" true
    refused 125 "neither a directory nor a tar" --net none /dev/null true
    rm -r "$TMPDIR/empty" "$TMPDIR/text"
}

@test "full container: a command that is not there, or none" {
    refused 127 "failed to run command 'nothing': No such file or directory" "$ROOTFS" nothing
    refused 127 "failed to run command '/bin/nothing': No such file or directory" --net none "$ROOTFS" /bin/nothing
    refused 126 "failed to run command '/etc': Permission denied" --net none "$ROOTFS" /etc
    refused 126 "failed to run command '/etc/passwd': Permission denied" --net none --init "$ROOTFS" /etc/passwd
    refused 125 "the root file system has no user 'somebody'" --net none -u somebody "$ROOTFS" true
    run -127 labs09 run -d --net none "$ROOTFS" nothing
    [ "${#lines[@]}" -eq 1 ]
}

@test "full container: what is in use: a name, an address, a port, a subnet, all addresses" {
    start -n taken --subnet 10.209.0.0/30 -p 8082:80
    STATE_STAYS=yes
    refused 125 "the name taken is in use" -n taken --net none "$ROOTFS" true
    refused 125 "no address is free in 10.209.0.0/30" "$ROOTFS" true
    refused 125 "address 10.209.0.2 is in use by taken" --ip 10.209.0.2 "$ROOTFS" true
    refused 125 "address 10.209.0.3 is not one that a container on 10.209.0.0/30 can have" --ip 10.209.0.3 "$ROOTFS" true
    refused 125 "address 192.168.0.1 is not one that a container on " --ip 192.168.0.1 "$ROOTFS" true
    refused 125 "has the network 10.209.0.0/30 already" --subnet 10.211.0.0/16 "$ROOTFS" true
    labs09 kill taken
    start -n roomy -p 8082:80
    refused 125 "port 8082/tcp is in use by roomy" -p 8082:80 "$ROOTFS" true
    on_host_meanwhile busybox nc -l -p 8083
    eventually eval 'on_host ss -ltn | grep -q :8083'
    refused 125 "port 8083/tcp is in use on this machine" -p 8083:80 "$ROOTFS" true
    labs09 kill roomy
    # shellcheck disable=SC2034
    STATE_STAYS=no
    on_host ip link add used type veth peer name used-too
    on_host ip addr add 10.44.0.1/24 dev used
    refused 125 "the network asked for by --subnet is in use" --subnet 10.44.0.0/16 "$ROOTFS" true
    on_host ip link add labs0 type veth peer name labs0-too
    run labs09 run "$ROOTFS" true
    assert_failure 125
    assert_output "09_full_container: a link labs0 exists already, and no record says that it is of this program; if nobody needs it, type: ip link delete labs0"
}

@test "full container: without iptables there is no bridge, and it is named" {
    local path
    path=$(path_without iptables-restore)
    # Where PATH does not lead, it is looked for in the directories of the administrator's commands.
    mount --bind /dev/null /usr/sbin/iptables-restore
    PATH=$path refused 125 "a bridge needs iptables; install it, or use --net none" "$ROOTFS" true
    umount /usr/sbin/iptables-restore
    run -0 labs09 run --net none "$ROOTFS" true
}

@test "full container: a mount source that is gone, and a full disk under the layer" {
    refused 125 "volume '$TMPDIR/gone': ENOENT" --net none -v "$TMPDIR/gone:/data" "$ROOTFS" true
    mkdir "$TMPDIR/full"
    mount -t tmpfs -o size=64k none "$TMPDIR/full"
    head -c 1m /dev/zero >"$TMPDIR/full/file" 2>/dev/null || true
    # No inode and no block is left.
    mount -o remount,nr_inodes=2 "$TMPDIR/full"
    refused 125 "ENOSPC (No space left on device)" --net none --layer "$TMPDIR/full" "$ROOTFS" true
    CONTAINER_LABS_STATE="$TMPDIR/full/state" refused 125 "ENOSPC (No space left on device)" --net none "$ROOTFS" true
    umount "$TMPDIR/full"
    rmdir "$TMPDIR/full"
}

@test "full container: a limit that the kernel refuses, no control groups, no overlayfs" {
    # The only write of six bytes, on cgroup v1 and v2.
    run -125 nsenter -t "$HOST_PID" -n -u -i "$(program_of refuse)" write:EINVAL:2=6 -- \
        "$LABS/09_full_container" run --net none --pids-limit 999999 "$ROOTFS" true
    [ "${#lines[@]}" -eq 1 ]
    assert_output --regexp '^09_full_container: write.*/pids\.max.*: EINVAL \(Invalid argument\)'
    assert [ ! -e "$CONTAINER_LABS_STATE" ]
    run find /sys/fs/cgroup -path '*container-*' -name pids.max
    assert_output ""
    run unshare --mount --propagation private sh -c \
        'findmnt -nro TARGET -t cgroup,cgroup2 | tac | xargs -n 1 umount; exec "$@"' sh \
        nsenter -t "$HOST_PID" -n -u -i "$LABS/09_full_container" run --net none "$ROOTFS" true
    assert_failure 125
    assert_output --partial "no control group file system with the controller"
    assert [ ! -e "$CONTAINER_LABS_STATE" ]
    run -125 unshare --mount --propagation private sh -c \
        'findmnt -nro TARGET -t cgroup,cgroup2 | xargs -n 1 mount -o remount,bind,ro; exec "$@"' sh \
        nsenter -t "$HOST_PID" -n -u -i env -u LAB_MUST_RUN "$LABS/09_full_container" run --net none "$ROOTFS" true
    assert_output --regexp '^09_full_container: mkdir .*: EROFS \(Read-only file system\)'
    # A layer on an overlay.
    mkdir "$TMPDIR/o" "$TMPDIR/o/u" "$TMPDIR/o/w" "$TMPDIR/o/m"
    mount -t tmpfs none "$TMPDIR/o"
    mkdir "$TMPDIR/o/u" "$TMPDIR/o/w" "$TMPDIR/o/m"
    mount -t overlay -o "lowerdir=$ROOTFS,upperdir=$TMPDIR/o/u,workdir=$TMPDIR/o/w" overlay "$TMPDIR/o/m"
    refused 125 "an overlay on an overlay" --net none --userns host --layer "$TMPDIR/o/m" "$ROOTFS" true
    umount "$TMPDIR/o/m" "$TMPDIR/o"
    rm -r "$TMPDIR/o"
}

@test "full container: where owners cannot be mapped, root inside is root outside only by --userns host" {
    # overlayfs cannot be mapped itself.
    mkdir "$TMPDIR/o" "$TMPDIR/m"
    mount -t tmpfs none "$TMPDIR/o"
    mkdir "$TMPDIR/o/u" "$TMPDIR/o/w"
    mount -t overlay -o "lowerdir=$ROOTFS,upperdir=$TMPDIR/o/u,workdir=$TMPDIR/o/w" overlay "$TMPDIR/m"
    run -125 on_host "$LABS/09_full_container" run --net none "$TMPDIR/m" cat /proc/self/uid_map
    [ "${#lines[@]}" -eq 1 ]
    assert_output --partial "09_full_container: root file system '$TMPDIR/m': this kernel or file system cannot show files with other owners: EINVAL"
    assert_output --partial "by --userns host"
    assert [ ! -e "$CONTAINER_LABS_STATE" ]
    # So is an archive whose files would be shown so.
    tar -C "$ROOTFS" -cf "$TMPDIR/tar" .
    mkdir -m 700 "$TMPDIR/m/state"
    CONTAINER_LABS_STATE=$TMPDIR/m/state run -125 on_host "$LABS/09_full_container" run --net none "$TMPDIR/tar" true
    assert_output --partial "cannot show files with other owners: EINVAL"
    run -0 labs09 run --net none --userns host "$TMPDIR/m" cat /proc/self/uid_map
    assert_output --regexp '^ +0 +0 +4294967295$'
    umount "$TMPDIR/m" "$TMPDIR/o"
    rmdir "$TMPDIR/m" "$TMPDIR/o"
    rm "$TMPDIR/tar"
}

@test "full container: commands about containers that are not there" {
    local command
    for command in logs stop kill inspect; do
        run -1 labs09 "$command" nobody
        assert_output "09_full_container: there is no container nobody"
        run -2 labs09 "$command"
    done
    run -125 labs09 exec nobody true
    run -2 labs09 dance
    run -0 labs09 prune
    run -0 labs09 ps
    [ "${#lines[@]}" -eq 1 ]
    run -0 "$LABS/09_full_container" --help
    run -0 "$LABS/09_full_container" run --help
    run -0 "$LABS/09_full_container" --version
}

@test "full container: each line of the table in the chapter has its test" {
    local repository=${BATS_TEST_FILENAME%/tests/*} name found=0
    while read -r name; do
        found=$((found + 1))
        grep -qF "@test \"full container: $name" "$BATS_TEST_FILENAME" || fail "there is no test '$name'"
    done < <(sed -n '/^| inside | is | the test |/,/^$/p' "$repository/docs/09_full_container.md" |
        sed -nE '3,$s/^.* \| ([^|]+) \|$/\1/p' | sed 's/; /\n/g')
    [ "$found" -ge 15 ] || fail "$found lines"
}

udp_frames_by() { on_host iptables -t raw -nvxL PREROUTING | awk -v link="$1" '$NF ~ /9999/ && index($0, " " link " ") { print $1 }'; }

@test "full container: the port of a container is closed to the machine, and its MAC address follows from its own" {
    local port
    start -n w --ip 10.209.0.9 -p 8080:80 --cap-add NET_RAW
    run -0 labs09 exec w cat /sys/class/net/eth0/address
    assert_output 02:42:0a:d1:00:09
    port=$(on_host ip -o link show master labs0 | sed -E 's/^[0-9]+: ([^@:]+).*/\1/')
    # Without rp_filter, labs0 would take packets from 127.0.0.2 by its route_localnet.
    run -0 on_host cat "/proc/sys/net/ipv6/conf/$port/disable_ipv6" /proc/sys/net/ipv4/conf/labs0/rp_filter
    assert_output $'1\n1'
    # Frames to a group that no bridge hands on, 01:80:c2:00:00:0X, would come to the port itself, past the rules of labs0.
    on_host iptables -t raw -A PREROUTING -i labs0 -p udp --dport 9999
    on_host iptables -t raw -A PREROUTING -i labs-+ -p udp --dport 9999
    run -0 labs09 exec w probe group_frames
    eventually eval '[ "$(udp_frames_by labs0)" -ge 90 ]'
    assert_equal "$(udp_frames_by labs-+)" 0
    on_host iptables -t raw -F
    labs09 kill w
}

@test "full container: the bridge of another network namespace, and a process of another PID namespace, are told" {
    local far
    start -n w
    run -125 on_host unshare --net "$LABS/09_full_container" run -n other "$ROOTFS" true
    assert_output "09_full_container: labs0 and its containers are in another network namespace: stop them first"
    run -0 labs09 exec w true
    labs09 kill w
    run -1 on_host ip link show labs0
    on_host unshare --pid --fork --mount-proc "$LABS/09_full_container" run --net none -n far "$ROOTFS" sleep 997 3>&- &
    far=$!
    eventually eval 'labs09 ps | grep -q ^far'
    for command in stop kill; do
        run -1 labs09 "$command" far
        assert_output "09_full_container: container far is in another PID namespace: end it from there"
    done
    kill -KILL "$(pgrep -f '^sleep 997$')"
    wait "$far" || true
}

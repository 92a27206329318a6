#!/usr/bin/env bats
# Lab 07: the experiment, seen from outside; up, status and down on a host that the test makes.

load helpers
load network

setup() {
    machine_before
    REFUSE=$(program_of refuse)
    export REFUSE
}
teardown() {
    end_what_waits
    machine_after
}

@test "07 experiment: every check holds" {
    run play 07_veth_bridge
    assert_experiment_held
    assert_line --partial 'brctl addbr br0'
    assert_line --partial 'ip netns exec net1 ping -c 2 -i 0.2 -w 5 192.168.0.102 -I veth1'
}

@test "07 experiment: addresses and ports are there, read in the run's namespaces" {
    start_and_stop_after_step 07_veth_bridge 5
    run -0 in_run ip -n net1 -j addr show dev veth1
    assert_output --partial '"local":"192.168.0.101","prefixlen":24'
    run -0 in_run ip -n net2 -j addr show dev veth3
    assert_output --partial '"local":"192.168.0.102","prefixlen":24'
    run -0 in_run ip -j addr show dev br0
    assert_output --partial '"local":"192.168.0.100","prefixlen":24'
    run -0 in_run brctl show
    assert_line --regexp '^br0.*no.*veth2$'
    assert_line --regexp '^[[:space:]]+veth4$'
    assert_equal "${#lines[@]}" 3
    run -0 in_run ip netns
    assert_line --regexp '^net1( |$)'
    assert_line --regexp '^net2( |$)'
    end_run
}

@test "07 experiment: the bridge has learned both addresses, read by bridge -j" {
    local first second
    start_and_stop_after_step 07_veth_bridge 5
    first=$(in_run ip -n net1 -j link show dev veth1 | grep -o '"address":"[^"]*' | cut -d'"' -f4)
    second=$(in_run ip -n net2 -j link show dev veth3 | grep -o '"address":"[^"]*' | cut -d'"' -f4)
    run -0 in_run bridge -j fdb show br br0 dynamic
    assert_output --partial "\"mac\":\"$first\",\"ifname\":\"veth2\""
    assert_output --partial "\"mac\":\"$second\",\"ifname\":\"veth4\""
    end_run
}

@test "07 experiment: the machine's own network is not touched while it runs" {
    start_and_stop_after_step 07_veth_bridge 5
    run ! ip link show br0
    [ ! -e /run/netns/net1 ]
    end_run
}

@test "07 experiment: checks fail when the thing is not so" {
    with_stub 07_veth_bridge ping 'exit 0'
    assert_failure 1
    assert_line --partial 'FAIL  no reply'
    assert_line --partial 'FAIL  ttl 64'
    with_stub 07_veth_bridge ping 'exit 1'
    assert_line --partial 'FAIL  net2 replies'
    with_stub 07_veth_bridge bridge 'exit 0'
    assert_line --partial 'FAIL  the MAC address of veth1 is behind the port veth2'
    assert_line --partial 'FAIL  the MAC address of veth3 is behind the port veth4'
    with_stub 07_veth_bridge brctl "[ \"\$1\" != show ] || $(command -v ip) link set veth4 nomaster
        exec $(command -v brctl) \"\$@\""
    assert_line --partial 'FAIL  veth2 and veth4 are ports of br0'
}

@test "07 experiment: --shell is in net1" {
    run -0 bash -c 'echo "ip -o -4 addr show dev veth1" | SHELL=/bin/bash "$LABS/07_veth_bridge" --shell' 3>&-
    assert_line --partial 'inet 192.168.0.101/24'
}

@test "07 tools: what is missing is named with its package, on one line" {
    names_what_is_missing 07_veth_bridge ip:iproute2 brctl:bridge-utils ping:iputils-ping
}

@test "07 up, status, down: the kernel has it, and afterwards the host is as before" {
    on_host '
        "$LABS/07_veth_bridge" up >/mnt/out || exit
        within "\"local\":\"192.168.0.100\",\"prefixlen\":24" 1 ip -j addr show dev br0 || exit
        within "\"local\":\"192.168.0.102\",\"prefixlen\":24" 1 ip -n net2 -j addr show dev veth3 || exit
        within "veth[24]$" 2 brctl show || exit
        ip netns exec net2 ping -c 1 -w 2 192.168.0.100 >/dev/null || exit
        "$LABS/07_veth_bridge" status >/mnt/status || exit
        within "^br0 +192.168.0.100/24 UP " 1 cat /mnt/status || exit
        within "veth[24] +port forwarding, [0-9]+ packets in" 2 cat /mnt/status || exit
        within "veth1 +192.168.0.101/24 UP .*namespace net1" 1 cat /mnt/status || exit
        "$LABS/07_veth_bridge" down >/mnt/out || exit
        same_host'
}

@test "07 up: as many containers and the subnet that are wanted" {
    on_host '
        "$LABS/07_veth_bridge" up --subnet 10.7.0.0/24 --namespaces 200 >/dev/null || exit
        within "^net[0-9]+" 200 ip netns || exit
        within veth 200 ip -o link show master br0 || exit
        within 10.7.0.201/24 1 ip -n net200 addr || exit
        within 10.7.0.1/24 1 ip addr show dev br0 || exit
        "$LABS/07_veth_bridge" down >/dev/null || exit
        same_host'
}

@test "07 up: what is taken is named, on one line, and nothing is changed" {
    on_host '
        refused() {
            host_state >/mnt/before
            "$LABS/07_veth_bridge" up "${@:2}" >/mnt/out 2>&1; [ $? = 1 ] || { echo "status: $1"; cat /mnt/out; exit 1; }
            [ "$(wc -l </mnt/out)" = 1 ] && grep -qF -e "$1" /mnt/out || { echo "not: $1"; cat /mnt/out; exit 1; }
            same_host || exit
        }
        ip link add br0 type bridge
        refused "the link br0 is there already (not made by these labs): see \`ip link show dev br0\`"
        ip link del br0
        ip link add veth1 type veth peer name other
        refused "the link veth1 is there already"
        ip link del veth1
        ip netns add net1
        refused "the network namespace net1 is there already (not made by these labs): see \`ip netns list\`"
        ip netns del net1
        refused "up0    inet 198.51.100.2/24 scope global up0; choose another with --subnet" --subnet 198.51.100.0/25
        ip route add 10.8.0.0/24 via 198.51.100.1
        refused "10.8.0.0/24 is in use already: 10.8.0.0/24 via 198.51.100.1 dev up0" --subnet 10.8.0.0/24
        refused "10.0.0.0/8 is in use already: 10.8.0.0/24 via 198.51.100.1 dev up0" --subnet 10.0.0.0/8
        ip route add blackhole 10.9.1.0/24
        refused "10.9.0.0/16 is in use already: blackhole 10.9.1.0/24" --subnet 10.9.0.0/16
        ip route add 0.0.0.0/1 via 198.51.100.1
        "$LABS/07_veth_bridge" up --subnet 10.10.0.0/24 >/dev/null || exit
        refused "it is up already; take it down first: sudo $LABS/07_veth_bridge down" --subnet 10.11.0.0/24
        "$LABS/07_veth_bridge" down >/dev/null'
}

@test "07 up: wrong arguments are status 2 with one line, and nothing is changed" {
    local arguments
    while IFS='|' read -r arguments message; do
        # shellcheck disable=SC2086 # words
        run -2 --separate-stderr "$LABS/07_veth_bridge" $arguments 3>&-
        assert_equal "$output" ""
        assert_equal "${stderr_lines[0]}" "07_veth_bridge: $message"
    done <<'ROWS'
up --namespaces 1|'1' is not a number of namespaces from 2 to 200
up --namespaces 201|'201' is not a number of namespaces from 2 to 200
up --namespaces 2x|'2x' is not a number of namespaces from 2 to 200
up --namespaces=|'' is not a number of namespaces from 2 to 200
up --namespaces 99999999999999999999|'99999999999999999999' is not a number of namespaces from 2 to 200
up --subnet 192.168.0.0|'192.168.0.0' is not a subnet: it looks like 192.168.0.0/24
up --subnet 192.168.0.0/33|'192.168.0.0/33' is not a subnet: it looks like 192.168.0.0/24
up --subnet 192.168.0.0/|'192.168.0.0/' is not a subnet: it looks like 192.168.0.0/24
up --subnet 192.168.0/24|'192.168.0/24' is not a subnet: it looks like 192.168.0.0/24
up --subnet 300.0.0.0/24|'300.0.0.0/24' is not a subnet: it looks like 192.168.0.0/24
up --subnet 192.168.0.0/24x|'192.168.0.0/24x' is not a subnet: it looks like 192.168.0.0/24
up --subnet 192.168.0.1/24|'192.168.0.1/24' is an address in a subnet; the subnet is 192.168.0.0/24
up --subnet 127.0.0.0/8|'127.0.0.0/8' is not a subnet for hosts of one network
up --subnet 224.0.0.0/24|'224.0.0.0/24' is not a subnet for hosts of one network
up --subnet 0.0.0.0/0|'0.0.0.0/0' is not a subnet for hosts of one network
up --subnet 10.0.0.0/30|10.0.0.0/30 is too small for 2 namespaces and the bridge: it has 2 addresses of hosts
up --subnet 10.0.0.0/32|10.0.0.0/32 is too small for 2 namespaces and the bridge: it has 0 addresses of hosts
up --subnet 10.0.0.0/25 --namespaces 126|10.0.0.0/25 is too small for 126 namespaces and the bridge: it has 126 addresses of hosts
up --uplink eth0|'up' takes no option --uplink
down --subnet 10.0.0.0/24|'down' takes no option --subnet
up up|one command is wanted: up, status or down
sideways|one command is wanted: up, status or down
--namespaces 3|'' takes no option --namespaces
ROWS
}

@test "07 down and status with nothing up: said, status 0" {
    run -0 on_host '"$LABS/07_veth_bridge" down && "$LABS/07_veth_bridge" status && same_host'
    assert_output "$(printf 'nothing is up\nnothing is up')"
}

@test "07 down: what is another one's by now is left alone" {
    on_host '
        "$LABS/07_veth_bridge" up >/dev/null || exit
        ip link del br0 && brctl addbr br0
        ip netns del net2 && ip netns add net2
        "$LABS/07_veth_bridge" down >/dev/null 2>/mnt/err || exit
        within "left alone, because it is not the one that was made here" 2 cat /mnt/err || exit
        ip link show br0 >/dev/null && within net2 1 ip netns || exit
        ip link del br0
        ip netns del net2
        # A link to a mount, which `ip netns del` would take away.
        "$LABS/07_veth_bridge" up >/dev/null || exit
        mkdir /mnt/kept && mount -t tmpfs none /mnt/kept && touch /mnt/kept/file
        umount /run/netns/net1 && ln -sf /mnt/kept /run/netns/net1
        "$LABS/07_veth_bridge" down >/dev/null 2>&1 && exit 1
        [ -e /mnt/kept/file ] && umount /mnt/kept && rm /run/netns/net1 || exit
        "$LABS/07_veth_bridge" down >/dev/null || exit
        umount /run/netns && rmdir /run/netns
        same_host'
}

# refuses WORDS VERB: VERB is refused with WORDS and with the name of the notes, and removes nothing.
refuses_notes='
    refuses() {
        ip -o link >/mnt/links
        "$LABS/07_veth_bridge" "$2" >/mnt/out 2>&1; [ $? = 1 ] || { echo "status: $*"; cat /mnt/out; exit 1; }
        [ "$(wc -l </mnt/out)" = 1 ] && grep -qF -e "/run/container-labs-net/07$1; nothing was taken down: undo by hand what it names, then type: rm /run/container-labs-net/07" /mnt/out ||
            { echo "not: $1"; cat /mnt/out; exit 1; }
        ip -o link | diff /mnt/links - && [ -e /run/netns/net1 ] && [ -e /run/netns/net2 ] || exit
    }
    notes=/run/container-labs-net/07'

@test "07 down: damaged notes are refused, with their name and what to do, and nothing is removed" {
    on_host "$refuses_notes"'
        "$LABS/07_veth_bridge" up >/dev/null || exit
        ip link add keep type veth peer name kept
        cp $notes /mnt/notes
        lines=$(wc -l <$notes)
        for size in $(seq 0 $(($(stat -c %s $notes) - 1))); do
            head -c $size /mnt/notes >$notes
            "$LABS/07_veth_bridge" down >/mnt/out 2>&1 && { echo "of $size bytes: taken"; exit 1; }
        done
        refuses ": damaged, or of another version" down
        head -n -1 /mnt/notes >$notes
        refuses ": damaged, or of another version" down
        sed "/^complete/d" /mnt/notes >$notes
        refuses ": line $((lines - 1)) is damaged" down
        for line in "ip link del keep" "link keep" "0 link keep" "0 link veth2 " "0 file /etc/passwd" "0 rule rm -w -t nat -D A b" \
            "0 rule /bin/sh -w -t nat -D A b --comment container-labs:08" "0 sysctl kernel/core_pattern=1" "0 directory /etc/netns/../x" \
            "-- link veth2" "-1 link veth2" "+1 link veth2" "00 link veth2" "0 reboot now" "end" "" "$(printf "%0600d" 0) link veth2"; do
            { head -n 1 /mnt/notes; echo "$line"; tail -n +2 /mnt/notes; } >$notes
            refuses ": line 2 is damaged" down
        done
        refuses ": line 2 is damaged" status
        refuses ": line 2 is damaged" up
        { cat /mnt/notes; echo "0 link veth2"; } >$notes
        refuses ": damaged, or of another version" down
        sed "s/^complete/&\n0 link veth2/" /mnt/notes >$notes
        refuses ": line $lines is damaged" down
        printf "ip link del br0\n# complete\n" >$notes
        refuses ": damaged, or of another version" down
        cat /mnt/notes >$notes
        ip link del keep
        "$LABS/07_veth_bridge" down >/dev/null || exit
        same_host'
}

@test "07 down: notes that another user may have written are refused, and a link is not followed" {
    on_host "$refuses_notes"'
        "$LABS/07_veth_bridge" up >/dev/null || exit
        # Nor can that user keep the directory locked.
        ! setpriv --reuid 65534 --clear-groups flock --nonblock "${notes%/*}" true 2>/dev/null || exit 1
        chmod 666 $notes
        refuses ": not written by you" down
        chmod 644 $notes
        chown 65534 $notes
        refuses ": not written by you" down
        chown 0 $notes
        mv $notes /mnt/notes
        ln -s /mnt/notes $notes
        refuses ": a link" down
        rm $notes && mkfifo $notes
        refuses ": not written by you" down
        rm $notes && cp /mnt/notes $notes
        "$LABS/07_veth_bridge" down >/dev/null || exit
        same_host'
}

@test "07 down: what cannot be looked for is named and stays noted" {
    on_host '
        "$LABS/07_veth_bridge" up >/dev/null || exit
        "$REFUSE" setns:EPERM -- "$LABS/07_veth_bridge" down >/dev/null 2>/mnt/err; [ $? = 1 ] || exit
        within "cannot be told whether it is there: netns net[12]: EPERM" 2 cat /mnt/err || exit
        "$REFUSE" socket:EMFILE -- "$LABS/07_veth_bridge" down >/dev/null 2>/mnt/err; [ $? = 1 ] || exit
        within "cannot be told whether it is there: netns net[12]: EMFILE" 2 cat /mnt/err || exit
        within "netns net[12]" 2 cat /run/container-labs-net/07 || exit
        for limit in 4 5 6 7 8 9 10; do
            (ulimit -n $limit; "$LABS/07_veth_bridge" down >/dev/null 2>/mnt/err) && break
            [ -s /mnt/err ] && [ -e /run/container-labs-net/07 ] || { echo "with $limit descriptors"; cat /mnt/err; exit 1; }
        done
        "$LABS/07_veth_bridge" down >/dev/null || exit
        same_host'
}

@test "07 down: it goes on where an earlier one was killed in the middle of a command" {
    on_host '
        "$LABS/07_veth_bridge" up >/dev/null || exit
        # What ip netns del leaves between its two calls, and ip netns add before its last one.
        umount /run/netns/net2
        "$LABS/07_veth_bridge" down >/dev/null 2>/mnt/err || exit
        within . 0 cat /mnt/err || exit
        same_host'
}

@test "07 up: a full /run is told, and what was done is taken back" {
    on_host '
        mount -t tmpfs -o size=64k tmpfs /run
        head -c 60K /dev/zero >/run/full # a page is left: for the notes, not for them and new ones
        "$LABS/07_veth_bridge" up >/dev/null 2>/mnt/err; [ $? = 1 ] || exit
        within "write /run/container-labs-net/07: ENOSPC" 1 cat /mnt/err || exit
        [ "$(ls -A /run)" = full ] && umount /run || exit
        same_host'
}

@test "07 up: a command that fails takes back what was done" {
    on_host '
        stub brctl "echo no bridge for you; exit 3"
        "$LABS/07_veth_bridge" up >/dev/null 2>/mnt/err; [ $? = 1 ] || exit
        within "brctl addbr br0: no bridge for you \(exit status 3\)" 1 cat /mnt/err || exit
        within "what was done has been taken back" 1 cat /mnt/err || exit
        same_host'
}

@test "07 up: Ctrl-C, SIGTERM and a closed terminal take back what was done" {
    on_host '
        for signal in INT TERM HUP; do
            for at in 1 5 12 20; do
                stubs "kill -$signal \$PPID"
                echo $at >/mnt/at
                env --default-signal=INT,TERM,HUP "$LABS/07_veth_bridge" up >/dev/null 2>&1
                [ $? = $((128 + $(kill -l $signal))) ] || { echo "$signal at $at"; exit 1; }
                same_host || exit
            done
        done'
}

@test "07 up: a reader that goes away does not cut it short" {
    on_host '
        "$LABS/07_veth_bridge" up | head -n 1
        within "^complete" 1 cat /run/container-labs-net/07 || exit
        "$LABS/07_veth_bridge" down | head -n 1
        same_host'
}

@test "07 up: kill -9 at any command leaves nothing that down does not take away" {
    on_host 'killed_at_any_command 1 17 "$LABS/07_veth_bridge" up'
}

@test "07 up: of two at the same moment one builds, one is refused" {
    on_host '
        "$LABS/07_veth_bridge" up >/mnt/1 2>&1 & first=$!
        "$LABS/07_veth_bridge" up >/mnt/2 2>&1 & second=$!
        wait $first; one=$?
        wait $second; two=$?
        [ $((one + two)) = 1 ] || { echo "$one and $two"; exit 1; }
        within "it is up already" 1 cat /mnt/1 /mnt/2 || exit
        "$LABS/07_veth_bridge" down >/dev/null
        same_host'
}

@test "07 up: a policy that drops frames between the ports is told" {
    [ -e /proc/sys/net/bridge ] || modprobe br_netfilter
    run -0 on_host '
        sysctl -qw net.bridge.bridge-nf-call-iptables=1
        "$LABS/07_veth_bridge" up 2>&1 >/dev/null || exit
        ! ip netns exec net1 ping -c 1 -W 0.3 192.168.0.102 >/dev/null || exit
        "$LABS/07_veth_bridge" down >/dev/null'
    assert_output --partial 'the chain FORWARD drops what its rules do not accept (iptables-nft-save), between the ports, too; 08_nat up lets'
    # Whichever iptables has it, and whichever lab 08 has taken.
    run -0 on_host '
        sysctl -qw net.bridge.bridge-nf-call-iptables=1
        iptables -P FORWARD ACCEPT
        iptables-legacy -P FORWARD DROP
        "$LABS/07_veth_bridge" up 2>&1 >/dev/null || exit
        ! ip netns exec net1 ping -c 1 -W 0.3 192.168.0.102 >/dev/null || exit
        "$LABS/07_veth_bridge" down >/dev/null
        "$LABS/08_nat" up 2>/dev/null >/dev/null || exit
        "$LABS/08_nat" status 2>&1 >/dev/null || exit
        "$LABS/08_nat" down >/dev/null'
    assert_line --index 0 '07_veth_bridge: the chain FORWARD drops what its rules do not accept (iptables-legacy-save), between the ports, too; 08_nat up lets those of its bridge pass'
    assert_line '08_nat: the chain FORWARD drops what its rules do not accept (iptables-legacy-save), between the ports, too'
    # So does a table that is no matter of iptables, until it lets the bridge pass.
    run -0 on_host '
        sysctl -qw net.bridge.bridge-nf-call-iptables=1
        iptables -P FORWARD ACCEPT
        nft add table inet firewalld
        nft add chain inet firewalld own "{ type filter hook forward priority 10; policy drop; }"
        "$LABS/07_veth_bridge" up 2>&1 >/dev/null || exit
        ! ip netns exec net1 ping -c 1 -W 0.3 192.168.0.102 >/dev/null || exit
        nft add rule inet firewalld own iifname br0 accept
        ip netns exec net1 ping -c 1 -W 2 192.168.0.102 >/dev/null || exit
        "$LABS/07_veth_bridge" status 2>&1 >/dev/null || exit
        "$LABS/07_veth_bridge" down >/dev/null'
    assert_output '07_veth_bridge: the chain own of the table inet firewalld drops what its rules do not accept: what comes from br0 may end there; with firewalld: firewall-cmd --zone=trusted --add-interface=br0'
}

@test "07: only root may change the network" {
    run -1 --separate-stderr setpriv --reuid=65534 --regid=65534 --clear-groups "$LABS/07_veth_bridge" up 3>&-
    assert_equal "$stderr" "07_veth_bridge: 'up' needs root; type: sudo $LABS/07_veth_bridge up"
}

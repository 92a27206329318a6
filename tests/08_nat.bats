#!/usr/bin/env bats
# Lab 08: the experiment, seen from outside; up, status and down on a host that the test makes.

# machines: 3
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

@test "08 experiment: every check holds, with each iptables" {
    for IPTABLES in iptables iptables-nft iptables-legacy; do
        export IPTABLES
        run play 08_nat
        assert_experiment_held
        assert_line --partial "$IPTABLES -t nat -A POSTROUTING -s 192.168.0.0/24 ! -o br0 -j MASQUERADE"
        assert_line --regexp '^    [|] iptables v.* \(nf_tables\)$' || [ "$IPTABLES" != iptables-nft ]
        assert_line --regexp '^    [|] iptables v.* \(legacy\)$' || [ "$IPTABLES" != iptables-legacy ]
    done
}

@test "08 experiment: each ping before the rule fails for its own reason" {
    run play 08_nat
    assert_line --partial 'Network is unreachable'
    assert_line --regexp '^    [|] IpInAddrErrors +1 '
    assert_line --partial 'Chain FORWARD (policy DROP 1 packets, '
    assert_line '  ok    but the outside was asked, by 192.168.0.101'
    assert_line "  ok    the outside saw the host's address"
    assert_line '    | 198.51.100.2'
}

@test "08 experiment: rules, sysctls and routes are there, read in the run's namespaces" {
    start_and_stop_after_step 08_nat 7
    run -0 in_run iptables-save
    assert_line '-A POSTROUTING -s 192.168.0.0/24 ! -o br0 -j MASQUERADE'
    assert_line --regexp '^:FORWARD ACCEPT '
    run -0 in_run cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/all/forwarding
    assert_output "$(printf '1\n1')"
    run -0 in_run ip -n net1 -j route
    assert_output --partial '{"dst":"default","gateway":"192.168.0.100","dev":"veth1"'
    run ! in_run ip -n outside route get 192.168.0.101
    run -0 in_run ip netns exec net1 ping -c 1 -w 2 203.0.113.10
    end_run
}

@test "08 experiment: before the rule the outside gets packets that it cannot answer" {
    local asked
    start_and_stop_after_step 08_nat 6
    run -0 in_run iptables-save -t nat
    refute_output --partial MASQUERADE
    echoes() { in_run ip netns exec outside nstat -asz IcmpInEchos IcmpOutEchoReps | awk '/Echo/ {print $2}' | xargs; }
    asked=$(echoes)
    run -1 in_run ip netns exec net1 ping -c 1 -W 0.3 203.0.113.10
    assert_equal "$(echoes)" "$((${asked% *} + 1)) ${asked#* }"
    end_run
}

@test "08 experiment: the published port leads to net1" {
    start_and_stop_after_step 08_nat 8
    run -0 in_run iptables-save -t nat
    assert_line --regexp '^-A PREROUTING -d 198.51.100.2/32 -p tcp .*--dport 8080 .*-j DNAT --to-destination 192.168.0.101:80$'
    end_run
}

@test "08 experiment: the machine's own network is not touched while it runs" {
    local forwarding rules
    forwarding=$(cat /proc/sys/net/ipv4/ip_forward)
    rules=$(nft list ruleset)
    start_and_stop_after_step 08_nat 7
    assert_equal "$(cat /proc/sys/net/ipv4/ip_forward)" "$forwarding"
    assert_equal "$(nft list ruleset)" "$rules"
    [ ! -e /run/netns/net1 ]
    end_run
}

@test "08 experiment: checks fail when the thing is not so" {
    with_stub 08_nat ping 'exit 0'
    assert_failure 1
    assert_line --partial 'FAIL  net1 cannot even send'
    assert_line --partial 'FAIL  no reply'
    with_stub 08_nat sysctl '[ "$1 $2" != "-w net.ipv4.conf.all.forwarding=1" ] && [ "$1 $2" != "-w net.ipv4.ip_forward=1" ] || exit 0; exec "$real" "$@"'
    assert_line --partial 'FAIL  the host is a router'
    assert_line --partial 'FAIL  the policy of the chain FORWARD has dropped it'
    with_stub 08_nat iptables 'case "$*" in *MASQUERADE) exit 0 ;; esac; exec "$real" "$@"'
    assert_line --partial 'FAIL  the rule is in the table nat'
    assert_line --partial "FAIL  the outside saw the host's address: expected '198.51.100.2"
    with_stub 08_nat iptables 'case "$*" in *DNAT*) exit 0 ;; "-P FORWARD DROP") exit 0 ;; esac; exec "$real" "$@"'
    assert_line --partial "FAIL  after it the server inside answers, and saw the client's own address"
    assert_line --partial 'FAIL  the policy of the chain FORWARD has dropped it'
}

# bats test_tags=many
@test "07 and 08 experiments: thirty at the same moment all pass" {
    local number lab failed=0 runs=15
    local -a started=() logs=()
    # A ping waits five seconds. So many at once are too many for an emulated machine.
    [ "$SLOW" -eq 1 ] || runs=5
    for number in $(seq "$runs"); do
        for lab in 07_veth_bridge 08_nat; do
            logs+=("$BATS_TEST_TMPDIR/$lab.$number")
            "$LABS/$lab" >"${logs[-1]}" 2>&1 3>&- &
            started+=($!)
        done
    done
    for number in "${!started[@]}"; do
        wait "${started[number]}" || { failed=$((failed + 1)) && grep -B 12 '^  FAIL' "${logs[number]}" || tail -n 12 "${logs[number]}"; }
    done
    [ "$failed" -eq 0 ] || fail "$failed failed, see above"
}

@test "08 tools: what is missing is named with its package, on one line" {
    names_what_is_missing 08_nat ip:iproute2 brctl:bridge-utils iptables:iptables sysctl:procps ping:iputils-ping busybox:busybox-static
}

# What `up` is for, on a host whose policy drops what is forwarded: used by two tests below.
round_trip='
    host_state >/mnt/before
    "$LABS/08_nat" up --publish 8080:net1:80 --publish 9090:net2:90 >/mnt/out || exit
    within "^iptables: " 1 cat /mnt/out || exit
    within "^1$" 2 cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/all/forwarding || exit
    # shellcheck disable=SC2016
    within "^-A POSTROUTING -s 192.168.0.0/24 ! -o br0 .*container-labs:08.* -j MASQUERADE" 1 "$IPTABLES-save" || exit
    within "^-A $chain -i br0 .*container-labs:08.* -j ACCEPT" 1 "$IPTABLES-save" || exit
    within "^-A (PREROUTING|OUTPUT) .*--dport 9090 .*--to-destination 192.168.0.102:90" 2 "$IPTABLES-save" || exit
    within "^:FORWARD DROP" 1 "$IPTABLES-save" || exit
    ip netns exec net1 ping -c 1 -w 2 203.0.113.10 >/dev/null || { echo "no way out"; exit 1; }
    ip netns exec net1 ping -c 1 -w 2 192.168.0.102 >/dev/null || { echo "no way to net2"; exit 1; }
    ip netns exec net1 busybox nc -l -p 80 -e busybox echo inside 3>&- & server=$!
    for attempt in $(seq 50); do ip netns exec net1 grep -q ":0050 .* 0A " /proc/net/tcp && break; sleep 0.05; done
    within "^inside$" 1 ip netns exec beyond busybox nc -w 2 198.51.100.2 8080 </dev/null || exit
    wait $server
    # From a container, that one itself included, and from the host, whether or not iptables sees a frame of a bridge.
    for value in 0 1; do
        sysctl -qw net.bridge.bridge-nf-call-iptables=$value 2>/dev/null || true
        for ask in "ip netns exec net1|198.51.100.2" "ip netns exec net2|198.51.100.2" "|127.0.0.1" "|198.51.100.2" "|192.168.0.100"; do
            ip netns exec net1 busybox nc -l -p 80 -e busybox echo inside 3>&- & server=$!
            for attempt in $(seq 50); do ip netns exec net1 grep -q ":0050 .* 0A " /proc/net/tcp && break; sleep 0.05; done
            within "^inside$" 1 ${ask%|*} busybox nc -w 2 ${ask#*|} 8080 </dev/null || exit
            wait $server
        done
    done
    # By ::1 a client is refused at once, and tries the next address of localhost.
    within "connect: Connection refused" 1 bash -c "exec 2>&1; exec 3<>/dev/tcp/::1/8080" || exit
    "$LABS/08_nat" status >/mnt/status || exit
    within "^default route by up0; net.ipv4.ip_forward = 1$" 1 cat /mnt/status || exit
    within "^  .[0-9]+:[0-9]+. -A .*container-labs:08" 10 cat /mnt/status || exit
    # However it is asked: who types status has not always typed up.
    env -u IPTABLES "$LABS/08_nat" status >/mnt/status 2>/dev/null || exit
    within "^  .[0-9]+:[0-9]+. -A .*container-labs:08" 10 cat /mnt/status || exit
    within "net.bridge.bridge-nf-call-iptables = " 1 cat /mnt/status || exit
    within "^br0 +192.168.0.100/24 UP" 1 cat /mnt/status || exit
    "$LABS/08_nat" down >/mnt/out || exit
    same_host'

@test "08 up, status, down: the way out and in works, and afterwards the host is as before" {
    on_host "chain=FORWARD IPTABLES=iptables; with_beyond; $round_trip"
}

@test "08 up, status, down: the same with legacy iptables" {
    IPTABLES=iptables-legacy on_host "chain=FORWARD; export IPTABLES; with_beyond; $round_trip"
}

@test "08 up: where Docker's chain exists, the rules are in it" {
    on_host "chain=DOCKER-USER IPTABLES=iptables; with_beyond
        iptables -N DOCKER-USER; iptables -I FORWARD -j DOCKER-USER; $round_trip"
}

@test "08 up: a published port opens what listens on the lo of the host to no container" {
    on_host '
        "$LABS/08_nat" up --publish 8080:net1:80 >/dev/null || exit
        echo secret >/mnt/secret
        busybox httpd -f -p 127.0.0.1:7000 -h /mnt 3>&- & server=$!
        ip netns exec net1 sysctl -qw net.ipv4.conf.veth1.route_localnet=1
        ip -n net1 route add 127.0.0.1 via 192.168.0.100
        ask() { ip netns exec net1 timeout 1 busybox wget -qO- http://127.0.0.1:7000/secret; }
        for attempt in $(seq 50); do grep -q "0100007F:1B58 .* 0A " /proc/net/tcp && break; sleep 0.05; done
        [ "$(ask)" = "" ] || { echo "it is open"; exit 1; }
        # It is the rule that prevents it.
        iptables -I INPUT -i br0 -d 127.0.0.0/8 -j ACCEPT
        [ "$(ask)" = secret ] || { echo "the way is another"; exit 1; }
        iptables -D INPUT -i br0 -d 127.0.0.0/8 -j ACCEPT
        kill $server
        "$LABS/08_nat" down >/dev/null || exit
        same_host'
}

@test "08 up: a network to which a VPN leads is free, a part of it is not" {
    on_host '
        free() { "$LABS/08_nat" up >/dev/null || exit; "$LABS/08_nat" down >/dev/null; ip route del "$@"; }
        taken() {
            "$LABS/08_nat" up 2>&1 | grep -q "192.168.0.0/24 is in use already: $1" || { echo "not taken: $*"; exit 1; }
            ip route del "$@"
        }
        ip route add 128.0.0.0/1 dev up0 && free 128.0.0.0/1 dev up0
        ip route add 192.168.0.0/16 via 198.51.100.1 && free 192.168.0.0/16 via 198.51.100.1
        ip route add 192.168.0.64/26 via 198.51.100.1 && taken 192.168.0.64/26
        ip route add 192.168.0.0/24 via 198.51.100.1 && taken 192.168.0.0/24
        ip route add 192.168.0.0/16 dev up0 && taken 192.168.0.0/16
        ip route add 192.168.0.0/16 via 198.51.100.1 table 52 && taken 192.168.0.0/16 via 198.51.100.1 table 52
        same_host'
}

@test "08 down: no table and no chain stays that was not there" {
    on_host '
        nft flush ruleset
        host_state >/mnt/before
        "$LABS/08_nat" up --publish 8080:net1:80 >/dev/null || exit
        within "table ip (nat|filter)" 2 nft list ruleset || exit
        "$LABS/08_nat" down >/dev/null || exit
        same_host || exit
        # But what others have put there in the meantime stays.
        "$LABS/08_nat" up >/dev/null || exit
        iptables -t nat -A PREROUTING -p tcp --dport 7 -j ACCEPT
        "$LABS/08_nat" down >/dev/null || exit
        within "dport 7 " 1 iptables-save'
}

@test "08 up: a host that forwards already is left as it is" {
    on_host '
        sysctl -qw net.ipv4.ip_forward=1
        sysctl -qw net.ipv4.conf.up0.forwarding=0 net.ipv4.conf.all.accept_redirects=1
        host_state >/mnt/before
        "$LABS/08_nat" up >/dev/null || exit
        within 0 1 cat /proc/sys/net/ipv4/conf/up0/forwarding || exit
        "$LABS/08_nat" down >/dev/null || exit
        same_host'
}

@test "08 up: forwarding that is on in another way, a default route that leads nowhere" {
    on_host '
        sysctl -qw net.ipv4.ip_forward=2
        sysctl -qw net.ipv4.conf.default.forwarding=0 net.ipv4.conf.up0.forwarding=0
        ip route add blackhole default metric 999
        host_state >/mnt/before
        "$LABS/08_nat" up >/dev/null || exit
        within 2 1 cat /proc/sys/net/ipv4/ip_forward || exit
        within 1 1 cat /proc/sys/net/ipv4/conf/br0/forwarding || exit
        "$LABS/08_nat" down >/dev/null || exit
        same_host || exit
        ip route add blackhole 192.168.0.0/25
        "$LABS/08_nat" up 2>&1 | grep -q "is in use already: blackhole 192.168.0.0/25"'
}

@test "08 up: --uplink, --subnet and --namespaces" {
    on_host '
        "$LABS/08_nat" up --uplink up0 --subnet 10.7.0.0/24 --namespaces 3 >/dev/null || exit
        within "^-A POSTROUTING -s 10.7.0.0/24 -o up0 .*MASQUERADE" 1 iptables-save || exit
        within "default via 10.7.0.100" 1 ip -n net3 route || exit
        "$LABS/08_nat" down >/dev/null || exit
        same_host || exit
        "$LABS/08_nat" up --namespaces 12 --publish 8080:net12:80 >/dev/null || exit
        within "^-A POSTROUTING -s 192.168.0.0/24 ! -o br0 .*MASQUERADE" 1 iptables-save || exit
        within "to-destination 192.168.0.112:80" 2 iptables-save || exit
        "$LABS/08_nat" down >/dev/null || exit
        same_host'
}

@test "08: an IPTABLES that is no name of a program" {
    local words
    for words in "iptables -v" " iptables" "a:b" "'iptables'"; do
        run -2 env IPTABLES="$words" "$LABS/08_nat" status
        assert_output "08_nat: IPTABLES is '$words', and has to be the name of a program"
    done
    run env IPTABLES="iptables -v" "$LABS/08_nat"
    assert_output --partial "no -v is installed; install the package iptables"
}

@test "08 status --dot is a graph that names every part" {
    run -0 on_host '"$LABS/08_nat" up >/dev/null && "$LABS/08_nat" status --dot && "$LABS/08_nat" down >/dev/null'
    assert_line --index 0 'graph network {'
    assert_line --partial 'br0 [label="br0\n192.168.0.100/24"]'
    assert_line --partial 'veth3 [label="veth3\n192.168.0.102/24"]'
    assert_line --partial '"up0" [label="up0\n198.51.100.2/24"]'
    assert_line '}'
}

@test "08 up: a resolver on the host's loopback is replaced for the containers" {
    on_host '
        mkdir -p /run/systemd/resolve
        echo "nameserver 127.0.0.53" >/etc/resolv.conf
        echo "nameserver 198.51.100.53" >/run/systemd/resolve/resolv.conf
        host_state >/mnt/before
        "$LABS/08_nat" up >/dev/null || exit
        within "^nameserver 198.51.100.53$" 1 ip netns exec net1 cat /etc/resolv.conf || exit
        within "^nameserver 127.0.0.53$" 1 cat /etc/resolv.conf || exit
        "$LABS/08_nat" down >/dev/null || exit
        same_host || exit
        mkdir -p /etc/netns/net1
        echo "nameserver 192.0.2.1" >/etc/netns/net1/resolv.conf
        host_state >/mnt/before
        "$LABS/08_nat" up >/dev/null || exit
        within "^nameserver 192.0.2.1$" 1 ip netns exec net1 cat /etc/resolv.conf || exit
        "$LABS/08_nat" down >/dev/null || exit
        same_host || exit
        rm /run/systemd/resolve/resolv.conf
        "$LABS/08_nat" up 2>/mnt/err >/dev/null || exit
        within "the resolver of this host is at a loopback address" 1 cat /mnt/err || exit
        "$LABS/08_nat" down >/dev/null
        mkdir -p /run/NetworkManager
        echo "nameserver 198.51.100.54" >/run/NetworkManager/no-stub-resolv.conf
        echo "nameserver fe80::1%up0" >/etc/resolv.conf
        rm /etc/netns/net1/resolv.conf
        "$LABS/08_nat" up >/dev/null || exit
        within "^nameserver 198.51.100.54$" 1 ip netns exec net1 cat /etc/resolv.conf || exit
        "$LABS/08_nat" down >/dev/null'
}

@test "08 up: rules of the other iptables are told" {
    run -0 on_host '
        iptables-legacy -A INPUT -p tcp --dport 9 -j ACCEPT
        "$LABS/08_nat" up 2>&1 >/dev/null && "$LABS/08_nat" down >/dev/null 2>&1'
    assert_line '08_nat: iptables-legacy has rules, too: packets must pass both (iptables-legacy-save)'
    run -0 on_host 'export IPTABLES=iptables-legacy
        "$LABS/08_nat" up 2>&1 >/dev/null && "$LABS/08_nat" down >/dev/null 2>&1'
    assert_line '08_nat: iptables-nft has rules, too: packets must pass both (iptables-nft-save)'
}

# told_of_chain NAME COMMAND...: it warns of the chain that firewalld has in its table, on one line; and of none once
# the chain lets the bridge NAME pass, accepts by its last rule, or drops some packets only.
told_of_chain='
    told_of_chain() {
        local name=$1
        shift
        quiet() { "$@" 2>&1 >/dev/null | grep "chain " && { echo "with: $(nft list table inet firewalld)"; exit 1; }; true; }
        nft add table inet firewalld
        nft add chain inet firewalld own "{ type filter hook forward priority 10; policy accept; }"
        nft add rule inet firewalld own ct state established,related accept
        nft add rule inet firewalld own tcp dport 7 drop
        quiet "$@"
        nft add rule inet firewalld own counter reject with icmpx type admin-prohibited
        within "the chain own of the table inet firewalld drops what its rules do not accept: what comes from $name may" 1 \
            eval "${*@Q} 2>&1 >/dev/null" || exit
        nft insert rule inet firewalld own iifname "$name" accept
        quiet "$@"
        nft flush chain inet firewalld own
        nft chain inet firewalld own "{ policy drop; }"
        within "the chain own of the table inet firewalld drops" 1 eval "${*@Q} 2>&1 >/dev/null" || exit
        nft add rule inet firewalld own accept
        quiet "$@"
        nft delete table inet firewalld
    }'

@test "08 down: forwarding stays on where other programs have made rules since" {
    on_host '
        iptables -t nat -A POSTROUTING -s 10.99.0.0/16 -j MASQUERADE
        for program in iptables iptables-legacy nft "iptables -I FORWARD"; do
            "$LABS/08_nat" up >/dev/null || exit
            case $program in
                nft) nft "add table ip other; add chain ip other out { type nat hook postrouting priority 100; };
                    add rule ip other out ip saddr 10.98.0.0/16 masquerade" ;;
                "iptables -I FORWARD") iptables -I FORWARD -i up0 -j ACCEPT ;;
                *) $program -t nat -A POSTROUTING -s 10.98.0.0/16 -j MASQUERADE ;;
            esac
            within "^08_nat: net.ipv4.ip_forward stays 1: other programs have made rules that need it since .up.$" 1 \
                eval "\"\$LABS/08_nat\" down 2>&1 >/dev/null" || exit
            [ "$(cat /proc/sys/net/ipv4/ip_forward)" = 1 ] || { echo "$program"; exit 1; }
            sysctl -qw net.ipv4.ip_forward=0
        done
        # Where that cannot be told, it is tried again.
        "$LABS/08_nat" up >/dev/null || exit
        stub iptables-legacy-save "echo broken >&2; exit 4"
        within "^08_nat: iptables-legacy-save: broken .exit status 4.$" 1 \
            eval "\"\$LABS/08_nat\" down 2>&1 >/dev/null" || exit
        rm /mnt/stubs/iptables-legacy-save
        within . 0 eval "\"\$LABS/08_nat\" down 2>&1 >/dev/null" || exit
        [ "$(cat /proc/sys/net/ipv4/ip_forward)" = 0 ] || exit
        # Those that were there before do not rely on it, nor does what lets our bridge pass.
        "$LABS/08_nat" up >/dev/null || exit
        nft add rule ip other out iifname br0 accept
        iptables -I INPUT -i br0 -j ACCEPT
        within . 0 eval "\"\$LABS/08_nat\" down 2>&1 >/dev/null" || exit
        [ "$(cat /proc/sys/net/ipv4/ip_forward)" = 0 ]'
}

@test "08 up: a chain of nftables that drops what is forwarded is named, and doctor names it" {
    on_host "$told_of_chain"'
        up_and_down() { "$LABS/08_nat" up; "$LABS/08_nat" down; }
        told_of_chain br0 up_and_down
        iptables -P FORWARD ACCEPT
        within "note +FORWARD policy" 0 "$LABS/doctor" "FORWARD policy" || exit
        nft add table ip other
        nft add chain ip other closed "{ type filter hook forward priority 0; policy drop; }"
        within "note +FORWARD policy +the chain closed of the table ip other drops what its rules do not accept" 1 \
            "$LABS/doctor" "FORWARD policy" || exit
        within "firewall-cmd --zone=trusted --add-interface=labs0" 1 "$LABS/doctor" "FORWARD policy"'
}

@test "08 up: what cannot be is told on one line, and nothing is changed" {
    on_host '
        refused() {
            host_state >/mnt/before
            "$LABS/08_nat" up "${@:2}" >/mnt/out 2>&1; [ $? = 1 ] || { echo "status: $1"; cat /mnt/out; exit 1; }
            [ "$(wc -l </mnt/out)" = 1 ] && grep -qF -e "$1" /mnt/out || { echo "not: $1"; cat /mnt/out; exit 1; }
            same_host || exit
        }
        refused "there is no network device '\''nowhere0'\''" --uplink nowhere0
        refused "no default route leaves by '\''lo'\'': it leads nowhere; try \`ip route add default via ROUTER dev lo\`" --uplink lo
        busybox nc -l -p 8080 & listener=$!
        for attempt in $(seq 50); do grep -q ":1F90 .* 0A " /proc/net/tcp* && break; sleep 0.05; done
        refused "publish port 8080 of this host: EADDRINUSE" --publish 8080:net1:80
        kill $listener
        # A connection that has ended takes the port from nobody.
        python3 -c "
import socket
l = socket.create_server((\"127.0.0.1\", 8081)); c = socket.create_connection((\"127.0.0.1\", 8081))
s, _ = l.accept(); s.close(); c.close()"
        grep -q ":1F91 .* 06 " /proc/net/tcp || { echo "no TIME-WAIT"; exit 1; }
        "$LABS/08_nat" up --publish 8081:net1:80 >/mnt/out 2>&1 && "$LABS/08_nat" down >/dev/null 2>&1 || { cat /mnt/out; exit 1; }
        "$LABS/07_veth_bridge" up >/dev/null 2>&1 || exit
        refused "the link br0 is there already (made by 07_veth_bridge up); run \`sudo $LABS/07_veth_bridge down\` first"
        "$LABS/07_veth_bridge" down >/dev/null
        ip route del default
        refused "this host has no default route: there is no way out to share; try \`ip route add default via ROUTER\`"'
}

@test "08 up: what cannot be told is told, and nothing is changed" {
    on_host '
        refused() {
            "${@:2}" >/mnt/out 2>&1; [ $? = 1 ] || { echo "status: $1"; cat /mnt/out; exit 1; }
            within "$1" 1 cat /mnt/out || exit
            rm -f /mnt/stubs/*
            same_host || exit
        }
        up="$LABS/08_nat up --publish 8080:net1:80"
        stub iptables "[ \"\$1\" != -V ] || kill -9 \$\$; exec \"\$real\" \"\$@\""
        refused "iptables -V: .*\(exit status 137\)" $up
        stub iptables-save "echo broken >&2; exit 3"
        refused "iptables-save -t filter: broken \(exit status 3\)" $up
        stub ip "case \$* in *show\ default) echo broken >&2; exit 2; esac; exec \"\$real\" \"\$@\""
        refused "ip -4 route show default: broken \(exit status 2\)" $up
        refused "publish port 8080 of this host: EACCES \(Permission denied\)$" "$REFUSE" bind:EACCES:2=16 -- $up
        refused "publish port 8080 of this host: EPERM \(Operation not permitted\)$" "$REFUSE" setsockopt:EPERM:2=2 -- $up
        refused "publish port 8080 of this host: EMFILE \(Too many open files\)$" "$REFUSE" socket:EMFILE:1=$((0x80001)) -- $up
        # A file whose reading fails.
        mount --bind /proc/$$/mem /proc/sys/net/ipv4/conf/all/accept_redirects
        "$LABS/08_nat" up >/mnt/out 2>&1; [ $? = 1 ] || exit
        umount /proc/sys/net/ipv4/conf/all/accept_redirects
        same_host'
}

@test "08: rules that cannot be listed, or are many, are not taken for none" {
    on_host '
        "$LABS/08_nat" up >/dev/null 2>&1 || exit
        told() { # STATUS PATTERN: of status
            "$LABS/08_nat" status >/mnt/out 2>&1; [ $? = "$1" ] && within "$2" 1 cat /mnt/out || { cat /mnt/out; exit 1; }
            rm -f /mnt/stubs/*
        }
        stub iptables-nft-save "echo broken >&2; exit 4"
        told 1 "^08_nat: iptables-nft-save: broken \(exit status 4\)"
        stub ip "case \$* in *show\ default) yes | head -c 17000000; exit; esac; exec \"\$real\" \"\$@\""
        told 1 "^08_nat: run ip: EFBIG \(File too large\)"
        stub ip "case \$* in *-br\ *) echo ip: error while loading libelf.so.1: No such file or directory >&2; exit 127; esac; exec \"\$real\" \"\$@\""
        told 1 "^08_nat: ip cannot tell about br0: ip: error while loading"
        mount -t tmpfs none /sys/class/net
        told 1 "^08_nat: (read|list the ports of br0 in) /sys.*: ENOENT"
        umount /sys/class/net
        (echo "*filter"; for i in $(seq 12000); do echo "-A INPUT -s 10.1.$((i / 250)).$((i % 250)) -j ACCEPT"; done
            echo COMMIT) | iptables-restore
        told 0 "MASQUERADE"
        iptables -F INPUT
        "$LABS/08_nat" down >/dev/null'
}

@test "08 down: a rule that cannot be looked for is not taken for gone, and a warning that fails keeps nothing" {
    on_host '
        "$LABS/08_nat" up >/dev/null 2>&1 || exit
        stub iptables "case \$* in *\ -C\ *) echo iptables: getsockopt failed strangely >&2; exit 1; esac; exec \"\$real\" \"\$@\""
        "$LABS/08_nat" down >/mnt/out 2>&1; [ $? = 1 ] || exit
        within "^08_nat: iptables .* -C: iptables: getsockopt failed strangely$" 3 cat /mnt/out || exit
        within "container-labs:08.* -j MASQUERADE" 1 iptables-save || exit
        rm -f /mnt/stubs/*
        # Rules of the other one are looked for when something is made, not when it is to go.
        iptables-legacy -A INPUT -p tcp --dport 9 -j ACCEPT
        stub iptables-legacy-save "echo broken >&2; exit 4"
        "$LABS/08_nat" down >/mnt/out 2>&1 || { cat /mnt/out; exit 1; }
        rm -f /mnt/stubs/*
        iptables-legacy -F INPUT
        within container-labs:08 0 iptables-save'
}

@test "08 up: a command that does not end is ended, and told" {
    on_host '
        stub brctl "exec sleep 60"
        "$LABS/08_nat" up >/mnt/out 2>&1; [ $? = 1 ] || exit
        within "^08_nat: run brctl: ETIME \(Timer expired\)" 1 cat /mnt/out || { cat /mnt/out; exit 1; }
        rm -f /mnt/stubs/*
        same_host'
}

@test "08 up: wrong arguments are status 2 with one line" {
    local arguments message
    while IFS='|' read -r arguments message; do
        # shellcheck disable=SC2086 # words
        run -2 --separate-stderr "$LABS/08_nat" $arguments 3>&-
        assert_equal "$output" ""
        assert_equal "${stderr_lines[0]}" "08_nat: $message"
    done <<'ROWS'
up --publish 80|'80' publishes nothing: it looks like 8080:net1:80
up --publish 0:net1:80|'0:net1:80' publishes nothing: it looks like 8080:net1:80
up --publish 65536:net1:80|'65536:net1:80' publishes nothing: it looks like 8080:net1:80
up --publish 8080:net1:80x|'8080:net1:80x' publishes nothing: it looks like 8080:net1:80
up --publish 8080:other:80|'8080:other:80' publishes nothing: it looks like 8080:net1:80
up --publish 8080:net1:80:1|'8080:net1:80:1' publishes nothing: it looks like 8080:net1:80
up --publish 8080:net3:80|there will be no net3 to publish a port of
up --publish 8080:net1:80 --publish 8080:net2:80|port 8080 is published twice
up --subnet 10.0.0.0/31|10.0.0.0/31 is too small for 2 namespaces and the bridge: it has 0 addresses of hosts
up --dot|'up' takes no option --dot
status --uplink eth0|'status' takes no option --uplink
ROWS
}

@test "08 up: kill -9 at any command leaves nothing that down does not take away" {
    on_host '
        nft flush ruleset
        host_state >/mnt/before
        killed_at_any_command 2 12 "$LABS/08_nat" up --publish 8080:net1:80'
}

@test "08 up: a command that fails, or SIGTERM, takes back what was done" {
    on_host '
        for action in "exit 4" "kill -TERM \$PPID"; do
            stubs "$action"
            for at in 4 16 24 30; do
                echo 0 >/mnt/count
                echo $at >/mnt/at
                "$LABS/08_nat" up >/dev/null 2>&1 && { echo "$action at $at: status 0"; exit 1; }
                same_host || exit
            done
        done'
}

@test "08 down: what up has done is taken back while /run is full" {
    on_host '
        mount -t tmpfs -o size=256k tmpfs /run
        "$LABS/08_nat" up >/dev/null || exit
        cat /dev/zero >/run/full 2>/dev/null
        "$LABS/08_nat" down >/dev/null || exit
        [ "$(cat /proc/sys/net/ipv4/ip_forward; ls -A /run)" = "0
full" ] && umount /run || exit
        same_host'
}

@test "07 and 08: what up, status and down print and cannot write is an error, and they have done their work" {
    on_host '
        refused() {
            "$@" >/dev/full 2>/mnt/out; [ $? = 1 ] || { echo "status of $*"; exit 1; }
            grep -q ": write to stdout: ${error:-ENOSPC (No space left on device)}$" /mnt/out || { cat /mnt/out; exit 1; }
        }
        limited() {
            head -c 102400 /dev/zero >/mnt/printed
            bash -c "ulimit -f 100; exec \"\$@\" >>/mnt/printed" - "$@"
        }
        for lab in 07_veth_bridge 08_nat; do
            error="EFBIG (File too large)" refused limited "$LABS/$lab" up || exit
            ip link show br0 >/dev/null || exit
            "$LABS/$lab" down >/dev/null || exit
            refused "$LABS/$lab" up || exit
            ip link show br0 >/dev/null || exit
            refused "$LABS/$lab" status || exit
            refused "$LABS/$lab" down || exit
            same_host || exit
        done'
}

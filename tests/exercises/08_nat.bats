#!/usr/bin/env bats
# Exercise 8: publish a port. Each TODO is tried for itself: what goes before is done by sysctl,
# iptables and nc.

load helpers

# What the program runs besides; other programs are stopped.
# iptables runs modprobe.
export EXERCISE_MAY_RUN='iptables iptables-nft iptables-legacy nft sysctl modprobe'

# Three network namespaces: outside (10.9.0.2) - the machine, which is the sandbox itself (10.9.0.1,
# and br0 with 192.168.0.100) - inside (192.168.0.101). Nobody outside knows 192.168.0.0/24.
NETWORK='
mkdir -p /run/netns
for place in outside inside; do
    ip netns add $place
    ip -n $place link set lo up
done
ip link set lo up
ip link add uplink type veth peer name eth0 netns outside
ip address add 10.9.0.1/24 dev uplink && ip link set uplink up
ip -n outside address add 10.9.0.2/24 dev eth0 && ip -n outside link set eth0 up
ip link add br0 type bridge
ip address add 192.168.0.100/24 dev br0 && ip link set br0 up
ip link add veth2 type veth peer name eth0 netns inside
ip link set veth2 master br0 && ip link set veth2 up
ip -n inside address add 192.168.0.101/24 dev eth0 && ip -n inside link set eth0 up
ip -n inside route add default via 192.168.0.100
echo 0 >/proc/sys/net/ipv4/ip_forward
iptables -P FORWARD DROP
forwarding() { echo 1 >/proc/sys/net/ipv4/ip_forward; iptables -P FORWARD ACCEPT; }
# Wait until somebody listens at port $2 in $1; not longer than the last background job lives.
listening() {
    while kill -0 $! 2>/dev/null; do
        if ip netns exec $1 ss -Hltn "sport = :$2" | grep -q .; then return; fi
        sleep 0.02
    done
}
client() { local place=$1; shift; ip netns exec $place busybox nc -w 3 "$@" </dev/null; }
'

@test "8.1 packets pass from one network to the other" {
    play "$NETWORK"'ip -n outside route add 192.168.0.0/24 via 10.9.0.1
                    ip netns exec inside ping -c 1 -W 1 10.9.0.2 | grep -o "[0-9]*% packet loss" | fact before:
                    it forward
                    ip netns exec inside ping -c 1 -W 3 10.9.0.2 | grep -o "[0-9]*% packet loss" | fact after:'
    see_fact "before, nothing gets through" '^before: 100% packet loss'
    see_fact "after it, everything does" '^after: 0% packet loss'
}

@test "8.2 from inside the outside is reached, with the machine's address" {
    play "$NETWORK"'forwarding
                    ip netns exec outside iptables -A INPUT -p icmp -s 10.9.0.1
                    ip netns exec outside iptables -A INPUT -p icmp -s 192.168.0.101
                    it masquerade 192.168.0.0/24 br0
                    ip netns exec inside ping -c 1 -W 3 10.9.0.2 | grep -o "[0-9]*% packet loss" | fact
                    ip netns exec outside iptables-save -c | grep -e "-A INPUT" | fact'
    see_fact "replies" '^0% packet loss'
    see_fact "a packet from 10.9.0.1" '^\[1:[0-9]+\] -A INPUT -s 10\.9\.0\.1/32 '
    see_fact "none from 192.168.0.101" '^\[0:0\] -A INPUT -s 192\.168\.0\.101/32 '
}

@test "8.2 nobody else's address is changed, and none on the way to the bridge" {
    # From outside to the inside; from another network to the outside; and from the inside to a neighbour, by
    # way of the machine.
    play "$NETWORK"'forwarding
                    ip netns add beside; ip link add veth3 type veth peer name eth0 netns beside
                    ip link set veth3 master br0 && ip link set veth3 up
                    ip -n beside address add 192.168.0.102/24 dev eth0 && ip -n beside link set eth0 up
                    ip -n inside route add 192.168.0.102 via 192.168.0.100
                    ip -n outside route add 192.168.0.0/24 via 10.9.0.1
                    ip netns exec inside iptables -A INPUT -p icmp -s 10.9.0.2
                    ip netns exec beside iptables -A INPUT -p icmp -s 192.168.0.101
                    ip netns exec outside iptables -A INPUT -p icmp -s 10.8.0.1
                    ip address add 10.8.0.1/32 dev lo
                    it masquerade 192.168.0.0/24 br0
                    ip netns exec outside ping -c 1 -W 3 192.168.0.101 >/dev/null
                    ping -c 1 -W 0.2 -I 10.8.0.1 10.9.0.2 >/dev/null
                    ip netns exec inside ping -c 1 -W 3 192.168.0.102 >/dev/null
                    for place in inside outside beside; do ip netns exec $place iptables-save -c | grep -e "-A INPUT" | fact; done'
    see_fact "inside, the packet from 10.9.0.2 as it came" '^\[1:[0-9]+\] -A INPUT -s 10\.9\.0\.2/32 '
    see_fact "outside, the packet from 10.8.0.1 as it came" '^\[1:[0-9]+\] -A INPUT -s 10\.8\.0\.1/32 '
    see_fact "beside, the packet from 192.168.0.101 as it came" '^\[1:[0-9]+\] -A INPUT -s 192\.168\.0\.101/32 '
}

@test "8.3 the port is published: from outside the server inside answers" {
    play "$NETWORK"'forwarding
                    (echo "from inside" | ip netns exec inside busybox nc -l -p 80 >/dev/null) & listening inside 80
                    it publish 8080 192.168.0.101:80
                    client outside 10.9.0.1 8080 | fact'
    see_fact "the words of the server inside" '^from inside$'
}

@test "8.3 what goes elsewhere is left alone" {
    play "$NETWORK"'forwarding
                    (echo "from outside" | ip netns exec outside busybox nc -l -p 8080 >/dev/null) & listening outside 8080
                    it publish 8080 192.168.0.101:80
                    iptables -t nat -A POSTROUTING -s 192.168.0.0/24 ! -o br0 -j MASQUERADE
                    (client inside 10.9.0.2 8080; iptables-save -t nat | grep -e "-j DNAT") | fact'
    see_fact "a rule for port 8080" '^-A .*--dport 8080 .*-j DNAT --to-destination 192\.168\.0\.101:80$'
    see_fact "port 8080 of another machine is still reached" '^from outside$'
}

@test "8.4 the server sees who it is that comes from outside" {
    local other=10.9.0.$((3 + RANDOM % 200))
    play "$NETWORK"'forwarding
                    ip -n outside address add '$other'/24 dev eth0
                    ip -n outside route replace 10.9.0.0/24 dev eth0 src '$other'
                    iptables -t nat -A PREROUTING -p tcp -d 10.9.0.1 --dport 8080 -j DNAT --to-destination 192.168.0.101:80
                    ip netns exec inside $PROGRAM serve 80 >seen 2>&1 & listening inside 80
                    client outside 10.9.0.1 8080; wait %1; cat seen'
    see "the answer to the client" "^you are $other\$"
    see "what the server prints" "^client $other\$"
}

@test "8.4 and that who comes from inside seems to be the machine" {
    play "$NETWORK"'forwarding
                    iptables -t nat -A POSTROUTING -s 192.168.0.0/24 ! -o br0 -j MASQUERADE
                    ip netns exec outside $PROGRAM serve 8000 >seen 2>&1 & listening outside 8000
                    client inside 10.9.0.2 8000; wait %1; cat seen'
    see "the machine's address, not 192.168.0.101" '^you are 10\.9\.0\.1$'
}

#!/usr/bin/env bats
# Exercise 7: ip link by hand. ip(8) says what has become of it. Each TODO is tried for itself: what
# goes before is done by ip.

load helpers

export NEEDS='7.4:7.1,7.2,7.3'

# A process in a network namespace of its own; `there COMMAND`: in that namespace.
NEIGHBOUR='
mkfifo ready
target unshare --net sh -c "echo ready >ready; exec sleep 600" &
read -r _ <ready
until neighbour=$(pgrep -x sleep); do sleep 0.01; done
there() { nsenter --target $neighbour --net "$@"; }
'

@test "7.1 add: two devices, the ends of one cable" {
    play 'it add left right; (ip -o -d link show type veth; ip -o link | wc -l) | fact'
    see_fact "one end" '^[0-9]+: left@right: .* veth '
    see_fact "the other end" '^[0-9]+: right@left: .* veth '
    see_fact "these two and lo" '^3$'
}

@test "7.1 add: what the kernel refuses is said, with its errno" {
    play 'ip link add left type veth peer name right; it add left other; echo "status $?" | fact'
    see "EEXIST" 'EEXIST'
    see_fact "a status of failure" '^status 1$'
}

@test "7.2 move: the device is there and not here" {
    play "$NEIGHBOUR"'ip link add left type veth peer name right; it move right $neighbour
                      echo "here $(ip -o link show type veth | cut -d" " -f2)" | fact
                      echo "there $(there ip -o link show type veth | cut -d" " -f2)" | fact'
    see_fact "left here" '^here left@'
    see_fact "right there" '^there right@'
}

@test "7.3 address: address, network, and the route that comes with it" {
    play 'ip link add left type veth peer name right; it address left 192.168.0.101/24
          ip link set left up; (ip -o -4 address show dev left; ip route show dev left) | fact'
    see_fact "the address with its network's length" 'inet 192\.168\.0\.101/24 '
    see_fact "the route to the network" '^192\.168\.0\.0/24 proto kernel scope link src 192\.168\.0\.101'
}

@test "7.3 address: other networks, and what is no address" {
    play 'ip link add left type veth peer name right; it address left 10.1.2.3/8; ip -o -4 address show dev left | fact
          for wrong in 1.2.3.4 1.2.3/8 1.2.3.4/33 1.2.3.4/x; do it address left $wrong; echo "status $?" | fact; done'
    see_fact "10.1.2.3/8" 'inet 10\.1\.2\.3/8 '
    [ "$(grep -c '^status 2$' <<<"$facts")" -eq 4 ] || complain "status 2 for each of four that are none"
}

@test "7.4 up: the flag is set, and no other is changed" {
    play 'ip link add left type veth peer name right; ip link set left promisc on arp off; ip link set right up
          it up left; ip -o link show left | fact'
    see_fact "UP" '<[^>]*\bUP\b'
    see_fact "still without ARP" '<[^>]*NOARP'
    see_fact "still promiscuous" '<[^>]*PROMISC'
}

@test "7.4 all of it together: a ping gets through" {
    play "$NEIGHBOUR"'it add left right; it move right $neighbour
          it address left 192.168.0.100/24; it up left
          there $PROGRAM address right 192.168.0.101/24; there $PROGRAM up right
          ping -c 1 -W 5 192.168.0.101 | fact'
    see_fact "a reply" ' 0% packet loss'
}

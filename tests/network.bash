# A host for the tests of labs 07 and 08: network and mount namespaces of their own, in which `up`
# and `down` may do what they do. It has an uplink, rules, policies and sysctls of its own. What
# leaves it by the uplink comes to a namespace and no further. Nothing reaches the machine.
#
# And what those tests do with an experiment that waits after a step (start_and_stop_after_step).

# in_run COMMAND...: run it in the experiment's private namespaces.
in_run() { nsenter --target "$experiment" --net --mount -- "$@"; }

end_run() {
    echo q >&8
    wait "$supervisor"
    exec 8>&-
}

# A test that failed half-way has left its experiment waiting.
end_what_waits() { [ -z "${supervisor:-}" ] || kill "$supervisor" 2>/dev/null || true; }

# with_stub LAB NAME BODY: play the experiment with the command NAME replaced; "$real" is the real one.
with_stub() {
    mkdir -p "$TMPDIR/stubs"
    printf '#!/bin/bash\nreal=%q\n%s\n' "$(command -v "$2")" "$3" >"$TMPDIR/stubs/$2"
    chmod +x "$TMPDIR/stubs/$2"
    PATH=$TMPDIR/stubs:$PATH run play "$1"
    rm -r "$TMPDIR/stubs"
}

# on_host SCRIPT: run a bash script on a new host; for `run`. It knows the functions of this file.
on_host() {
    timeout -k 1 $((300 * SLOW)) unshare --net --mount --propagation private \
        bash -c "$(declare -f make_host host_state same_host with_beyond stub stubs within \
            killed_at_any_command); make_host; $1" \
        host 3>&-
}

make_host() {
    set -u
    # An address of IPv6 is looked for in the network before it is had, which takes a second or two: a state that
    # is no longer the same by itself.
    sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 2>/dev/null
    mount -t tmpfs tmpfs /run
    mount -t sysfs sysfs /sys
    mount -t tmpfs tmpfs /mnt
    mkdir -p /mnt/upper /mnt/work /mnt/stubs
    # /etc as it is, but what is written there is ours.
    if [ -z "${LAB_ROOTLESS:-}" ]; then
        mount -t overlay -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work overlay /etc
    else
        # An overlay is refused where mounts below /etc are locked, as in a user namespace.
        cp -r /etc/. /mnt/upper 2>/dev/null # but for what the user may not read
        mount --bind /mnt/upper /etc
    fi
    ip link set lo up
    ip link add up0 type veth peer name wan0
    ip link set up0 addrgenmode none
    ip link set wan0 addrgenmode none
    ip link set wan0 up
    ip link set up0 up
    ip addr add 198.51.100.2/24 dev up0
    ip route add default via 198.51.100.1
    # The kernel tells a moment later that a link has a carrier, and adds its route of multicast then.
    until [ "$(cat /sys/class/net/{up0,wan0}/operstate | xargs)" = 'up up' ]; do sleep 0.02; done
    # Rules, a policy and sysctls of its own; one of them is what ip_forward would change by the way.
    "${IPTABLES:-iptables}" -P FORWARD DROP
    "${IPTABLES:-iptables}" -A FORWARD -i lo -j ACCEPT
    "${IPTABLES:-iptables}" -t nat -A POSTROUTING -s 10.99.0.0/24 -j MASQUERADE
    nft add table inet own '{ chain input { type filter hook input priority 5; policy accept; tcp dport 9 drop; }; }'
    sysctl -qw net.ipv4.ip_forward=0 net.ipv4.conf.all.accept_redirects=0 \
        net.ipv4.conf.up0.forwarding=1 net.ipv4.conf.default.forwarding=1
    host_state >/mnt/before
}

# Everything that must be afterwards as it was, counters and dates aside.
host_state() {
    {
        "${IPTABLES:-iptables}-save"
        nft list ruleset
        ip -j addr
        ip -j route show table all
        ip rule
        sysctl net.ipv4
        find /run /etc/netns -printf '%y %p\n'
        findmnt -rno TARGET
    } 2>/dev/null | sed -E '/^# (Generated|Completed)/d; s/\[[0-9]+:[0-9]+\]/[]/g
        s/counter packets [0-9]+ bytes [0-9]+/counter/'
}

# Compare with what the host was when it was made.
same_host() {
    host_state >/mnt/after
    diff /mnt/before /mnt/after
}

# Give the host's uplink an outside: a router, and a server behind it.
with_beyond() {
    ip netns add beyond
    ip link set wan0 netns beyond
    ip -n beyond addr add 198.51.100.1/24 dev wan0
    ip -n beyond addr add 203.0.113.10/32 dev lo
    ip -n beyond link set lo up
    ip -n beyond link set wan0 up
}

# stub NAME BODY: put a command before the real one, which it can call as "$real".
stub() {
    printf '#!/bin/bash\nreal=%q\n%s\n' "$(PATH=${PATH#/mnt/stubs:} command -v "$1")" "$2" >"/mnt/stubs/$1"
    chmod +x "/mnt/stubs/$1"
    case $PATH in /mnt/stubs:*) ;; *) PATH=/mnt/stubs:$PATH ;; esac
}

# stubs ACTION: count the commands of `up`, and at the one with the number in /mnt/at do ACTION, for
# which $PPID is `up`, before the real one.
stubs() {
    local name
    for name in ip brctl iptables sysctl; do
        stub "$name" 'n=$(($(cat /mnt/count) + 1)); echo $n >/mnt/count
            [ $n != "$(cat /mnt/at)" ] || { '"$1"'; }
            exec "$real" "$@"'
    done
    echo 0 >/mnt/count
    echo 0 >/mnt/at
}

# killed_at_any_command STEP LEAST COMMAND...: whether `down` of that lab takes away what its `up`, killed at
# each STEP-th command that it starts, has left; it is killed LEAST times or more.
killed_at_any_command() {
    local step=$1 least=$2 at status killed=0
    shift 2
    stubs "kill -9 \$PPID"
    for at in $(seq 1 "$step" 200); do
        echo 0 >/mnt/count
        echo "$at" >/mnt/at
        "$@" >/dev/null 2>&1
        status=$?
        [ $status = 137 ] && killed=$((killed + 1))
        echo 0 >/mnt/at
        "$1" down >/dev/null || return
        same_host || { echo "killed at command $at"; return 1; }
        [ $status = 137 ] || break
    done
    [ $killed -ge "$least" ] || { echo "killed only $killed times"; return 1; }
}

# within PATTERN COUNT COMMAND...: how many lines of what COMMAND prints match; fail unless COUNT do.
within() {
    local pattern=$1 expected=$2 found
    shift 2
    found=$("$@" | grep -cE -e "$pattern")
    [ "$found" = "$expected" ] || { echo "$found lines, not $expected, of '$*' match $pattern"; "$@"; return 1; }
}

# names_what_is_missing LAB TOOL:PACKAGE...: without each of the tools in turn, the lab names it and the
# package that has it; ping and busybox, which the lab's `up` does not need, in the experiment alone.
names_what_is_missing() {
    local lab=$1 tool package
    shift
    mkdir "$TMPDIR/path"
    for tool in cat "${@%:*}"; do ln -s "$(command -v "$tool")" "$TMPDIR/path/$tool"; done
    for tool in "$@"; do
        package=${tool#*:} tool=${tool%:*}
        mv "$TMPDIR/path/$tool" "$TMPDIR/aside"
        run --separate-stderr env -u LAB_MUST_RUN PATH="$TMPDIR/path" "$LABS/$lab" 3>&-
        assert_equal "$status" 77
        assert_equal "$stderr" "$lab: $(missing_words "$tool" "$package")"
        if [ "$tool" != ping ] && [ "$tool" != busybox ]; then
            run --separate-stderr env -u LAB_MUST_RUN PATH="$TMPDIR/path" "$LABS/$lab" up 3>&-
            assert_equal "$status" 77
            assert_equal "$output$stderr" "$lab: $(missing_words "$tool" "$package")"
        fi
        mv "$TMPDIR/aside" "$TMPDIR/path/$tool"
    done
    rm -r "$TMPDIR/path"
}

#!/usr/bin/env bats
# Lab 09 without root: containers of ordinary users, with the one ID that they have and with a range of further IDs.

load helpers
load container
load cgroups

export STUDENT=4242 # tests/student plays as this user
OTHER=4343          # and as this one
as_student() { exec "$BATS_TEST_DIRNAME/student" "$@"; }

# A root file system of the user's own, as 02_rootfs makes it for one.
setup_file() {
    make_rootfs
    chown -R "$STUDENT:$STUDENT" "$ROOTFS"
}
setup() {
    machine_before
    WAY=one
}
teardown() {
    local user pid
    [ -z "${LAB_ROOTLESS:-}" ] || return 0 # it was skipped
    for user in "$STUDENT" "$OTHER"; do
        while read -r pid; do
            kill -9 "$pid" 2>/dev/null || true
        done < <(sed -n 's/^runtime=//p' "/tmp/container-labs-$user.service"/[a-z0-9]*/state 2>/dev/null)
        STUDENT=$user labs09 prune
        refute [ -e "/tmp/container-labs-$user.service" ]
    done
    machine_after
}

# Run lab 09 as the user $STUDENT, who has the IDs that $WAY says, with what IN puts before it, on a PATH of BIN.
IN=() BIN=/usr/local/bin:/usr/bin:/bin
labs09() {
    "${IN[@]}" "$BATS_TEST_DIRNAME/student" "$WAY" env PATH="$BIN" timeout -k 1 "$TOO_LONG" \
        "$LABS/09_full_container" "$@" 3>&-
}

start() { labs09 run -d --net none "$@" "$ROOTFS" sleep 1000; }

runtime_of() { labs09 inspect "$1" | jq .runtime_pid; }

@test "rootless 09: the experiment holds, with one ID and with a range; what needs a group is left out" {
    local checks programs=$LABS
    for WAY in one range; do
        run as_student "$WAY" timeout -k 1 "$TOO_LONG" "$programs/09_full_container" 3>&-
        assert_experiment_held
        assert_line --regexp '^    NOT SHOWN: control groups'
        refute_line --regexp '^  ok .*(group: only|in the group|SIGKILL|EAGAIN|quota)'
        checks=29
        [ "$WAY" = one ] || checks=30 # root inside is another user than the one that plays
        assert_line "[09] $checks checks held, 0 failed"
        # The next one from another mount than that of the root, which is below another path in its namespace.
        programs=$TMPDIR/labs
        mkdir -p "$programs"
        cp "$LABS/02_rootfs" "$LABS/09_full_container" "$programs"
    done
    refute [ -e "/tmp/container-labs-$STUDENT" ]
    rm -r "$programs"
}

@test "rootless 09: run, with the caller's own ID alone" {
    run --separate-stderr labs09 run --net none -n one "$ROOTFS" sh -c '
        id -u; id -g; hostname; ps -o pid,args; cat /proc/self/uid_map; echo x >/new; ls -n /new
        grep -E "CapEff|NoNewPrivs|Seccomp:" /proc/self/status; ls /sys/class/net; cd /dev; ls
        head -c 3 zero | wc -c; cat /proc/sys/net/ipv4/ping_group_range; exit 7'
    assert_equal "$status" 7
    assert_regex "$stderr" "^09_full_container: one has no limits: without root they need a control group of v2 [^"$'\n'"]*\$"
    assert_line --index 0 0
    assert_line --index 1 0
    assert_line --index 2 one
    assert_line --regexp '^ +1 sh -c'
    assert_line --regexp '^ +0 +0 +1$'
    assert_line --regexp '^-rw-r--r-- +1 0 +0 +2 '
    assert_line $'CapEff:\t00000000800405fb'
    assert_line $'NoNewPrivs:\t1'
    assert_line $'Seccomp:\t2'
    refute_line eth0
    local device
    for device in fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero 3; do
        assert_line "$device"
    done
    assert_line --regexp '^0\s0$'
}

@test "rootless 09: a container that stays: ps, exec, logs, inspect, kill, stop" {
    run labs09 run -d --net none -n stays --init "$ROOTFS" sh -c 'echo said; exec sleep 1000'
    assert_success
    assert_line stays
    run labs09 ps
    assert_line --regexp '^stays +[0-9]+ +running '
    run labs09 exec -e A=1 stays sh -c 'id -u; ps; echo $A; exit 9'
    assert_equal "$status" 9
    assert_line --index 0 0
    assert_line 1
    assert_line --partial 'sleep 1000'
    wait_until eval '[ "$(labs09 logs stays)" = said ]'
    assert_equal "$(labs09 inspect stays | jq -r .own_users)" true
    # Its root is the user, outside.
    assert_equal "$(stat -c %u "/proc/$(labs09 inspect stays | jq .pid)")" "$STUDENT"
    run -0 labs09 kill stays
    run labs09 ps
    assert_equal "${#lines[@]}" 1
    start -n again >/dev/null
    run -0 labs09 stop -t 1 again
    refute [ -e "/tmp/container-labs-$STUDENT.service" ]
    run labs09 run -d --rm=false --net none -n kept "$ROOTFS" sh -c 'exit 3'
    wait_until eval 'labs09 ps | grep -q "ended (3)"'
    run -0 labs09 prune
    assert_output kept
}

@test "rootless 09: a terminal" {
    run as_student one timeout $((60 * SLOW)) script -qec \
        "$LABS/09_full_container run -it --net none '$ROOTFS' sh -c 'tty; stat -c %u:%g \$(tty)'" /dev/null 3>&-
    assert_success
    assert_line --partial /dev/pts/0
    assert_line --partial 0:0
}

@test "rootless 09: with a range, files and processes of other users" {
    WAY=range
    run --separate-stderr labs09 run --net none "$ROOTFS" sh -c '
        cat /proc/self/uid_map; touch /a; chown 7:9 /a; ls -n /a; cat /proc/sys/net/ipv4/ping_group_range'
    assert_success
    assert_line --regexp '^ +0 +0 +1$'
    assert_line --regexp '^ +1 +1 +65535$'
    assert_line --regexp ' 7 +9 +0 '
    assert_line --regexp '^0\s65535$'
    run --separate-stderr labs09 run --net none -u 1000:1001 "$ROOTFS" sh -c 'id -u; id -g; echo x >/tmp/y; ls -n /tmp/y'
    assert_success
    assert_line --index 0 1000
    assert_line --index 1 1001
    assert_line --regexp ' 1000 +1001 +2 '
    start -n third -u 33 >/dev/null
    assert_equal "$(stat -c %u "/proc/$(labs09 inspect third | jq .pid)")" $((STUDENT * 65536 + 32))
    run -0 labs09 exec -u 44:45 third id -g
    assert_output 45
    run -0 labs09 stop -t 0 third
}

@test "rootless 09: an archive: with one ID all files are root's, with a range they keep their owners" {
    local way owner
    tar -C "$ROOTFS" --owner=12 --group=34 -cf "$TMPDIR/it.tar" .
    chmod 644 "$TMPDIR/it.tar" && chmod o+x "$TMPDIR"
    for way in one:0:0 range:12:34; do
        owner=${way#*:} WAY=${way%%:*}
        run --separate-stderr labs09 run --net none "$TMPDIR/it.tar" stat -c %u:%g /bin /bin/busybox
        assert_success
        assert_output "$owner"$'\n'"$owner"
    done
    rm "$TMPDIR/it.tar"
}

# kill_and_sweep RUNTIME PROCESS LEFT GONE: when RUNTIME was killed and PROCESS has ended, LEFT is there; after the next
# command GONE is not, nor is a container.
kill_and_sweep() {
    kill -9 "$1"
    wait_until_gone "$2"
    assert [ -e "$3" ]
    run -0 labs09 ps
    assert_equal "${#lines[@]}" 1
    refute [ -e "$4" ]
}

# What a runtime that was killed has left goes with the next command, and its processes went with it.
gone_after_kill() {
    local service=/tmp/container-labs-$STUDENT.service
    start -n killed "$@" >/dev/null
    run -0 labs09 exec killed sh -c 'mkdir -m 0 /closed; echo x >/file'
    kill_and_sweep "$(runtime_of killed)" "$(labs09 inspect killed | jq .pid)" "$service/killed" "$service"
}

@test "rootless 09: kill -9 of a runtime leaves nothing after the next command" {
    local layer=$TMPDIR/layer
    chmod o+x "$TMPDIR"
    install -d -o "$STUDENT" "$layer"
    gone_after_kill
    gone_after_kill --layer "$layer"
    refute [ -n "$(ls "$layer")" ]
    run labs09 run --net none -n made # of busybox, made below the user's directory
    assert_success
    refute [ -e "/tmp/container-labs-$STUDENT.service" ]
    WAY=range
    start -n many --layer "$layer" >/dev/null
    run -0 labs09 exec many sh -c 'mkdir -m 700 /of7; touch /of7/file; chown -R 7:7 /of7; chown 9:9 /tmp'
    local runtime
    runtime=$(runtime_of many)
    assert_equal "$(stat -c %u "$layer"/*/upper/of7)" $((STUDENT * 65536 + 6))
    kill -9 "$runtime"
    wait_until_gone "$runtime"
    run -0 labs09 ps
    refute [ -n "$(ls "$layer")" ]
    rmdir "$layer"
}

@test "rootless 09: two users do not see or touch each other's containers" {
    start -n mine >/dev/null
    local process state=/tmp/container-labs-$STUDENT.service owner=$STUDENT
    process=$(labs09 inspect mine | jq .pid)
    STUDENT=$OTHER
    run -0 labs09 ps
    assert_equal "${#lines[@]}" 1
    start -n mine >/dev/null # the same name is free for another user
    for command in "exec mine true" "stop mine" "kill mine" "logs mine" "inspect mine" ps prune; do
        # shellcheck disable=SC2086 # its words
        run env CONTAINER_LABS_STATE="$state" "$BATS_TEST_DIRNAME/student" one "$LABS/09_full_container" $command 3>&-
        assert_failure
        assert_output --partial "$state is not a private directory of this user"
    done
    run as_student one kill -9 "$process" 3>&-
    assert_failure
    run as_student one nsenter -t "$process" -U true 3>&-
    assert_failure
    run as_student one ls "/proc/$process/root/" 3>&-
    assert_failure
    run -0 labs09 stop -t 0 mine
    STUDENT=$owner
    run -0 labs09 exec mine true
    run -0 labs09 stop -t 0 mine
}

@test "rootless 09: a directory in /tmp that is not the user's private one is refused" {
    local state=/tmp/container-labs-$STUDENT.service made
    for made in "mkdir -m 700 $state" "install -d -m 750 -o $STUDENT $state" "ln -s /tmp $state" "touch $state"; do
        $made
        for command in "run --net none $ROOTFS true" ps; do
            # shellcheck disable=SC2086 # its words
            run labs09 $command
            assert_failure
            assert_output "09_full_container: $state is not a private directory of this user: make it one (mode 0700), or name another one in CONTAINER_LABS_STATE"
        done
        rm -r "$state"
    done
    # XDG_RUNTIME_DIR goes before.
    chmod o+x "$TMPDIR"
    install -d -m 700 -o "$STUDENT" "$TMPDIR/own"
    # shellcheck disable=SC2016 # the inner shell replaces it
    run as_student one env XDG_RUNTIME_DIR="$TMPDIR/own" sh -c '
        "$0" run -d --net none -n there "$1" sleep 100; ls "$XDG_RUNTIME_DIR"
        "$0" stop -t 0 there' "$LABS/09_full_container" "$ROOTFS" 3>&-
    assert_success
    assert_line container-labs.service
    # Where it cannot be looked at, what is there is not looked for elsewhere.
    run -1 as_student one env XDG_RUNTIME_DIR="$TMPDIR/own" strace -f -qq -o /dev/null -P "$TMPDIR/own" \
        -e inject=newfstatat:error=ENOMEM "$LABS/09_full_container" ps 3>&-
    assert_output "09_full_container: look at XDG_RUNTIME_DIR '$TMPDIR/own': ENOMEM (Cannot allocate memory)"
    rmdir "$TMPDIR/own"
}

@test "rootless 09: what needs root is refused in one line, or left out with a word" {
    local row
    BIN=$(path_without pasta slirp4netns)
    for row in '--userns host|--userns host needs root' '--ip 10.1.0.2|--ip and --subnet need root, as the bridge does' \
        '--subnet 10.1.0.0/16|need root' '-m 64m|control groups? of v[12]' '--cpus 0.5|control group' \
        '-p 80:80|--publish needs pasta: install the package passt' '-u 1000|without root a container has user 0 and group 0 alone'; do
        # shellcheck disable=SC2086 # its words
        run --separate-stderr labs09 run ${row%|*} "$ROOTFS" true
        assert_failure 125
        assert_regex "$stderr" "${row#*|}"
    done
    run --separate-stderr labs09 run -n alone "$ROOTFS" ls /sys/class/net
    assert_success
    assert_output lo
    assert_regex "$stderr" "alone has no network: without root it needs pasta or slirp4netns; install the package passt, or type --net none"
    # One that may not be executed is there all the same.
    printf '#!/bin/sh\n' >"$BIN/pasta" && chmod 600 "$BIN/pasta"
    run --separate-stderr labs09 run -n alone "$ROOTFS" true
    assert_regex "$stderr" "execute pasta: EACCES \\(Permission denied\\)"
    rm "$BIN/pasta"
    # Inside, the files of another user cannot be changed.
    STUDENT=$OTHER run --separate-stderr labs09 run --net none "$ROOTFS" sh -c 'touch /bin/x /new; ls /new'
    assert_success
    assert_output /new
    assert_regex "$stderr" "'$ROOTFS' belongs to user $STUDENT; in it, root inside can read, and change nothing"
    run as_student one strace -f -o /dev/null -e inject=unshare:error=EPERM:when=1 \
        "$LABS/09_full_container" run --net none "$ROOTFS" true 3>&-
    assert_failure 125
    assert_output --regexp 'without root, unshare CLONE_NEWUSER: EPERM '
    run setpriv --ruid="$OTHER" --euid="$STUDENT" --regid="$STUDENT" --clear-groups "$LABS/09_full_container" ps 3>&-
    # A sanitizer has a status of its own there.
    if [ -z "${SANITIZED:-}" ]; then assert_failure 125; else assert_failure; fi
    assert_output --partial 'set-user-ID'
    # Nor for another user with the rights of root.
    run setpriv --ruid="$OTHER" --euid=0 --clear-groups "$LABS/09_full_container" ps 3>&-
    assert_failure
    assert_output --partial 'set-user-ID'
}

# A user opens /dev/net/tun on an ordinary machine; a small one may have it for root alone.
tun_for_all() {
    [ "$(stat -c %a /dev/net/tun)" = 666 ] || {
        mount -t tmpfs tmpfs /dev/net && mknod -m 666 /dev/net/tun c 10 200
    }
}
tun_as_before() { ! mountpoint -q /dev/net || umount /dev/net; }

# With a machine that has an outside: `program` is the only one there, and makes the network.
connected_by() {
    local other=pasta
    [ "$1" != pasta ] || other=slirp4netns
    BIN=$(path_without "$other")
    run labs09 run -d -n far "${@:2}" "$ROOTFS" sleep 1000
    assert_success
    run labs09 exec far sh -c 'ip -4 -o addr show eth0; cat /etc/hosts; wget -qO- 192.0.2.2/word
        wget -qO- -T 3 10.0.2.2:7777/word || wget -qO- -T 3 127.0.0.1:7777/word || echo apart'
    assert_line --regexp 'inet 10\.0\.2\.100/24 '
    assert_line --regexp '^10\.0\.2\.100\s+far$'
    assert_line 'from outside'
    assert_line apart
    run -0 labs09 ps
    assert_line --regexp '^far .* 10\.0\.2\.100 '
    assert_equal "$(labs09 inspect far | jq -r .network)" user
}

@test "rootless 09: a network by pasta or slirp4netns, which ends with the container however that ends" {
    local program process at
    command -v pasta >/dev/null && command -v slirp4netns >/dev/null ||
        skip "no pasta or slirp4netns is installed (tests/packages.sh install optional)"
    host_up
    unset CONTAINER_LABS_STATE
    outside_up
    on_host ip route add default via 192.0.2.2
    tun_for_all
    IN=(on_host)
    echo from outside >"$TMPDIR/word"
    outside_meanwhile busybox httpd -f -p 192.0.2.2:80 -h "$TMPDIR"
    on_host_meanwhile busybox httpd -f -p 127.0.0.1:7777 -h "$TMPDIR"
    connected_by pasta -p 8080:80
    run -0 labs09 exec far sh -c 'mkdir /www; echo from inside >/www/word; httpd -p 80 -h /www'
    for at in "outside 192.0.2.1" "on_host 127.0.0.1"; do
        run -0 "${at% *}" busybox wget -qO- "${at#* }:8080/word"
        assert_output 'from inside'
    done
    program=$(pgrep -u "$STUDENT" '^(pasta|passt)') # it executes passt.avx2
    run -0 labs09 stop -t 0 far
    wait_until_gone "$program"
    connected_by slirp4netns
    program=$(pgrep -u "$STUDENT" slirp4netns)
    kill -9 "$(runtime_of far)"
    for process in $program; do wait_until_gone "$process"; done
    BIN=$(path_without slirp4netns)
    run --separate-stderr labs09 run -p 7777:80 "$ROOTFS" true
    assert_failure 125
    assert_regex "$stderr" ': port 7777/tcp is in use on this machine$'
    # pasta itself would let the second one have it, and the first one would hear no more.
    run -0 labs09 run -d -n names -p 5353:53/udp "$ROOTFS" sleep 1000
    run --separate-stderr labs09 run -p 5353:53/udp "$ROOTFS" true
    assert_failure 125
    assert_regex "$stderr" ': port 5353/udp is in use by names$'
    run -0 labs09 stop -t 0 names
    run -0 labs09 run -p 5353:53/udp "$ROOTFS" true
    # A root file system of root's has the names, too, and nothing else of it can be changed.
    cp -a "$ROOTFS" "$TMPDIR/theirs"
    echo 192.0.2.9 old >"$TMPDIR/theirs/etc/hosts"
    chown -hR 0:0 "$TMPDIR/theirs"
    run -0 --separate-stderr labs09 run -n far "$TMPDIR/theirs" sh -c 'cat /etc/hosts; test -s /etc/resolv.conf && echo there; rm /bin/sh || ls /etc/passwd'
    assert_line --regexp '^10\.0\.2\.100\s+far$'
    assert_line there
    assert_line /etc/passwd
    refute_output --partial old
    assert_equal "$(cat "$TMPDIR/theirs/etc/hosts")" "192.0.2.9 old"
    rm -r "$TMPDIR/theirs"
    host_down
    tun_as_before
    rm "$TMPDIR/word"
}

# refused_network WORDS REFUSED PROGRAM: with PROGRAM, lines of sh, as pasta, and with the calls REFUSED there is no start,
# and one line says WORDS.
refused_network() {
    printf '#!/bin/sh\n%s\n' "$3" >"$TMPDIR/bin/pasta"
    chmod 755 "$TMPDIR/bin/pasta"
    run -125 as_student one env PATH="$TMPDIR/bin:$BIN" timeout -k 1 "$TOO_LONG" "$(program_of refuse)" "$2" -- \
        "$LABS/09_full_container" run -n far "$ROOTFS" true 3>&-
    assert_line --partial "$1"
    run -1 pgrep -u "$STUDENT" sleep
}

@test "rootless 09: a network program that cannot be heard, or stays without a word, is ended and told" {
    chmod o+x "$TMPDIR" && mkdir "$TMPDIR/bin"
    refused_network 'read whether pasta is ready: EIO (Input/output error)' read:EIO:2=1 'echo 1; exec sleep 1000'
    refused_network 'pasta makes no network: it prints no reason' read:EIO:2=7777 'exec sleep 1000 >&-'
    refused_network 'pasta has made no network within 20 seconds: it prints no reason' read:EIO:2=7777 'exec sleep 1000'
    refused_network 'pasta makes no network: it was ended by SIGKILL' read:EIO:2=7777 'kill -KILL $$'
    refused_network 'pasta makes no network: read what it prints: EIO (Input/output error)' read:EIO:2=65535 'exit 1'
    rm -r "${TMPDIR:?}/bin"
}

@test "rootless 09: what root inside cannot remove is told with its own errno" {
    local runtime
    chmod o+x "$TMPDIR" && install -d -o "$STUDENT" "$TMPDIR/layer"
    WAY=range
    start -n many --layer "$TMPDIR/layer" >/dev/null
    run -0 labs09 exec many sh -c 'mkdir -m 700 /of7; touch /of7/file; chown -R 7:7 /of7'
    runtime=$(runtime_of many)
    kill -9 "$runtime"
    wait_until_gone "$runtime"
    # shellcheck disable=SC2191 # words of strace
    IN=(strace -f -qq -o /dev/null -P "$(echo "$TMPDIR"/layer/*/upper/of7)" -e inject=unlinkat:error=EBUSY)
    run -1 labs09 prune
    assert_output --partial 'EBUSY (Device or resource busy)'
    refute_output --partial EACCES
    IN=()
    run -0 labs09 prune
    rmdir "$TMPDIR/layer"
}

# bats test_tags=v2
@test "rootless 09: limits in a group of v2 that belongs to the user, swept with the next command" {
    has_v2 || { play_in_vm; return; }
    local groups runtime
    delegate
    IN=(in_shell_group)
    groups=$GROUP/container-labs
    run --separate-stderr labs09 run --net none -m 32m --pids-limit 20 --cpus 0.5 "$ROOTFS" sh -c '
        cd /sys/fs/cgroup; cat memory.max pids.max cpu.max; tail /dev/zero'
    assert_failure 137
    assert_output $'33554432\n20\n50000 100000'
    assert_regex "$stderr" '^09_full_container: [^ ]*: out of memory: the limit is 33554432 bytes$'
    refute [ -e "$groups" ]
    # A group that cannot be read is not one that is not there: without limits nothing starts.
    IN=(in_shell_group strace -f -qq -o /dev/null -P "$GROUP/cgroup.controllers" -e trace=openat -e inject=openat:error=EIO)
    run labs09 run --net none "$ROOTFS" echo started
    assert_output --partial "look at $GROUP: EIO"
    refute_line started
    IN=(in_shell_group)
    start -n killed >/dev/null
    run -0 labs09 exec killed cat /proc/self/cgroup /sys/fs/cgroup/pids.max
    assert_output $'0::/\n256'
    IN=()
    run -125 labs09 exec killed true
    assert_output --partial 'clone3 in the control group of killed: EACCES'
    runtime=$(runtime_of killed)
    kill_and_sweep "$runtime" "$runtime" "$groups/container-killed-$runtime" "$groups"
    take_back
}

# With the words of a user who has nothing else to do there.
user_serves() {
    STUDENT=$1 run as_student one env LAB="$LABS/09_full_container" ROOTFS="$ROOTFS" sh -ec '
        "$LAB" run -d --net none -n mine "$ROOTFS" sleep 1000
        "$LAB" exec mine id -u
        "$LAB" ps
        "$LAB" stop -t 0 mine'
    assert_success
    assert_line 0
    assert_line --regexp '^mine .* running .* sleep 1000$'
    refute [ -e "/tmp/container-labs-$1.service" ]
}

@test "rootless 09: thirty users at the same moment, each another uid, have a container each" {
    # shellcheck disable=SC2046 # numbers
    at_once user_serves $(seq 5001 5030)
}

# blocked_but_for PROBE OPTION...: blocked as it is, open with the options that take a wall away.
blocked_but_for() {
    local probe=$1
    shift
    run --separate-stderr labs09 run --net none -e HOST_PID=$$ "$ROOTFS" probe "$probe"
    assert_equal "$status" 1
    assert_regex "${lines[0]}" "^$probe: blocked by E[A-Z]+$"
    run --separate-stderr labs09 run --net none -e HOST_PID=$$ "$@" "$ROOTFS" probe "$probe"
    assert_success
}

@test "rootless 09: the walls hold, and each is what holds" {
    blocked_but_for mount_tmpfs --cap-add SYS_ADMIN
    blocked_but_for unmask --cap-add SYS_ADMIN
    blocked_but_for set_host_name --cap-add SYS_ADMIN
    WAY=range
    blocked_but_for mount_tmpfs --cap-add SYS_ADMIN
}

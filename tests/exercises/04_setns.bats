#!/usr/bin/env bats
# Exercise 4: nsenter in forty lines.

load helpers

# PID COMMAND
export EXERCISE_WORDS=1
export NEEDS='4.2:4.1 4.3:4.1,4.2 4.4:4.1,4.2'
# Where the user namespace is ours, every order is right: joining fails for what was opened.
export SHOWN_BY='4.1:4.2'
export WAITS=4.3

# `start UNSHARE-OPTION... -- COMMAND...`: a process in new namespaces; its PID is $target. It has
# reached its end of preparation when this returns.
START='
mkfifo ready
start() {
    local -a options=()
    while [ "$1" != -- ]; do options+=("$1"); shift; done
    shift
    target unshare "${options[@]}" sh -c "$* echo ready >ready; exec sleep 600" &
    read -r _ <ready
    until target=$(pgrep -x sleep); do sleep 0.01; done
}
# The kinds of namespaces in which our program does not arrive. What it has opened, and not joined, it has still open.
elsewhere() {
    local kind
    hold tail $target tail -f /dev/null
    for kind in "$@"; do
        if [ "$(readlink /proc/$pid/ns/$kind)" != "$(readlink /proc/$target/ns/$kind)" ]; then
            echo "another $kind" | fact
            if ls -l /proc/[0-9]*/fd 2>/dev/null | grep -q " $kind:"; then echo "opened and not joined: $kind" | fact; fi
        fi
    done
    echo "compared $pid" | sed "s/[0-9][0-9]*/both/" | fact
}
'

@test "4.1 every namespace of the command is that of the target" {
    play "$START"'start --mount --uts --ipc --net --cgroup -- hostname target-$N\;
                  elsewhere mnt uts ipc net cgroup; nsenter --target $pid --uts hostname | nonce | fact'
    if grep -q '^opened and not joined' <<<"$facts"; then not_tried 4.2; fi
    see_fact "the comparison" '^compared both$'
    see_no_fact "the same namespaces" '^another'
    see_fact "the host name in there" '^target-N$'
}

@test "4.1 where the target shares namespaces with us, those are left alone" {
    play "$START"'target sleep 600 & until target=$(pgrep -x sleep); do sleep 0.01; done; elsewhere mnt uts ipc net cgroup user pid'
    see_fact "the comparison, with a process that shares all with us" '^compared both$'
    see_no_fact "the same namespaces" '^another'
}

@test "4.1 a target that is not there: one line, and nothing is run" {
    play 'it 4194303 echo run; echo "status $?" | fact'
    see "an errno" 'ENOENT'
    see_fact "a status of failure" '^status 1$'
    see_not "no command" '^run$'
}

@test "4.2 an ordinary user enters a sandbox of its own" {
    play --user "$START"'start --user --map-root-user --mount --uts --ipc --net --time --fork --
                  elsewhere user mnt uts ipc net time'
    see_fact "the comparison" '^compared both$'
    see_no_fact "the same namespaces" '^another'
}

@test "4.2 root enters what a user namespace owns, together with that user namespace" {
    play "$START"'start --user --map-root-user --uts --net -- hostname deep\; ; elsewhere user uts net'
    see_fact "the comparison" '^compared both$'
    see_no_fact "the same namespaces" '^another'
}

@test "4.2 root enters a user namespace that does not own the network" {
    # A process that has joined such a user namespace may not join that network any more.
    play "$START"'target unshare --net --uts sh -c "echo ready >ready; exec unshare --user --map-root-user sleep 600" &
                  read -r _ <ready; until target=$(pgrep -x sleep); do sleep 0.01; done
                  elsewhere user net uts'
    see_fact "the comparison" '^compared both$'
    see_no_fact "the same namespaces" '^another'
}

@test "4.3 the command is a process of the PID namespace" {
    play "$START"'start --pid --fork --mount-proc -- ; hold tail $target tail -f /dev/null
                  for process in $pid $target; do readlink /proc/$process/ns/pid | fact; done
                  sed -n "s/^NSpid:[[:space:]]*/numbers /p" /proc/$pid/status | fact'
    see_fact "two numbers, that of the namespace at the end, one of the next after PID 1" '^numbers [0-9]+[[:space:]][2-9]$'
    [ "$(grep -c '^pid:' <<<"$facts")" -eq 2 ] && [ "$(grep '^pid:' <<<"$facts" | sort -u | wc -l)" -eq 1 ] ||
        complain "the PID namespace of the target, twice"
}

@test "4.3 the status of the command is handed on" {
    local status_of_command=$((20 + RANDOM % 60))
    play "$START"'start --pid --fork --mount-proc -- ; it $target sh -c "exit '$status_of_command'"; echo "status $?" | fact
                  it $target sh -c "kill -KILL \$\$" 2>/dev/null; echo "status $?" | fact; it $target missing; echo "status $?" | fact'
    see_fact "the status of the command" "^status $status_of_command\$"
    see_fact "128 + 9 for SIGKILL" '^status 137$'
    see_fact "127 for a command that is not there" '^status 127$'
}

# A target whose root is a directory in its mount namespace, and whose working directory is /data.
JAILED='
mkdir -p jail/bin jail/data jail/tmp
cp "$(command -v busybox.static || command -v busybox)" jail/bin/busybox
mkfifo jail/ready
target unshare --mount chroot jail /bin/busybox sh -c "cd /data; echo ready >/ready; exec /bin/busybox sleep 600" &
read -r _ <jail/ready
target=$(pgrep -x busybox)
'

@test "4.4 the root of the target" {
    play "$JAILED"'it $target /bin/busybox ls /; hold busybox $target /bin/busybox sleep 601
                   for process in $pid $target; do readlink /proc/$process/root | fact root; done'
    see "what is in there" '^data$'
    see_not "nothing of the machine" '^(usr|etc)$'
    [ "$(grep -c '^root /tmp/jail$' <<<"$facts")" -eq 2 ] || complain "the root /tmp/jail, of the command and the target"
}

@test "4.4 the working directory of the target" {
    play "$JAILED"'it $target /bin/busybox pwd; it $target /bin/busybox sh -c "echo x >made"; ls jail/data | fact'
    see "the directory as it is called in there" '^/data$'
    see_fact "a file that was made there" '^made$'
}

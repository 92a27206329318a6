#!/usr/bin/env bats
# Exercise 4: nsenter in forty lines.

load helpers

# `start UNSHARE-OPTION... -- COMMAND...`: a process in new namespaces; its PID is $target. It has
# reached its end of preparation when this returns.
START='
mkfifo ready
start() {
    local -a options=()
    while [ "$1" != -- ]; do options+=("$1"); shift; done
    shift
    unshare "${options[@]}" sh -c "$* echo ready >ready; exec sleep 60" &
    read -r _ <ready
    until target=$(pgrep -x sleep); do sleep 0.01; done
}
# The kinds of namespaces in which our program does not arrive.
elsewhere() {
    local kind
    for kind in "$@"; do
        [ "$(it $target readlink /proc/self/ns/$kind)" = "$(readlink /proc/$target/ns/$kind)" ] || echo "another $kind"
    done
    echo compared
}
'

@test "4.1 every namespace of the command is that of the target" {
    play "$START"'start --mount --uts --ipc --net --cgroup -- hostname target\;
                  elsewhere mnt uts ipc net cgroup; it $target hostname'
    see "the comparison" '^compared$'
    see_not "the same namespaces" '^another'
    see "the host name in there" '^target$'
}

@test "4.1 where the target shares namespaces with us, those are left alone" {
    play "$START"'start --uts -- hostname target\; ; it $target hostname; it $$ hostname'
    ends_with 0
    see "the host name in there" '^target$'
    see "a process that shares all with us" '^sandbox$'
}

@test "4.1 a target that is not there: one line, and nothing is run" {
    play 'it 4194303 echo run; echo "status $?"'
    see "an errno" 'ENOENT'
    see "a status of failure" '^status 1$'
    see_not "no command" '^run$'
}

@test "4.2 an ordinary user enters a sandbox of its own" {
    play --user "$START"'start --user --map-root-user --mount --uts --ipc --net --time --fork -- hostname mine\;
                  elsewhere user mnt uts ipc net time; it $target sh -c "id -u; hostname"'
    see "the comparison" '^compared$'
    see_not "the same namespaces" '^another'
    see "root in there" '^0$'
    see "the host name in there" '^mine$'
}

@test "4.2 root does so as well, in whatever order" {
    play "$START"'start --user --map-root-user --uts --net -- hostname deep\; ; elsewhere user uts net'
    see "the comparison" '^compared$'
    see_not "the same namespaces" '^another'
}

@test "4.2 root enters a user namespace whose network is the machine's gift" {
    # Who has joined such a user namespace may not join that network any more.
    play "$START"'mkfifo ready; unshare --net --uts sh -c "echo ready >ready; exec unshare --user --map-root-user sleep 60" &
                  read -r _ <ready; until target=$(pgrep -x sleep); do sleep 0.01; done
                  elsewhere user net uts; it $target id -u'
    see "the comparison" '^compared$'
    see_not "the same namespaces" '^another'
    see "root in there" '^0$'
}

@test "4.3 the command is a process of the PID namespace" {
    play "$START"'start --pid --fork --mount-proc -- ; it $target readlink /proc/self/ns/pid
                  readlink /proc/$target/ns/pid; it $target sh -c "echo number \$\$"'
    see "a small number, the next one after PID 1 and its like" '^number [2-9]$'
    [ "$(grep -c '^pid:' <<<"$output")" -eq 2 ] && [ "$(grep '^pid:' <<<"$output" | sort -u | wc -l)" -eq 1 ] ||
        complain "the PID namespace of the target, twice"
}

@test "4.3 the status of the command is handed on" {
    play "$START"'start --pid --fork --mount-proc -- ; it $target sh -c "exit 42"; echo "status $?"
                  it $target sh -c "kill -KILL \$\$" 2>/dev/null; echo "status $?"; it $target missing; echo "status $?"'
    see "42" '^status 42$'
    see "128 + 9 for SIGKILL" '^status 137$'
    see "127 for a command that is not there" '^status 127$'
}

# A target whose root is a directory in its mount namespace, and whose working directory is /data.
JAILED='
mkdir -p jail/bin jail/data jail/tmp
cp "$(command -v busybox.static || command -v busybox)" jail/bin/busybox
mkfifo jail/ready
unshare --mount chroot jail /bin/busybox sh -c "cd /data; echo ready >/ready; exec /bin/busybox sleep 60" &
read -r _ <jail/ready
target=$(pgrep -x busybox)
'

@test "4.4 the root of the target" {
    play "$JAILED"'it $target /bin/busybox ls /'
    ends_with 0
    see "what is in there" '^data$'
    see_not "nothing of the machine" '^(usr|etc)$'
}

@test "4.4 the working directory of the target" {
    play "$JAILED"'it $target /bin/busybox pwd; it $target /bin/busybox sh -c "echo x >made"; ls jail/data'
    see "the directory as it is called in there" '^/data$'
    see "a file that was made there" '^made$'
}

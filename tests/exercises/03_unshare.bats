#!/usr/bin/env bats
# Exercise 3: root without root. Everything is done as an ordinary user.

load helpers

export NEEDS='3.2:3.1 3.3:3.1,3.2 3.4:3.1,3.2,3.3'
export WAITS=3.4

# What the kernel says of a command that runs: it lives as long as PID 1 waits for it.
HELD='
hold sleep sleep 600
show() { tr -s " " </proc/$pid/$1 | fact "$2"; }
'

@test "3.1 the user map has one user, ours, who is root inside" {
    play --user "$HELD"'echo "ours $(id -u)" | fact; show uid_map users'
    see_fact "an ordinary user outside" '^ours 65534$'
    see_fact "the user map 0 65534 1: first inside, first outside, how many" '^users +0 65534 1$'
}

@test "3.1 what root inside makes belongs to the user outside" {
    play --user 'hold sleep sh -c "touch made; stat -c \"%u inside\" made; exec sleep 600"; stat -c "%u made" made | fact'
    see_fact "the file belongs to the user outside" '^65534 made$'
    see "and to root inside" '^0 inside$'
}

@test "3.2 the group map has one group, ours, and setgroups is denied" {
    needs ids
    play --user "$HELD"'echo "ours $(id -g)" | fact; show setgroups setgroups; show gid_map groups'
    see_fact "an ordinary group outside" '^ours 65533$'
    see_fact "the group map 0 65533 1" '^groups +0 65533 1$'
    see_fact "setgroups is denied" '^setgroups deny$'
}

@test "3.2 inside, the group is root's" {
    play --user 'hold sleep sh -c "echo \"group \$(id -g)\"; exec sleep 600"'
    see "group 0 inside" '^group 0$'
}

@test "3.3 the host name is another inside, and only inside" {
    play --user 'hold sleep --hostname=box-$N sleep 600
                 echo "inside $(nsenter --target $pid --user --preserve-credentials --uts hostname)" | nonce | fact
                 echo "outside $(hostname)" | fact; hold tail tail -f /dev/null
                 echo "without the option $(nsenter --target $pid --user --preserve-credentials --uts hostname)" | fact'
    see_fact "inside box-N, the name that was asked for (N is a number)" '^inside box-N$'
    see_fact "the old name" '^outside sandbox$'
    see_fact "the old name where no other is asked for" '^without the option sandbox$'
}

@test "3.3 /proc shows the processes of the sandbox, and only those" {
    play --user "$HELD"'echo "in /proc: $(ls /proc/$pid/root/proc | grep "^[0-9]" | xargs)" | fact'
    see_fact "PID 1 and the command, PID 2" '^in /proc: 1 2$'
}

@test "3.4 orphans are reaped when they end" {
    # The subshell ends before its children, which become children of PID 1, and end in their turn. They are
    # zombies then, until PID 1 asks; for two seconds we look whether they still are.
    play --user 'hold sleep sh -c "(sh -c \"exit 5\" & sh -c \"exit 6\" &); exec sleep 600"
        for attempt in $(seq 100); do
            grep -qs "^State:.Z" /proc/[0-9]*/status || break
            sleep 0.02
        done
        grep -hs "^State:.Z" /proc/[0-9]*/status | fact
        kill -0 $pid && echo "the command runs" | fact'
    see_fact "the command runs on" '^the command runs$'
    see_no_fact "no zombie" 'zombie'
}

@test "3.4 the command's status is handed on, an orphan's is not" {
    local status_of_command=$((20 + RANDOM % 60))
    play --user 'it sh -c "(sh -c \"exit 5\" &) ; sleep 0.2; exit '$status_of_command'"; echo "status $?" | fact
                 it sh -c "kill -TERM \$\$"; echo "status $?" | fact'
    see_fact "the status of the command" "^status $status_of_command\$"
    see_fact "128 + 15 for SIGTERM" '^status 143$'
}

@test "3.4 no process is left when the command has ended" {
    play --user 'it sh -c "sleep 600 & exit 0"; (pgrep -c sleep; echo end) | fact'
    see_fact "no process of it" '^0$'
    see_fact "the script to reach its end" '^end$'
}

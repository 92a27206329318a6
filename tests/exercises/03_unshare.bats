#!/usr/bin/env bats
# Exercise 3: root without root. Everything is done as an ordinary user.

load helpers

@test "3.1 inside, the user is root" {
    play --user 'id -u; it id -u'
    see "an ordinary user outside" '^65534$'
    see "user 0 inside" '^0$'
}

@test "3.1 what root inside makes belongs to the user outside" {
    play --user 'it touch made; stat -c "%u made" made; it stat -c "%u inside" made'
    see "the file belongs to the user outside" '^65534 made$'
    see "and to root inside" '^0 inside$'
}

@test "3.2 inside, the group is root's" {
    play --user 'id -g; it id -g'
    see "an ordinary group outside" '^65533$'
    see "group 0 inside" '^0$'
}

@test "3.2 the maps have one user and one group, and setgroups is denied" {
    play --user 'it sh -c "cat /proc/self/setgroups; echo groups \$(cat /proc/self/gid_map); echo users \$(cat /proc/self/uid_map)"'
    see "setgroups is denied" '^deny$'
    see "the group map" '^groups 0 65533 1$'
    see "the user map" '^users 0 65534 1$'
}

@test "3.3 the host name is another inside, and only inside" {
    play --user 'it --hostname=a-box-with-a-name sh -c "echo inside \$(hostname)"; echo "outside $(hostname)"'
    see "the name that was asked for" '^inside a-box-with-a-name$'
    see "the old name" '^outside sandbox$'
}

@test "3.3 /proc shows the processes of the sandbox, and only those" {
    play --user 'it sh -c "for process in /proc/[0-9]*; do cat \$process/comm; done" | sort | xargs
                 it sh -c "echo \$\$"'
    see "PID 1 and the command" '^03_unshare( cat)? sh$'
    see "the command is PID 2" '^2$'
    see_not "nobody from outside" '(bash|sandbox)'
}

@test "3.4 orphans are reaped when they end" {
    # The subshell ends before its child, which becomes a child of PID 1, and ends in its turn. It is
    # a zombie then, until PID 1 asks; for two seconds we look whether it still is.
    play --user 'it sh -c "
        (sh -c \"exit 5\" & sh -c \"exit 6\" &)
        for attempt in \$(seq 100); do
            grep -qs \"^State:.Z\" /proc/[0-9]*/status || break
            sleep 0.02
        done
        grep -hs \"^State:.Z\" /proc/[0-9]*/status; ls -d /proc/[0-9]* | wc -l; echo end"'
    see "the command to reach its end" '^end$'
    see_not "no zombie" 'zombie'
}

@test "3.4 the command's status is handed on, an orphan's is not" {
    play --user 'it sh -c "(sh -c \"exit 5\" &) ; sleep 0.2; exit 42"; echo "status $?"
                 it sh -c "kill -TERM \$\$"; echo "status $?"'
    see "the status of the command" '^status 42$'
    see "128 + 15 for SIGTERM" '^status 143$'
}

@test "3.4 nobody is left when the command has ended" {
    play --user 'it sh -c "sleep 60 & exit 0"; pgrep -c sleep; echo end'
    see "no process of it" '^0$'
    see "the script to reach its end" '^end$'
}

#!/usr/bin/env bats
# Exercise 5: cpulimit. A busy machine can give less than a limit allows, never more; so what is
# checked is an upper bound, and limits are low enough for many of these at the same time.

load helpers

# `own FILE`: a file of the group in which one is, in the hierarchy of cpu, on v1 or v2. To be given
# to a shell inside the limit as $OWN.
OWN='own() {
    local path
    if path=$(grep -E "^[0-9]+:([^:]*,)?cpu(,[^:]*)?:" /proc/self/cgroup); then
        cat "$(ls -d /sys/fs/cgroup/cpu /sys/fs/cgroup/cpu,cpuacct 2>/dev/null | head -n 1)${path##*:}/$1"
    else
        path=$(grep "^0::" /proc/self/cgroup)
        cat "/sys/fs/cgroup${path##*:}/$1"
    fi
}
export -f own
dialect() { if [ -e /sys/fs/cgroup/cgroup.controllers ]; then echo 2; else echo 1; fi; }
export -f dialect
'

@test "5.1 what would be written on v1" {
    play 'it --show 1 50; it --show 1 150'
    see "a period of 100000 microseconds" '^cpu.cfs_period_us 100000$'
    see "half of that as quota for 50%" '^cpu.cfs_quota_us 50000$'
    see "more than the period for 150%" '^cpu.cfs_quota_us 150000$'
    see_not "nothing of v2" 'cpu.max'
}

@test "5.1 what would be written on v2" {
    play 'it --show 2 50; it --show 2 150'
    see "quota and period in one line, for 50%" '^cpu.max 50000 100000$'
    see "and for 150%" '^cpu.max 150000 100000$'
    see_not "nothing of v1" 'cfs'
}

@test "5.1 the kernel has the limit when the command starts" {
    play "$OWN"'it 30 bash -c "if [ \$(dialect) = 2 ]; then own cpu.max; else own cpu.cfs_quota_us; fi"'
    see "a quota of 30000 microseconds" '^30000( 100000)?$'
}

@test "5.2 the command is in the group, and what it starts as well" {
    play "$OWN"'it 40 bash -c "echo \$(own cgroup.procs | wc -l) in the group; cat /proc/self/cgroup"'
    see "a group of its own" ':/cpulimit-[0-9]+'
    see "the shell and its children in it" '^[2-9] in the group$'
}

@test "5.2 the command is held back" {
    # With 20% of a CPU, 200 ms of CPU time (20 ticks, fields 14 and 15 of proc(5)) take a second, and
    # on a busy machine longer.
    play 'begun=${EPOCHREALTIME/./}
          it 20 bash -c "while read -ra stat </proc/self/stat; [ \$((stat[13] + stat[14])) -lt 20 ]; do :; done"
          echo "took $(((${EPOCHREALTIME/./} - begun) / 1000)) ms"'
    local took
    took=$(sed -nE 's/^took ([0-9]+) ms$/\1/p' <<<"$output")
    [ "${took:-0}" -ge 800 ] || complain "200 ms of CPU time take 1000 ms, or nearly"
}

@test "5.3 usage and throttling are reported, as the kernel counts them" {
    play "$OWN"'it 20 bash -c "for i in {1..20000}; do :; done; own cpu.stat"
                times >spent; tail -n 1 spent'
    local used held_back inside children
    used=$(sed -nE 's/^used ([0-9]+) us, .*/\1/p' <<<"$output")
    held_back=$(sed -nE 's/^used .*, held back in ([0-9]+) of [0-9]+ periods$/\1/p' <<<"$output")
    inside=$(sed -nE 's/^nr_throttled ([0-9]+)$/\1/p' <<<"$output")
    children=$(sed -nE 's/^0m([0-9.]+)s 0m([0-9.]+)s$/\1 \2/p' <<<"$output" | awk '{print int(($1 + $2) * 1000000)}')
    [ "${used:-0}" -gt 0 ] || complain "more than 0 microseconds used"
    # `times` counts the program itself as well, and to the millisecond.
    [ "$used" -le $((children + 20000)) ] && [ "$used" -ge $((children / 2 - 20000)) ] ||
        complain "about $children microseconds used, which is what times(2) says"
    [ "${held_back:-0}" -ge "${inside:-1}" ] && [ "$held_back" -ge 1 ] ||
        complain "held back in as many periods as the group itself has read, or more"
}

@test "5.3 a command that wants little is not held back" {
    play 'it 1000 true'
    ends_with 0
    see "0 periods, and some microseconds" '^used [1-9][0-9]* us, held back in 0 of [0-9]+ periods$'
    # A period counts when somebody has run in it.
    play "$OWN"'it 1000 bash -c "for i in 1 2 3 4; do sleep 0.11; done; own cpu.stat"'
    local inside
    inside=$(sed -nE 's/^nr_periods ([0-9]+)$/\1/p' <<<"$output")
    [ "${inside:-0}" -ge 1 ] && [ "$(sed -nE 's/^used .*, held back in 0 of ([0-9]+) periods$/\1/p' <<<"$output")" -ge "$inside" ] ||
        complain "0 of as many periods as the group itself has read, or more"
}

@test "5.4 whoever is left is killed, and the group is gone" {
    # A process that was killed keeps its name until PID 1 has waited for it, but no command line.
    # One of them is deaf to SIGTERM.
    play 'it 50 bash -c "setsid sleep 60 & (trap \"\" TERM; exec sleep 61) & sleep 0.1; exit 3"; echo "status $?"
          echo "$(pgrep -cf "^sleep 6") left"; find /sys/fs/cgroup -name "cpulimit-*"; echo end'
    see "the status of the command" '^status 3$'
    see "no process" '^0 left$'
    see_not "no group" 'cpulimit'
    see "the script to reach its end" '^end$'
}

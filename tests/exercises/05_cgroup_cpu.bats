#!/usr/bin/env bats
# Exercise 5: cpulimit. A busy machine can give less than a limit allows, never more; so what is
# checked is an upper bound, and limits are low enough for many of these at the same time.

load helpers

# PERCENT COMMAND
export EXERCISE_WORDS=1
export NEEDS='5.2:5.1 5.3:5.1,5.2 5.4:5.2'

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
    local percent=$((200 + RANDOM % 700))
    play "it --show 1 50; it --show 1 150; it --show 1 $percent"
    see "a period of 100000 microseconds" '^cpu.cfs_period_us 100000$'
    see "half of that as quota for 50%" '^cpu.cfs_quota_us 50000$'
    see "more than the period for 150%" '^cpu.cfs_quota_us 150000$'
    see "and for $percent%" "^cpu.cfs_quota_us ${percent}000\$"
    see_not "nothing of v2" 'cpu.max'
}

@test "5.1 what would be written on v2" {
    local percent=$((200 + RANDOM % 700))
    play "it --show 2 50; it --show 2 150; it --show 2 $percent"
    see "quota and period in one line, for 50%" '^cpu.max 50000 100000$'
    see "and for 150%" '^cpu.max 150000 100000$'
    see "and for $percent%" "^cpu.max ${percent}000 100000\$"
    see_not "nothing of v1" 'cfs'
}

@test "5.1 the kernel has the limit when the command starts" {
    needs groups
    play 'hold sleep 30 sleep 600
          for file in $(find /sys/fs/cgroup -path "*/cpulimit-*/cpu.max" -o -path "*/cpulimit-*/cpu.cfs_quota_us"); do
              echo "${file##*/} $(cat $file)" | fact; done'
    see_fact "a quota of 30000 microseconds" '^cpu.(max|cfs_quota_us) 30000( 100000)?$'
}

@test "5.2 the command is in the group, in every hierarchy of it, and what it starts as well" {
    needs groups
    play 'hold sleep 40 bash -c "sleep 600; true"; fact groups </proc/$pid/cgroup'
    see_fact "a group of its own" '^groups [0-9]+:([^:]*\bcpu\b[^:]*|):/cpulimit-[0-9]+'
    see_no_fact "the group on v1 for cpuacct as well" '^groups [0-9]+:[^:]*cpuacct[^:]*:/(shell|[^c]|$)'
}

@test "5.2 the command is held back" {
    needs groups
    # With 20% of a CPU, 200 ms of CPU time (20 ticks, fields 14 and 15 of proc(5)) take a second, and
    # on a busy machine longer.
    play 'begun=${EPOCHREALTIME/./}
          it 20 bash -c "while read -ra stat </proc/self/stat; [ \$((stat[13] + stat[14])) -lt 20 ]; do :; done"
          echo "took $(((${EPOCHREALTIME/./} - begun) / 1000)) ms" | fact'
    local took
    took=$(sed -nE 's/^took ([0-9]+) ms$/\1/p' <<<"$facts")
    [ "${took:-0}" -ge 800 ] || complain "200 ms of CPU time take 1000 ms, or nearly"
}

@test "5.3 usage and throttling are reported, as the kernel counts them" {
    needs groups
    # Until it was held back once: on a busy machine that takes longer.
    play "$OWN"'it 10 bash -c "for i in {1..200}; do for j in {1..5000}; do :; done
                    [[ \$(own cpu.stat) == *nr_throttled\ 0* ]] || break; done; own cpu.stat; times >least"
                times >most; (head -n 1 least; tail -n 1 most) | fact'
    local used held_back inside least most
    used=$(sed -nE 's/^used ([0-9]+) us, .*/\1/p' <<<"$output")
    held_back=$(sed -nE 's/^used .*, held back in ([0-9]+) of [0-9]+ periods$/\1/p' <<<"$output")
    inside=$(sed -nE 's/^nr_throttled ([0-9]+)$/\1/p' <<<"$output")
    # Of the command itself, and of all children, among which the program is. To the millisecond.
    { read -r least && read -r most; } < <(tr -d ms <<<"$facts" | awk '{ print int(($1 + $2) * 1000000) }')
    [ "${used:-0}" -gt 0 ] && [ "$used" -ge $((least - 20000)) ] && [ "$used" -le $((most + 20000)) ] ||
        complain "between $least and $most microseconds used, which is what times(2) says"
    [ "${held_back:-0}" -ge "${inside:-1}" ] && [ "$held_back" -ge 1 ] ||
        complain "held back in as many periods as the group itself has read, or more"
}

@test "5.3 a command that wants little is not held back" {
    needs groups
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
    needs groups
    # A process that was killed keeps its name until PID 1 has waited for it, but no command line.
    # One of them is deaf to SIGTERM.
    play 'it 50 bash -c "setsid sleep 600 & (trap \"\" TERM; exec sleep 601) & until [ -e end ]; do sleep 0.05; done; exit 3" &
          holder=$!
          until [ "$(pgrep -cf "^sleep 6")" = 2 ] || ! kill -0 $holder 2>/dev/null; do sleep 0.02; done
          for pid in $(pgrep -f "^sleep 6"); do grep -m 1 -o cpulimit /proc/$pid/cgroup; done | sort | uniq -c | fact
          >end; wait $holder; echo "status $?" | fact
          echo "$(pgrep -cf "^sleep 6") left" | fact; (find /sys/fs/cgroup -name "cpulimit-*"; echo end) | fact'
    see_fact "two processes in the group before the command ends" '^ *2 cpulimit$'
    see_fact "the status of the command" '^status 3$'
    see_fact "no process" '^0 left$'
    see_no_fact "no group" '/cpulimit'
    see_fact "the script to reach its end" '^end$'
}

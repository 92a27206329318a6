#!/usr/bin/env bash
# Whether `make test` passes whatever else happens on the machine: tests play while mounts, links, groups and files come
# and go, another checkout is tested, all experiments are played again and again, and two processes are busy.
#
#     sudo tests/disturbed.sh [FILE]...       all tests by default; RUNS=N times
#
# The machine in which all of this happens is one of tests/machine itself, so that the real one notices nothing.
# LABS and UNIT are those of the Makefile.
set -uo pipefail
tests=$(dirname "$(realpath "$0")")
repository=${tests%/tests}
if [ "${1:-}" != --inside ]; then exec "$tests/machine" "$0" --inside "$@"; fi
shift
cd "$repository" || exit
export LABS=${LABS:-$repository/labs} UNIT=${UNIT:-$repository/build/tests/unit} LAB_MUST_RUN=1

# Each disturbance notes a line for each of its rounds, and ends after the round in which $notes/end comes to be.
notes=$(mktemp -d)
goes_on() { [ ! -e "$notes/end" ]; }

come_and_go() {
    local group
    group=$(findmnt -nro TARGET -t cgroup,cgroup2 | head -n 1)/disturbance
    mount -t tmpfs tmpfs /mnt
    while goes_on; do
        mount -t tmpfs tmpfs /mnt && umount /mnt &&
            ip link add disturbance type veth peer name disturbed && ip link del disturbance &&
            ip netns add disturbance && ip netns del disturbance &&
            mkdir "$group" && rmdir "$group" &&
            touch /run/disturbance /tmp/disturbance && rm /run/disturbance /tmp/disturbance &&
            sysctl -qw net.ipv4.ip_forward=1 && sysctl -qw net.ipv4.ip_forward=0 &&
            echo >>"$notes/come_and_go"
        sleep 0.02
    done
}

# Whether the other checkout passes is not looked at. It begins with the objects of this one.
test_another() {
    mkdir /tmp/another
    { git -c safe.directory='*' ls-files -z
        find build/.[a-z]* build/*.a build/{common,labs,starters,tests} labs -type f -print0; } |
        sort -zu | tar --null --files-from=- -cf - | tar -C /tmp/another -xf -
    make -s -C /tmp/another all test-programs || return
    while goes_on; do
        LABS=/tmp/another/labs UNIT=/tmp/another/build/tests/unit JOBS=1 /tmp/another/tests/run >"$notes/another" 2>&1 &
        echo $! >"$notes/test_another"
        wait
    done
}

tour() {
    local lab
    while goes_on; do
        for lab in "$LABS"/0[0-9]_*; do
            if [ -x "$lab" ]; then "$lab" >/dev/null; fi
        done
        echo >>"$notes/tour"
    done
}

come_and_go >"$notes/come_and_go.words" 2>&1 &
loops=$!
test_another >"$notes/test_another.words" 2>&1 &
loops+=" $!"
tour >"$notes/tour.words" 2>&1 &
loops+=" $!"
"$LABS/busy" -j 1 &
busy=$!
"$LABS/busy" -j 1 &
busy+=" $!"
# One that has ended is told below.
# shellcheck disable=SC2086 # several
until [ -s "$notes/come_and_go" ] && [ -s "$notes/test_another" ] || ! kill -0 $loops; do sleep 0.1; done

status=0
for ((run = 0; run < ${RUNS:-1}; run++)); do tests/run "$@" || status=1; done

touch "$notes/end"
if [ -s "$notes/test_another" ]; then kill -TERM "$(cat "$notes/test_another")"; fi
# shellcheck disable=SC2086 # several
kill -KILL $busy
wait
for disturbance in come_and_go test_another tour; do
    if [ -s "$notes/$disturbance" ]; then
        echo "# disturbed by $(wc -l <"$notes/$disturbance") rounds of $disturbance"
    else
        echo "# not disturbed, $disturbance has had no round: $(tail -n 3 "$notes/$disturbance.words")"
        status=1
    fi
done
exit "$status"

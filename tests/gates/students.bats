#!/usr/bin/env bats
# What a student meets: the commands, and what becomes of programs that misbehave.

load ../helpers

setup() {
    machine_before
    WORK=$BATS_TEST_TMPDIR/work
}

teardown() { machine_after; }

REPO=${BATS_TEST_FILENAME%/tests/*}

# student TARGET...: make, with files of our own to work on.
student() { make -s -C "$REPO" "$@" WORK="$WORK" 3>&-; }

# Write the program of exercise 01: BODY instead of what it should do.
program_does() {
    mkdir -p "$WORK"
    printf '#include "exercise.h"\n#include <signal.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\nint main(void)\n{\n    %s\n}\n' \
        "$1" >"$WORK/01_chroot.c"
}

# What is promised for a machine that is not overloaded; this one may be, so it is given more.
within_20_seconds() {
    local seconds=$((SECONDS - $1))
    echo "# stopped after $seconds seconds" >&3
    [ "$seconds" -le $((60 * SLOW)) ] || fail "stopped after $seconds seconds"
}

# What stands before the checks that `misbehaves` makes: the words that make them those of an ordinary user.
AS=()

# misbehaves WORDS BODY: checked alone (one check of exercise 01), it is stopped within 20 seconds,
# and the report has WORDS.
misbehaves() {
    local words=$1 before=$SECONDS
    program_does "$2"
    "$REPO/tests/kit/exercise.sh" build 01 "$WORK/01_chroot.c" "$WORK/01_chroot" 3>&-
    run "${AS[@]}" env ONLY='^1.1 the loader' "$REPO/tests/kit/exercise.sh" try 01 "$WORK/01_chroot"
    assert_line --partial "not ok 1 1.1"
    assert_line --partial "$words"
    within_20_seconds "$before"
}

@test "student: begin, TODOs, hints, the answer at the end" {
    run -0 student exercise-01
    assert_line "    1.1 find the path of the loader: the segment PT_INTERP"
    run -2 student check-01
    assert_line --regexp '^  FAIL  TODO 1\.1 '
    assert_line --partial "TODO 1.1 is not written yet"
    assert_line "0 of 4 TODOs hold: 0 of 7 points"
    run -0 student hint-01
    assert_line --index 0 --regexp '^TODO 1\.1, hint 1 of [0-9]+:$'
    run -0 student hint-1
    assert_line --index 0 --regexp '^TODO 1\.1, hint 2 of [0-9]+:$'
    # The next TODO's only when those of the first one that does not hold are used up, and with a word.
    while [[ $output != *'TODO 1.2, hint'* ]]; do
        run -0 student hint-01
        assert_output --regexp '^(TODO 1\.1|There are no more hints for TODO 1\.1; .*
TODO 1\.2), hint [0-9]+ of [0-9]+:
'
    done
    run -2 student check-01 ONLY=1.1
    assert_line --partial '`it` is your program'
    run -2 student solution-01
    assert_line --partial "the answer is for after your own"
    run -0 student progress
    assert_line "01_chroot            0 of 4 TODOs hold, 0 of 7 points"
    assert_line "02_rootfs            not begun"

    cp "$REPO/solutions/01_chroot.c" "$WORK/01_chroot.c"
    run -0 student progress
    assert_line "01_chroot            changed since it was tried: make check-01"
    run -0 student check-01
    assert_line "4 of 4 TODOs hold: 7 of 7 points"
    run -0 student hint-01
    assert_line --index 0 "There are no more hints. They were:"
    echo >>"$WORK/01_chroot.c"
    run -2 student solution-01
    run -0 student check-01
    run -0 student solution-01
    assert_line "+++ the answer"
    assert_line --regexp '^-    // BEGIN SOLUTION 1\.1 '
}

@test "student: a number without its zero" {
    run -0 student exercise-3
    assert_line "    3.1 map our user to root: uid_map"
    run -2 student check-3
    assert_line --regexp '^  FAIL  TODO 3\.1 '
}

@test "student: watch checks again at each save, and ends when all holds" {
    run -0 student exercise-6
    timeout 400 make -s -C "$REPO" watch-6 WORK="$WORK" >"$TMPDIR/watch" 2>&1 3>&- &
    local watch=$!
    timeout 200 sh -c 'until grep -q "^make hint-06 helps" "$1"; do sleep 0.1; done' - "$TMPDIR/watch"
    cp "$REPO/solutions/06_cpu_shares.c" "$WORK/"
    wait "$watch"
    run cat "$TMPDIR/watch"
    rm "$TMPDIR/watch"
    assert_line "0 of 5 TODOs hold: 0 of 7 points"
    assert_line "5 of 5 TODOs hold: 7 of 7 points"
    assert_line "Exercise 06 holds. Next: make watch"
}

@test "hints: each function of the labs that they name is one that the exercise may call" {
    local file number name known
    for file in "$REPO"/tests/kit/hints/*.md; do
        number=$(basename "$file" .md)
        known=$(gcc -E -P -DEXERCISE="${number#0}" "$REPO/tests/kit/include/exercise.h")
        while read -r name; do
            grep -q "\b$name\b" <<<"$known" || fail "$file names $name, which exercise.h does not declare for $number"
        done < <(grep -oE '\b(lab_[a-z_]+|LAB_[A-Z_]+)' "$file" | sort -u)
    done
}

@test "hints: what they show as a command leaves no device behind" {
    run -0 sed -nE 's/.*`([^`]*ip link add [^`]*)`.*/\1/p' "$REPO"/tests/kit/hints/07.md
    assert_output
    local command=$output before
    before=$(ip -o link)
    run -0 sh -c "$command"
    assert_output --partial 'nla_type=IFLA_LINKINFO'
    assert_equal "$(ip -o link | wc -l)" "$(wc -l <<<"$before")"
}

@test "student: the answer is shown before with FORCE=1" {
    student exercise-01
    run -0 student solution-01 FORCE=1
    assert_line '-    lab_todo("1.1");'
    assert_line --partial "+            loader = image->bytes"
}

@test "student: a file of one's own is never overwritten; FORCE=1 keeps numbered copies" {
    student exercise-01
    echo "my work" >"$WORK/01_chroot.c"
    run -0 student exercise-01
    assert_output --partial "is there already and stays as it is"
    assert_equal "$(cat "$WORK/01_chroot.c")" "my work"
    run -0 student exercise-01 FORCE=1
    assert_line "Your file is kept as $WORK/01_chroot.c.~1~"
    echo "my second work" >"$WORK/01_chroot.c"
    run -0 student exercise-01 FORCE=1
    assert_line "Your file is kept as $WORK/01_chroot.c.~2~"
    assert_equal "$(cat "$WORK/01_chroot.c.~1~")" "my work"
    assert_equal "$(cat "$WORK/01_chroot.c.~2~")" "my second work"
    grep -q 'lab_todo("1.1");' "$WORK/01_chroot.c"
    run find "$WORK" -name '*.new.*'
    assert_output ""
}

@test "student: without a file, and with one that does not compile, there is one clear line" {
    run -2 student check-01
    assert_line "$WORK/01_chroot.c is not there: make exercise-01 makes it"
    program_does 'return missing;'
    run -2 student check-01
    assert_line --partial "'missing' undeclared"
    assert_line "$WORK/01_chroot.c does not build: see what the compiler says above"
}

# The files right below /, and when each of them changed.
files_of_root() { find / -maxdepth 1 -type f -printf '%p %C@\n' | sort; }

@test "student: where nothing can be written, nothing is left, and the program is not blamed" {
    local what before
    mkdir "$WORK"
    cp "$REPO/solutions/01_chroot.c" "$WORK/"
    before=$(files_of_root)
    for what in check-01 'check-01 ONLY=1.1' grade; do
        # shellcheck disable=SC2086 # words
        run -2 unshare --mount bash -c 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"' "$REPO/build" \
            make -s -C "$REPO" $what WORK="$WORK" 3>&-
        assert_output --partial "mktemp: "
        refute_output --regexp 'not build|All hold'
        assert_equal "$(files_of_root)" "$before"
    done
    # A full disk.
    # shellcheck disable=SC2016 # another shell expands it
    run -0 unshare --mount bash -c '
        mount -t tmpfs -o size=64k,mode=755 none "$1" && cp "$2/solutions/01_chroot.c" "$1" && mkdir "$1/.state" || exit
        cat /dev/zero >"$1/fill" 2>/dev/null
        for what in exercise-02 hint-02 check-01; do make -s -C "$2" "$what" WORK="$1" && exit 1; done
        cd "$1" && find . -type f | sort' - "$WORK" "$REPO" 3>&-
    refute_output --partial "not build"
    assert_output --partial "could not be tried, for the reason above, which is no fault of yours"
    assert_equal "$(grep '^[.]/' <<<"$output")" "./01_chroot.c
./fill"
}

@test "student: part of an exercise counts for itself" {
    mkdir "$WORK"
    awk -f "$REPO/tests/kit/cut.awk" -v todo=1.4 "$REPO/solutions/01_chroot.c" >"$WORK/01_chroot.c"
    run -2 student check-01
    assert_line --regexp '^  ok    TODO 1\.1 '
    assert_line --regexp '^  FAIL  TODO 1\.4 '
    assert_line "3 of 4 TODOs hold: 5 of 7 points"
}

@test "misbehaving: a program that hangs, takes no signal and has left its session" {
    AS=("$REPO/tests/student" range)
    misbehaves "stopped: it was still running after" \
        'for (int i = 1; i < 64; i++) { signal(i, SIG_IGN); } if (fork() == 0) { setsid(); } for (;;) { pause(); }'
}

@test "misbehaving: a whole exercise that hangs takes no longer; where it does not, its TODO holds" {
    local before=$SECONDS
    program_does 'for (;;) pause();'
    run -2 student check-01
    within_20_seconds "$before"
    assert_equal "$(grep -c 'stopped: it was still running after' <<<"$output")" 3
    # One that waits for another is not blamed.
    assert_line --regexp '^  --    TODO 1\.2 '
    assert_line '        - not tried: TODO 1.1 fails'
    assert_line --partial 'not tried: another check of this TODO did not come to an end'
    assert_line "0 of 4 TODOs hold: 0 of 7 points"

    before=$SECONDS
    mkdir "$WORK/part"
    awk -f "$REPO/tests/kit/cut.awk" -v todo=1.2 "$REPO/solutions/01_chroot.c" |
        sed 's/lab_todo("1.2");/for (;;) pause();/' >"$WORK/part/01_chroot.c"
    run -2 make -s -C "$REPO" check-01 WORK="$WORK/part" 3>&-
    within_20_seconds "$before"
    assert_line --regexp '^  ok    TODO 1\.3 '
    assert_line --regexp '^  ok    TODO 1\.4 '
    assert_line "2 of 4 TODOs hold: 4 of 7 points"
}

@test "misbehaving: a program that wants all CPUs of a crowded machine gets what it would have had alone" {
    echo "9 9 9 100/200 1" >"$TMPDIR/crowd"
    mount --bind "$TMPDIR/crowd" /proc/loadavg
    run "$REPO/build/sandbox" --seconds=1 sh -c 'for i in 1 2 3 4 5 6 7 8; do while :; do :; done & done; wait' 3>&-
    umount /proc/loadavg
    rm "$TMPDIR/crowd"
    assert_output --regexp 'it was still running after ([0-9]|1[0-9]) seconds'
}

@test "misbehaving: a program that forks without end" {
    misbehaves "stopped: it wanted more than 256 processes at a time" 'for (;;) fork();'
    AS=("$REPO/tests/student" one)
    misbehaves "stopped: it wanted more than 256 processes at a time" 'for (;;) fork();'
}

@test "misbehaving: a program that prints without end" {
    misbehaves "stopped: it printed more than 256 kilobytes" 'for (;;) fprintf(stderr, "%1000s\n", "all work and no play");'
    misbehaves "stopped: it printed more than 8192 lines" 'for (int i = 0; i < 255000; i++) fputc(10, stderr); return 1;'
}

@test "misbehaving: a program whose words are a pattern of more files than there is memory for their names" {
    AS=(timeout -k 1 "$TOO_LONG" bash -c 'ulimit -v 1000000; exec "$@"' -)
    misbehaves 'note: SIGSEGV in /*/../*/../*' \
        'fputs("note: SIGSEGV in /*/../*/../*/../*/../*/../*/../*/../*\n", stderr); return 1;'
}

@test "misbehaving: a program that sends a socket along with its words, whose last owner is to wait for the other end" {
    local way
    gcc -x c -o "$TMPDIR/send" - <<'C'
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
int main(void)
{
    static char bytes[1 << 16];
    union { struct cmsghdr header; char space[CMSG_SPACE(sizeof(int))]; } sent = {{CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct iovec words = {"along\n", 6};
    struct msghdr message = {.msg_iov = &words, .msg_iovlen = 1, .msg_control = &sent, .msg_controllen = sizeof(sent)};
    struct linger linger = {1, 100000};
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);
    int other = socket(AF_INET, SOCK_STREAM, 0), one = socket(AF_INET, SOCK_STREAM, 0);
    if (listen(other, 1) || getsockname(other, (struct sockaddr *)&address, &size) || connect(one, (struct sockaddr *)&address, size))
        return 1;
    while (send(one, bytes, sizeof(bytes), MSG_DONTWAIT) > 0);
    memcpy(CMSG_DATA(&sent.header), &one, sizeof(one));
    if (setsockopt(one, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) || sendmsg(1, &message, 0) != 6 || close(one))
        return 1;
    return pause();
}
C
    for way in '' one; do
        run -124 ${way:+"$REPO/tests/student" "$way"} timeout -k 1 "$TOO_LONG" "$REPO/build/sandbox" --seconds=1 \
            --file="$TMPDIR/send" bash -c 'ip link set lo up; for i in 1 2 3; do /run/exercise/send & done; wait' 3>&-
        assert_equal "$(grep -c '^along$' <<<"$output")" 3
        assert_line --partial "stopped: it was still running after"
    done
    rm "$TMPDIR/send"
}

@test "misbehaving: a program that takes all memory" {
    local body='for (;;) { volatile char *p = malloc(1 << 20); for (int i = 0; p && i < 1 << 20; i += 4096) p[i] = 1; }'
    misbehaves "stopped: it wanted more than 256 megabytes of memory" "$body"
    AS=("$REPO/tests/student" one)
    misbehaves "stopped: it wanted more than 256 megabytes of memory" "$body"
}

@test "misbehaving: a program that dies by a signal" {
    misbehaves "it was killed by SIGSEGV" 'raise(SIGSEGV);'
    misbehaves "it was killed by SIGABRT" 'abort();'
}

@test "misbehaving: a program that changes the host name" {
    misbehaves "note: it changed the host name to 'mine', here that of the sandbox only" \
        'return sethostname("mine", 4);'
}

@test "misbehaving: control groups in control groups are removed, however deep and whatever they are called" {
    # More levels than descriptors.
    run -0 bash -c 'ulimit -Sn 64; exec "$@"' - "$REPO/build/sandbox" bash -c '
        cd /sys/fs/cgroup/pids 2>/dev/null || cd /sys/fs/cgroup
        mkdir -p .hidden/a/b .hidden/c other/d other/e shell/threaded || exit
        [ ! -e shell/threaded/cgroup.type ] || echo threaded >shell/threaded/cgroup.type || exit
        name=$(printf "%0100d" 0)
        for depth in $(seq 100); do mkdir $name && cd $name || exit; done
        echo made' 3>&-
    assert_output made
    run -1 compgen -G '/sys/fs/cgroup/container-labs/sandbox-*'
    run -1 compgen -G '/sys/fs/cgroup/*/container-labs/sandbox-*'
}

@test "misbehaving: each of many control groups takes no longer to remove than one, and nobody waits for it" {
    run -0 strace -qq -o "$TMPDIR/trace" -e trace=getdents64,rmdir,flock,write "$REPO/build/sandbox" bash -c '
        cd /sys/fs/cgroup/cpu/shell 2>/dev/null || cd /sys/fs/cgroup/shell || exit
        if [ -e cgroup.max.depth ]; then pairs=200; else pairs=400; fi
        seq -f %g/y $pairs | xargs mkdir -p && echo $pairs' 3>&-
    # Of the lists of groups it reads what each needs, however many neighbours that has.
    run -0 awk -v "most=$((output * 8000))" '/^getdents64/ { bytes += $NF }
        END { print bytes; exit bytes > most }' "$TMPDIR/trace"
    # It writes no limit of CPU time where there is none. They are gone when it locks out other runs.
    run -0 awk '/^write.*"-1"/ { lifted++ } /^flock/ { left = 0 } /^rmdir.*\/y"/ { left++; all++ }
        END { print lifted + 0, left, (all > 100) }' "$TMPDIR/trace"
    assert_output "0 0 1"
    rm "$TMPDIR/trace"
}

@test "misbehaving: processes in a group that has next to no CPU time, which they need to end" {
    local before=$SECONDS
    run -124 "$REPO/build/sandbox" --seconds=1 bash -c '
        cd /sys/fs/cgroup/cpu 2>/dev/null || cd /sys/fs/cgroup
        mkdir x || exit
        for process in $(seq 120); do sleep 1000 & echo $! >x/cgroup.procs || exit; done
        if [ -e x/cpu.max ]; then
            echo "1000 1000000" >x/cpu.max
        else
            echo 1000000 >x/cpu.cfs_period_us && echo 1000 >x/cpu.cfs_quota_us
        fi || exit
        wait' 3>&-
    assert_equal "${#lines[@]}" 1
    assert_output --partial "stopped: it was still running after"
    within_20_seconds "$before"
}

@test "misbehaving: files, settings, the clock and processes of the machine are out of reach" {
    sleep 60 3>&- &
    local victim=$! way
    for way in '' one range; do
        run -0 ${way:+"$REPO/tests/student" "$way"} "$REPO/build/sandbox" bash -c '
        for file in /etc/passwd /usr/bin/env /home/new '"$REPO"'/Makefile; do
            touch "$file" 2>/dev/null && echo "reached $file"; done
        echo 1 2>/dev/null >/proc/sys/vm/swappiness && echo "reached swappiness"
        (echo h >/proc/sysrq-trigger) 2>/dev/null && echo "reached sysrq"
        date -s "2001-01-01" >/dev/null 2>&1 && echo "reached the clock"
        kill '"$victim"' 2>/dev/null && echo "reached a process"
        ip link | grep -v -e "^1: lo:" -e "^ " && echo "reached a device"
        mkdir /sys/fs/cgroup/devices/reached 2>/dev/null && echo "reached a cgroup"
        echo done' 3>&-
        assert_output "done"
    done
    kill "$victim"
}

@test "sandbox: what fails, outside or inside, is told, and ends it" {
    local call
    for call in setns fchdir open_tree close_range sethostname sendfile; do
        run -1 timeout -k 1 "$TOO_LONG" strace -f -qq -o /dev/null -e "inject=$call:error=EIO" \
            "$REPO/build/sandbox" --result="$TMPDIR/result" cp /bin/true /tmp/result 3>&-
        assert_output --partial "EIO (Input/output error)"
        refute_output --partial "remove"
        [ ! -e "$TMPDIR/result" ]
    done
    # By then it looks at the processes inside, which without a group are all that it counts.
    run -1 "$REPO/tests/student" one timeout -k 1 "$TOO_LONG" strace -qq -o /dev/null \
        -e inject=getdents64:error=EIO:when=12+ "$REPO/build/sandbox" sleep 5 3>&-
    assert_output --partial "look at the processes inside: EIO (Input/output error)"
    mkdir "$TMPDIR/layers"
    # For what mounts /proc, and for the command.
    for call in 1 2; do
        run -1 timeout -k 1 "$TOO_LONG" strace -f -qq -o /dev/null -e "inject=wait4:error=ECHILD:when=$call" \
            "$REPO/build/sandbox" --layers="$TMPDIR/layers" true 3>&-
        assert_line --regexp '^sandbox: wait for process [0-9]*: ECHILD'
    done
    rmdir "$TMPDIR/layers"
    # What cannot be made does not cost what is there.
    echo old >"$TMPDIR/result"
    run -1 "$REPO/build/sandbox" --result="$TMPDIR/result" false 3>&-
    assert_equal "$(cat "$TMPDIR/result")" old
    rm "$TMPDIR/result"
}

@test "sandbox: a program is not blamed for a sandbox that fails, and makes none look as if it had" {
    local when what
    program_does 'puts("sandbox: clone3: EAGAIN (Resource temporarily unavailable)"); return 1;'
    cp "$REPO/build/sandbox" "$REPO/build/guard" "$TMPDIR/"
    for when in --result= --program=; do
        printf '#!/bin/bash\ncase "$*" in *%s*) exec strace -f -qq -o /dev/null -e inject=clone3:error=EAGAIN %s "$@" ;; esac\nexec %s "$@"\n' \
            "$when" "$TMPDIR/sandbox"{,} >"$TMPDIR/failing"
        chmod +x "$TMPDIR/failing"
        for what in check-01 'check-01 ONLY=1.1' grade; do
            # shellcheck disable=SC2086 # words
            run -2 unshare --mount bash -c 'mount --bind "$0" "$1/build/sandbox" && shift && exec "$@"' "$TMPDIR/failing" "$REPO" \
                make -s -C "$REPO" $what WORK="$WORK" 3>&-
            assert_output --partial "sandbox: clone3: EAGAIN (Resource temporarily unavailable)"
            refute_output --regexp 'FAIL|not build|/7'
        done
    done
    rm "$TMPDIR"/{sandbox,guard,failing}
    run -0 student grade
    assert_line --regexp '^01_chroot +0/4 +0/7 *$'
    # It ends all that is inside, itself included.
    program_does $'#include <sys/syscall.h>\nreturn syscall(SYS_reboot, 0xfee1dead, 672274793, 0x1234567, 0);'
    run -2 student check-01
    assert_line --regexp '^  FAIL  TODO 1\.1 '
    assert_line --partial '(status 129)'
}

@test "sandbox: killed in the middle, it leaves nothing" {
    local way pid attempt
    for way in '' one range; do
        ${way:+"$REPO/tests/student" "$way"} "$REPO/build/sandbox" sleep 60 3>&- &
        pid=$!
        for attempt in $(seq 100); do pgrep -f "^sleep 60$" >/dev/null && break; sleep 0.05; done
        [ "$attempt" -lt 100 ]
        kill -KILL "$pid"
        wait "$pid" || true
        wait_until_gone "$(pgrep -f "^sleep 60$" || echo none)"
    done
}

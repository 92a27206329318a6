#!/usr/bin/env bats
# Cheats and attacks: none gets a point, none reads what is not its own, none harms the machine. Each is a file
# that a student could hand in.

load ../helpers
load ../cgroups

# machines: 2

REPO=${BATS_TEST_FILENAME%/tests/*}

setup() {
    machine_before
    WORK=$TMPDIR/work
    mkdir "$WORK"
    cd "$REPO" || return
    # A file of root, such as /etc/shadow, with a line that no report may have.
    SECRET=$(mktemp /etc/secret-XXXXXX) # machines share /etc, and have the same PIDs
    echo "secret-of-root:x" >"$SECRET"
}

teardown() {
    rm -rf "$SECRET" "$WORK"
    machine_after
}

# file NN: the student's file of exercise NN comes from stdin.
file() {
    name=$(basename solutions/"$1"_*.c .c)
    cat >"$WORK/$name.c"
}

# with_main NN: stdin is the body of main() in the student's file.
with_main() {
    local body
    body=$(cat)
    file "$1" <<C
#include "exercise.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char *argv[])
{
    (void)argc;
    $body
}
C
}

# does_not_build WORDS: the compiler refuses the student's file of exercise $number, with these words.
does_not_build() {
    run tests/kit/exercise.sh build "${name%%_*}" "$WORK/$name.c" "$WORK/$name"
    [ "$status" -ne 0 ] || fail "it builds"
    [ ! -s "$WORK/$name" ]
    assert_output --partial "$1"
    refute_output --partial secret-of-root
    refute_output --partial "BEGIN SOLUTION"
}

# inside: what the student's program prints when it is run in the sandbox: of root, and the same in that of an ordinary
# user, without further IDs and with some.
inside() {
    local way of_root
    tests/kit/exercise.sh build "${name%%_*}" "$WORK/$name.c" "$WORK/$name"
    run build/sandbox --program="$WORK/$name" bash -c '"$PROGRAM" "$@"; echo "status $?"' - "$@" 3>&-
    refute_output --partial secret-of-root
    of_root=$output
    for way in one range; do
        run tests/student "$way" build/sandbox --program="$WORK/$name" \
            bash -c '"$PROGRAM" "$@"; echo "status $?"' - "$@" 3>&-
        assert_equal "$output" "$of_root"
    done
}

# no_points: not one TODO of the student's file holds.
no_points() {
    run make -s "check-${name%%_*}" WORK="$WORK" 3>&-
    assert_output --regexp '0 of [0-9]+ TODOs hold|does not build'
    refute_output --partial secret-of-root
}

# region N.M: the solution, but the region is what stdin has.
region() {
    name=$(basename solutions/0"${1%.*}"_*.c .c)
    cat >"$TMPDIR/lines"
    awk -v name="$1" -v lines="$TMPDIR/lines" '
        /BEGIN SOLUTION/ && $4 == name { while ((getline line <lines) > 0) print line; cut = 1 }
        !cut { print }
        /END SOLUTION/ { cut = 0 }' "solutions/$name.c" >"$WORK/$name.c"
    rm "$TMPDIR/lines"
}

# todo_fails N.M [WORDS]: that TODO does not hold.
todo_fails() {
    run make -s "check-0${1%.*}" WORK="$WORK" 3>&-
    assert_line --regexp "^  (FAIL|--  )  TODO $1 "
    if [ $# -gt 1 ]; then assert_output --partial "$2"; fi
}

@test "compiling: a file of root is not included" {
    file 03 <<<"#include \"$SECRET\""
    does_not_build "Permission denied"
    file 03 <<<'#include "/etc/shadow"'
    does_not_build "Permission denied"
}

@test "compiling: a file of root is not assembled into the program" {
    file 03 <<<"__asm__(\".incbin \\\"$SECRET\\\"\"); int main(void) { return 0; }"
    does_not_build "file not found"
}

@test "compiling: the solutions are not there, by a relative and by an absolute path" {
    file 03 <<<'#include "../solutions/03_unshare.c"'
    does_not_build "No such file"
    file 03 <<<"#include \"$REPO/solutions/03_unshare.c\""
    does_not_build "No such file"
    file 03 <<<"__asm__(\".incbin \\\"$REPO/solutions/03_unshare.c\\\"\"); int main(void) { return 0; }"
    does_not_build "file not found"
    no_points
}

@test "compiling: no code of the labs is in the program that it may not call, and does not need" {
    run -0 nm "$REPO/build/exercise-05.o"
    assert_line --regexp ' T lab_die$'
    refute_line --regexp ' (lab_cgroup_limit|lab_cgroup_enter|lab_cgroup_kill|lab_cgroup_remove|lab_cpu_sample)$'
    run -0 nm "$REPO/build/exercise-03.o"
    refute_line --regexp ' (map_own|lab_map_.*)$'
}

@test "compiling: the labs' own headers are not there" {
    file 05 <<<'#include "cgroup.h"'
    does_not_build "No such file"
}

@test "compiling: one call of the library that gives the answer away is not linked" {
    local call
    for call in lab_cgroup_enter lab_cgroup_remove lab_cgroup_limit lab_group_enter; do
        file 05 <<<"int $call(void *, int); int main(void) { return $call(0, 0); }"
        does_not_build "undefined reference to \`$call'"
    done
    file 09 <<<"int lab_cgroup_limit(void *, void *); int main(void) { return lab_cgroup_limit(0, 0); }"
    does_not_build "undefined reference"
    file 04 <<<"int lab_namespace_named(void *); int main(void) { return lab_namespace_named(0); }"
    does_not_build "undefined reference"
}

@test "compiling: a link to a file of root is not followed" {
    name=03_unshare
    ln -s "$SECRET" "$WORK/$name.c"
    does_not_build "ELOOP"
    no_points
}

@test "compiling: what is not a file is not read" {
    name=03_unshare
    mkfifo "$WORK/$name.c"
    run timeout 300 make -s check-03 WORK="$WORK" 3>&-
    assert_output --partial "is not a file"
    rm "$WORK/$name.c"
    mkdir "$WORK/$name.c"
    run timeout 300 make -s check-03 WORK="$WORK" 3>&-
    assert_output --partial "is not a file"
}

@test "compiling: a file without end, one that includes itself, a program that is too large" {
    file 03 <<<'#include "/dev/zero"'
    does_not_build "stopped: it wanted more than 256 megabytes of memory"
    file 03 <<<'#include __FILE__'
    does_not_build "#include nested depth"
    file 03 <<<'char large[200 << 20] = {1}; int main(void) { return 0; }'
    run tests/kit/exercise.sh build 03 "$WORK/$name.c" "$WORK/$name"
    [ "$status" -ne 0 ] && [ ! -s "$WORK/$name" ]
}

@test "compiling: the words of the compiler have no control characters" {
    printf 'int main(void) { return \033]0;owned\007; }\n' | file 03
    run tests/kit/exercise.sh build 03 "$WORK/$name.c" "$WORK/$name"
    [ "$status" -ne 0 ]
    refute_output --regexp $'[\001-\010\013-\037]'
}

@test "another program: ip(8) by system(3)" {
    with_main 07 <<<'char c[512] = "/usr/sbin/ip link"; for (int i = 1; i < argc; i++) { strcat(c, " "); strcat(c, argv[i]); } return system(c);'
    no_points
    assert_output --partial "not allowed: it ran /usr/bin/"
}

@test "another program: ip(8) by exec and by posix_spawn" {
    region 7.1 <<<'    execlp("ip", "ip", "link", "add", name, "type", "veth", "peer", "name", peer, (char *)NULL);'
    todo_fails 7.1 "not allowed: it ran"
    region 7.1 <<<'    extern int posix_spawnp(); extern char **environ; pid_t pid; char *words[] = {"ip", "link", "add", (char *)name, "type", "veth", "peer", "name", (char *)peer, NULL}; posix_spawnp(&pid, "ip", NULL, NULL, words, environ); lab_wait(pid); exit(0);'
    todo_fails 7.1 "not allowed: it ran"
}

@test "another program: busybox, which has ip, unshare and nsenter in it" {
    region 7.1 <<<'    execlp("busybox", "busybox", "ip", "link", "add", name, "type", "veth", "peer", "name", peer, (char *)NULL);'
    todo_fails 7.1 "not allowed: it ran"
}

@test "another program: unshare(1) and setpriv(1) instead of exercise 3" {
    with_main 03 <<<'char *words[64] = {"unshare", "--user", "--map-root-user", "--uts", "--mount-proc", "--pid", "--fork"}; for (int i = 1; i < argc; i++) words[6 + i] = argv[i]; execvp(words[0], words); return 1;'
    no_points
    assert_output --partial "not allowed: it ran /usr/bin/unshare"
}

@test "another program: nsenter(1) instead of exercise 4" {
    with_main 04 <<<'char *words[64] = {"nsenter", "--all", "--target", argv[1]}; for (int i = 2; i < argc; i++) words[2 + i] = argv[i]; execvp(words[0], words); return 1;'
    run make -s check-04 WORK="$WORK" 3>&-
    assert_output --partial "not allowed: it ran /usr/bin/nsenter"
    assert_line --regexp '^0 of '
}

@test "another program: by the name of the command" {
    with_main 04 <<<'symlink("/usr/bin/nsenter", "/tmp/hostname"); execl("/tmp/hostname", "hostname", "--all", "--target", argv[1], argv[2], (char *)NULL); return 1;'
    todo_fails 4.1 "not allowed: it ran"
    with_main 03 <<<'execl("/usr/bin/unshare", "id", "-u", (char *)NULL); return 1;'
    inside id -u
    assert_output --partial "not allowed: it ran /usr/bin/unshare"
}

@test "another program: a file of its own that is called busybox, and the end of the command" {
    with_main 03 <<'C'
static char bytes[1 << 20];
if (getenv("AGAIN")) { puts("went on"); return 0; }
ssize_t count = read(open("/proc/self/exe", O_RDONLY), bytes, sizeof(bytes));
int to = open("/tmp/busybox", O_CREAT | O_WRONLY, 0755);
if (write(to, bytes, count) != count || close(to) || setenv("AGAIN", "", 1)) return 1;
execv("/tmp/busybox", argv + 1); return 1;
C
    inside id -u
    assert_line --partial "not allowed: it ran /tmp/busybox. "
    refute_line "went on"
    with_main 03 <<<'dprintf(open("/tmp/made", O_CREAT | O_WRONLY, 0644), "echo went on\n"); execv("/bin/sh", argv + 2); return 1;'
    inside echo sh /tmp/made
    assert_line --partial "not allowed: it ran /usr/bin/"
    refute_line "went on"
}

@test "another program: a copy of ip(8) in memory" {
    with_main 07 <<<'int from = open("/usr/sbin/ip", O_RDONLY), to = memfd_create("mine", 0); static char b[1 << 22]; ssize_t n; while ((n = read(from, b, sizeof(b))) > 0) if (write(to, b, (size_t)n) < 0) return 1; argv[0] = "link"; char *words[64] = {"ip"}; for (int i = 0; i < argc; i++) words[i + 1] = argv[i]; extern char **environ; fexecve(to, words, environ); return 1;'
    no_points
    assert_output --partial "not allowed: it ran /memfd:mine"
}

@test "another program: a child that is not traced" {
    with_main 07 <<<'if (syscall(SYS_clone, CLONE_UNTRACED | SIGCHLD, 0, 0, 0, 0) == 0) execlp("ip", "ip", "link", (char *)NULL); wait(NULL); puts("went on"); return 0;'
    inside
    assert_line "not allowed: it called clone with CLONE_UNTRACED"
    refute_line "went on"
    with_main 07 <<<'unsigned long long c[11] = {CLONE_UNTRACED, 0, 0, 0, SIGCHLD}; if (syscall(SYS_clone3, c, 64) == 0) execlp("ip", "ip", "link", (char *)NULL); wait(NULL); puts("went on"); return 0;'
    inside
    assert_line "not allowed: it called clone with CLONE_UNTRACED"
    refute_line "went on"
}

@test "another program: brought in by the environment of the command" {
    with_main 03 <<<'setenv("LD_PRELOAD", "/tmp/mine.so", 1); execvp(argv[1], argv + 1); return 1;'
    inside id -u
    assert_line "not allowed: it set LD_PRELOAD=/tmp/mine.so for the command"
    with_main 03 <<<'setenv("SHELLOPTS", "xtrace", 1); setenv("PS4", "$(echo forged >&2)", 1); execvp(argv[1], argv + 1); return 1;'
    inside bash -c true
    assert_line "not allowed: it set SHELLOPTS=xtrace for the command"
    refute_line forged
    with_main 03 <<<'setenv("PS4", "$(echo forged >&2)", 1); execvp(argv[1], argv + 1); return 1;'
    inside bash -xc true
    assert_line --partial 'not allowed: it set PS4=$(echo'
    refute_line forged
    with_main 03 <<<'mkdir("/tmp/bin", 0755); int f = open("/tmp/bin/cat", O_CREAT | O_WRONLY, 0755); dprintf(f, "#!/bin/sh\necho forged\n"); close(f); setenv("PATH", "/tmp/bin:/usr/bin", 1); execvp(argv[1], argv + 1); return 1;'
    inside sh -c 'cat /dev/null'
    assert_line --partial "not allowed: it set PATH=/tmp/bin"
    refute_line forged
}

@test "another program: the student's does not begin where it cannot be traced" {
    with_main 08 <<<'puts("it ran"); return 0;'
    tests/kit/exercise.sh build 08 "$WORK/$name.c" "$WORK/$name"
    # strace is the one that traces.
    run timeout -k 1 "$TOO_LONG" strace -f -qq -o /dev/null build/sandbox --program="$WORK/$name" \
        bash -c '"$PROGRAM"; echo "status $?"; sleep 0.3' 3>&-
    assert_output "$name: trace the program: EPERM (Operation not permitted)"$'\n'"status 1"
}

@test "another program: by way of one that is allowed" {
    with_main 08 <<<'setenv("X", "forged", 1); execlp("env", "env", "sh", "-c", "echo $X; ip link", (char *)NULL); return 1;'
    tests/kit/exercise.sh build 08 "$WORK/$name.c" "$WORK/$name"
    run env EXERCISE_MAY_RUN="env" build/sandbox --program="$WORK/$name" bash -c '"$PROGRAM"' 3>&-
    assert_output --regexp '^not allowed: it ran /[^ ]*/[a-z]+\. '
    refute_output --partial forged
}

@test "another program: registered for all of the user namespace, by binfmt_misc" {
    with_main 07 <<<'mount("b", "/tmp", "binfmt_misc", 0, NULL); puts("went on"); return 0;'
    inside
    assert_line "not allowed: it mounted binfmt_misc, by which it could replace other programs"
    refute_line "went on"
    with_main 07 <<<'int c = syscall(SYS_fsopen, "binfmt_misc", 0); printf("went on %d\n", c); return 0;'
    inside
    assert_line "not allowed: it mounted binfmt_misc, by which it could replace other programs"
    with_main 07 <<<'printf("mounted %d\n", mount("t", "/tmp", "tmpfs", 0, NULL)); return 0;'
    inside
    assert_line "mounted 0"
}

@test "another program: instead of the one with which a check looks" {
    with_main 07 <<<'int f = open("/tmp/ip", O_CREAT | O_WRONLY, 0755); dprintf(f, "#!/bin/sh\necho forged\n"); close(f); if (mount("/tmp/ip", "/usr/sbin/ip", NULL, MS_BIND, NULL) == 0) system("true"); return 0;'
    tests/kit/exercise.sh build 07 "$WORK/$name.c" "$WORK/$name"
    run build/sandbox --program="$WORK/$name" bash -c '"$PROGRAM"; ip -o link show lo' 3>&-
    refute_line forged
    assert_output --partial "LOOPBACK"
    # By way of the namespaces or the root directory of the check's own shell.
    with_main 07 <<<'char path[64]; for (int pid = 1; pid < 100; pid++) { snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid); int fd = open(path, O_RDONLY); if (fd != -1 && pid != getpid()) printf("reached %s\n", path); snprintf(path, sizeof(path), "/proc/%d/root/tmp", pid); if (pid != getpid() && pid != getppid() && access(path, F_OK) == 0) printf("reached %s\n", path); } return 0;'
    inside
    refute_output --partial reached
    assert_line "status 0"
}

@test "another program: a guard that cannot see, or wait for, what it guards ends with its errno" {
    local call
    mkdir "$TMPDIR/program"
    cp build/guard "$TMPDIR/prog"
    cp /bin/true "$TMPDIR/program/prog"
    for call in wait4:error=ECHILD:when=2 ptrace:error=EIO:when=5 ptrace:error=EIO:when=6; do
        run -1 timeout -k 1 "$TOO_LONG" strace -qq -o /dev/null -e "inject=$call" "$TMPDIR/prog" 3>&-
        assert_output --regexp "^prog: (wait for the program: ECHILD|let the program go on: EIO|look at a system call of the program: EIO) "
    done
    rm -r "$TMPDIR/prog" "$TMPDIR/program"
}

@test "another program: the guard's file is not replaced" {
    with_main 07 <<<'printf("%s %s %s\n", unlink(argv[0]) ? "kept" : "gone", open(argv[0], O_WRONLY | O_TRUNC) == -1 ? "kept" : "open", mount("tmpfs", "/run/exercise", "tmpfs", 0, NULL) == 0 ? "covered" : "not covered"); return 0;'
    tests/kit/exercise.sh build 07 "$WORK/$name.c" "$WORK/$name"
    run build/sandbox --program="$WORK/$name" bash -c '"$PROGRAM"; [ -x "$PROGRAM" ] && echo "still there"' 3>&-
    assert_line --partial "kept kept"
    assert_line "still there"
}

@test "another program: the memory of another process is not changed" {
    with_main 07 <<<'printf("%ld\n", ptrace(PTRACE_ATTACH, getppid(), NULL, NULL)); puts("went on"); return 0;'
    inside
    assert_line "not allowed: it changed the memory of another process"
    refute_line "went on"
}

@test "another program: no memory is read, of root and of an ordinary user: that of the check has its key" {
    local user
    with_main 03 <<<'char path[64]; for (int pid = 1; pid < 100; pid++) { snprintf(path, sizeof(path), "/proc/%d/mem", pid); if (pid != getpid() && open(path, O_RDONLY) != -1) printf("reached %s\n", path); } puts("looked"); return 0;'
    tests/kit/exercise.sh build 03 "$WORK/$name.c" "$WORK/$name"
    for user in --user ''; do
        # shellcheck disable=SC2086 # no word
        run -0 build/sandbox $user --program="$WORK/$name" bash -c '"$PROGRAM"; echo "status $?"' 3>&-
        assert_line looked
        assert_line "status 0"
        refute_output --partial reached
    done
}

@test "another program: killing the guard kills the program" {
    with_main 07 <<<'if (fork() == 0) { setsid(); kill(getppid(), SIGSTOP); } kill(getppid(), SIGKILL); usleep(300000); execlp("ip", "ip", "link", (char *)NULL); return 0;'
    tests/kit/exercise.sh build 07 "$WORK/$name.c" "$WORK/$name"
    run build/sandbox --program="$WORK/$name" bash -c '"$PROGRAM"; sleep 1; pgrep -c -f [p]rogram/' 3>&-
    refute_output --partial LOOPBACK
    assert_line 0
}

@test "the machine: files of root are not read while the program runs" {
    with_main 03 <<C
const char *files[] = {"$SECRET", "/etc/shadow", "/root/.bashrc", "/proc/1/environ", "/proc/1/root/etc/passwd", "$REPO/Makefile", "/home/x", NULL};
for (const char **f = files; *f; f++) { int fd = open(*f, O_RDONLY); char b[100] = ""; if (fd != -1 && read(fd, b, 99) > 0) printf("read %s: %s\n", *f, b); } return 0;
C
    inside
    refute_output --partial "read /"
    assert_line "status 0"
}

@test "the machine: the environment of the teacher is not handed on" {
    export LAB_TOKEN_OF_TEACHER=secret-of-root
    with_main 03 <<<'extern char **environ; for (char **e = environ; *e; e++) puts(*e); return 0;'
    inside
    assert_line "HOME=/tmp"
}

@test "the machine: mounts are locked" {
    with_main 01 <<'C'
static const char *const places[] = {"/", "/usr", "/etc", "/run/exercise"};
unshare(CLONE_NEWNS);
for (int i = 0; i < 4; i++) {
    if (mount(NULL, places[i], NULL, MS_REMOUNT | MS_BIND, NULL) == 0) printf("bind %s\n", places[i]);
    if (mount(NULL, places[i], NULL, MS_REMOUNT, NULL) == 0) printf("remount %s\n", places[i]);
    if (mount(NULL, places[i], NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0) printf("super block of %s\n", places[i]);
    if (i && umount2(places[i], MNT_DETACH) == 0) printf("umount %s\n", places[i]);
}
if (umount2("/proc", MNT_DETACH) == 0) puts("umount /proc");
mkdir("/tmp/copy", 0755);
if (mount("/usr", "/tmp/copy", NULL, MS_BIND | MS_REC, NULL) == 0 && mount(NULL, "/tmp/copy", NULL, MS_REMOUNT | MS_BIND, NULL) == 0) puts("copy");
if (open("/usr/written", O_CREAT | O_WRONLY, 0644) != -1 || open("/etc/written", O_CREAT | O_WRONLY, 0644) != -1 || mkdir("/written", 0755) == 0) puts("written");
puts("end"); return 0;
C
    inside
    assert_output $'end\nstatus 0'
}

@test "the machine: disks and other devices" {
    with_main 01 <<'C'
if (mknod("/tmp/disk", S_IFBLK | 0600, makedev(254, 0)) == 0) puts("made a block device");
if (mknod("/tmp/mem", S_IFCHR | 0600, makedev(1, 1)) == 0) puts("made /dev/mem");
mkdir("/tmp/dev", 0755);
const char *types[] = {"devtmpfs", "ext4", "debugfs", "tracefs", "securityfs", "configfs", NULL};
for (const char **t = types; *t; t++) if (mount("none", "/tmp/dev", *t, 0, NULL) == 0) printf("mounted %s\n", *t);
puts("end"); return 0;
C
    inside
    assert_output $'end\nstatus 0'
}

@test "the machine: settings, modules, the clock" {
    with_main 01 <<'C'
const char *files[] = {"/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/vm/swappiness", "/proc/sys/kernel/modprobe", "/sys/kernel/uevent_helper", "/proc/1/oom_score_adj", NULL};
mkdir("/tmp/proc", 0755); mount("proc", "/tmp/proc", "proc", 0, NULL);
for (const char **f = files; *f; f++) { char p[128]; snprintf(p, 128, "/tmp%s", *f); if (open(*f, O_WRONLY) != -1 || (f != files + 5 && open(p, O_WRONLY) != -1)) printf("opened %s\n", *f); }
struct timespec t = {0}; if (syscall(SYS_clock_settime, 0, &t) == 0) puts("clock");
if (syscall(SYS_init_module, "", 0, "") == 0) puts("module");
if (syscall(SYS_reboot, 0xfee1dead, 672274793, 0, 0) == 0) puts("reboot");
if (syscall(SYS_swapoff, "/tmp") == 0) puts("swapoff");
puts("end"); return 0;
C
    inside
    refute_output --partial opened
    assert_output $'end\nstatus 0'
}

# Where root inside has the only ID of the account, files of its group are its own, and it may leave the cgroup namespace.
# bats test_tags=v2
@test "the machine: without root, too, limits are not lifted, and the group of who checks is not reached" {
    has_v2 || { play_in_vm; return; }
    local where others
    export STUDENT=4242
    delegate
    for where in /shell ''; do
        # shellcheck disable=SC2016 # the shell in the sandbox expands it
        in_sandbox "$where" 'exec unshare --cgroup sh -c "echo max >/tmp/cg/memory.max; head -c 400M /dev/zero | tail | wc -c"'
        refute_line 419430400
        (echo "$BASHPID" >"$GROUP$where/cgroup.procs" && exec sleep 1000) 3>&- &
        others=$!
        # shellcheck disable=SC2016
        in_sandbox "$where" 'mkdir /tmp/cg/more && echo $$ >/tmp/cg/more/cgroup.procs && exec unshare --cgroup sh -c "echo 1 >/tmp/cg/cgroup.kill"'
        run grep '^State:' "/proc/$others/status"
        refute_line --partial Z
        kill -KILL "$others"
        wait "$others" || [ "$?" -eq 137 ]
        assert_equal "$(find "$GROUP" -mindepth 1 -type d)" "$GROUP/shell"
    done
    take_back
}

# in_sandbox WHERE SCRIPT: the user, whose shell is in the group $GROUP$WHERE, lets a script play in the sandbox.
in_sandbox() {
    # shellcheck disable=SC2016 # another shell expands it
    run sh -c 'echo $$ >"$0/cgroup.procs" && exec tests/student one "$@"' "$GROUP$1" \
        timeout -k 1 "$TOO_LONG" build/sandbox --seconds=60 bash -c 'mkdir /tmp/cg && mount -t cgroup2 none /tmp/cg && echo mounted; '"$2" 3>&-
    assert_line mounted
}

@test "the machine: its limits are not lifted, and other groups are not reached" {
    with_main 05 <<'C'
const char *roots[] = {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/pids/pids.max", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/memory/shell/memory.limit_in_bytes", "/sys/fs/cgroup/devices/devices.allow", NULL};
for (const char **f = roots; *f; f++) if (open(*f, O_WRONLY) != -1) printf("opened %s\n", *f);
const char *others[] = {"/sys/fs/cgroup/devices/mine", "/sys/fs/cgroup/freezer/mine", "/sys/fs/cgroup/unified/mine", NULL};
for (const char **d = others; *d; d++) if (mkdir(*d, 0755) == 0) printf("made %s\n", *d);
puts("end"); return 0;
C
    inside
    assert_output $'end\nstatus 0'
}

@test "the machine: processes outside are not killed" {
    # One of the user's own, too.
    sleep 60 3>&- &
    local victim=$! own
    setpriv --reuid=4242 --clear-groups sleep 60 3>&- &
    own=$!
    with_main 03 <<<"kill(-1, SIGKILL); kill($victim, SIGKILL); kill($own, SIGKILL); return 0;"
    inside
    kill "$victim" "$own"
}

@test "the machine: a program that reads trusted attributes does nothing else with that right" {
    with_main 02 <<'C'
int fd = open(".", O_RDONLY);
printf("mount %s\n", mount("tmpfs", "/tmp", "tmpfs", 0, NULL) ? strerror(errno) : "done");
printf("remount %s\n", mount(NULL, "/usr", NULL, MS_REMOUNT | MS_RDONLY, NULL) ? strerror(errno) : "done");
printf("freeze %s\n", syscall(SYS_ioctl, fd, 0xC0045877, 0) ? strerror(errno) : "done");
printf("bpf %s\n", syscall(SYS_bpf, 0, 0, 0) < 0 ? strerror(errno) : "done");
printf("unshare %s\n", unshare(CLONE_NEWNS) ? strerror(errno) : "done");
printf("name %s\n", sethostname("x", 1) ? strerror(errno) : "done");
printf("kill %s\n", kill(-1, 9) ? strerror(errno) : "done");
printf("fork %s\n", fork() < 0 ? strerror(errno) : "done");
printf("poison %s\n", madvise(NULL, 4096, MADV_HWPOISON) ? strerror(errno) : "done");
printf("write %s\n", open("made", O_CREAT | O_WRONLY, 0600) < 0 ? "refused" : "done");
printf("shadow %s\n", open("/etc/shadow", O_RDONLY) < 0 ? strerror(errno) : "done"); fflush(stdout);
execl("/bin/echo", "echo", "done", (char *)NULL); printf("echo %s\n", strerror(errno)); return 0;
C
    tests/kit/exercise.sh build 02 "$WORK/$name.c" "$WORK/$name"
    mkdir "$WORK/layers"
    run -0 build/sandbox --layers="$WORK/layers" --file="$WORK/$name" "/run/exercise/$name" 3>&-
    refute_output --partial "done"
    assert_equal "$(grep -c 'Operation not permitted' <<<"$output")" 9
    assert_line "shadow Permission denied"
    # By landlock(7), which is also a matter of the kernel's configuration.
    assert_line "echo Permission denied"
}

@test "sandbox: what the kernel counts by user is the sandbox's own, and neither root's nor the next one's" {
    local limit
    limit=$(cat /proc/sys/fs/inotify/max_user_instances)
    [ "$limit" -le 900 ] || skip "inotify instances are more than files (fs.inotify.max_user_instances)"
    local take='import ctypes, time; print(sum(ctypes.CDLL(None).inotify_init() >= 0 for _ in range('$limit')), flush=True)'
    local enough # others of root's may have some meanwhile
    enough=$(($(python3 -c "$take") / 2))
    [ "$enough" -gt 0 ]
    build/sandbox --seconds=60 python3 -c "$take; time.sleep(600)" >"$WORK/said" 3>&- &
    local sandbox=$!
    eventually grep -q . "$WORK/said"
    [ "$(python3 -c "$take")" -ge "$enough" ]
    # One in 256 has the same users.
    run -0 build/sandbox python3 -c "$take" 3>&-
    [ "$output" -ge "$enough" ] || run -0 build/sandbox python3 -c "$take" 3>&-
    [ "$output" -ge "$enough" ]
    kill "$sandbox"
    wait "$sandbox" || true
}

@test "sandbox: sockets that load modules of the machine, or keep memory that nothing counts, cannot be made" {
    make -s kit 3>&-
    local user
    for user in --user ''; do
        # AF_VSOCK, AF_CAN, UDP-Lite, SCTP by its type, iSCSI; then what an exercise needs.
        run -0 build/sandbox $user python3 -c '
import socket
for way in (40, 1, 0), (29, 3, 1), (2, 2, 136), (2, 5, 0), (16, 3, 8), (1, 5, 0), (2, 1, 0), (2, 2, 0), (16, 3, 0):
    try: socket.socket(*way) and print("made")
    except OSError as error: print(error.strerror)
for option in (socket.IPPROTO_TCP, 14), (263, 5): # TCP_MD5SIG, PACKET_RX_RING
    try: socket.socket().setsockopt(*option, bytes(216))
    except OSError as error: print(error.strerror)' 3>&-
        assert_output "Address family not supported by protocol
Address family not supported by protocol
Protocol not supported
Socket type not supported
Protocol not supported
made
made
made
made
Operation not permitted
Operation not permitted"
    done
}

@test "sandbox: what all of the machine shares, or loads modules, is refused as in a container" {
    make -s kit 3>&-
    local user
    for user in --user ''; do
        # io_setup(2); a filter of system calls with a listener; TIOCSETD.
        run -0 build/sandbox $user python3 -c '
import ctypes, fcntl, os, platform, socket
call = ctypes.CDLL(None, use_errno=True).syscall
intel = platform.machine() == "x86_64"
call(206 if intel else 0, 1000, ctypes.byref(ctypes.c_long()))
print(os.strerror(ctypes.get_errno()))
call(317 if intel else 277, 1, 8, 0)
print(os.strerror(ctypes.get_errno()))
try: fcntl.ioctl(1, 0x5423, b"\0\0\0\0")
except OSError as error: print(error.strerror)' 3>&-
        assert_output "Function not implemented
Operation not permitted
Operation not permitted"
    done
}

@test "sandbox: nothing inside makes the machine start its program for core dumps" {
    [ "$(ulimit -Hc)" != 0 ] || skip "the caller's own limit of core files is 0"
    make -s kit 3>&-
    local user
    for user in --user ''; do
        run -0 build/sandbox $user sh -c 'ulimit -c 0 && ulimit -n 100 && grep -E "core|open" /proc/self/limits' 3>&-
        assert_output --regexp '^Max core file size +1 +1 .*
Max open files +100 +100 '
    done
}

@test "sandbox: no key of who checks can be searched or revoked" {
    cc -D_GNU_SOURCE -o "$BATS_TEST_TMPDIR/with_key" -x c - <<'C'
#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char *argv[])
{
    return argc < 2 || syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0) == -1 ||
           syscall(SYS_add_key, "user", "token", "secret", 6, KEY_SPEC_SESSION_KEYRING) == -1 || execvp(argv[1], argv + 1);
}
C
    with_main 03 <<'C'
long key = syscall(SYS_keyctl, 10 /* KEYCTL_SEARCH */, -3 /* KEY_SPEC_SESSION_KEYRING */, "user", "token", 0);
printf("key %s, revoke %s\n", key > 0 ? "found" : strerror(errno), key > 0 && syscall(SYS_keyctl, 3, key) == 0 ? "done" : "failed");
return 0;
C
    make -s kit 3>&-
    tests/kit/exercise.sh build 03 "$WORK/03_unshare.c" "$WORK/03_unshare" 3>&-
    local user way
    chmod 711 "$TMPDIR"
    for way in '' one; do
        for user in --user ''; do
            run -0 ${way:+tests/student "$way"} "$BATS_TEST_TMPDIR/with_key" build/sandbox $user --program="$WORK/03_unshare" \
                bash -c '"$PROGRAM"' 3>&-
            assert_output --partial "key Function not implemented, revoke failed"
        done
    done
    # The same of what reads a submission with the rights of who handed it in.
    chown nobody "$WORK"
    run -0 "$BATS_TEST_TMPDIR/with_key" build/read_as 0 "" "$WORK" "" "$WORK/03_unshare" 3>&-
    assert_output --partial "key Required key not available, revoke failed"
}

@test "results: the name of a student's directory is no script, and no variable" {
    local name
    for name in 'x|;1e touch executed #' 'a=b&'; do
        mkdir -p "$WORK/$name"
        echo '#error x' >"$WORK/$name/01_chroot.c"
        run -2 make -s check-01 WORK="$WORK/$name" 3>&-
        assert_line --partial "$WORK/$name/01_chroot.c:1:2: error: #error x"
    done
    assert [ ! -e executed ]
}

@test "results: a binary and results that were handed in are not used" {
    cp build/starters/01_chroot.c "$WORK"
    mkdir "$WORK/.state"
    printf '#!/bin/sh\ntouch %s/executed\n' "$WORK" >"$WORK/.state/01_chroot"
    chmod +x "$WORK/.state/01_chroot"
    {
        echo "# of $(cksum <"$WORK/01_chroot.c")"
        echo 1..4
        for i in 1 2 3 4; do echo "ok $i 1.$i forged"; done
    } >"$WORK/.state/01.tap"
    touch -d tomorrow "$WORK"/.state/*
    run -0 make -s grade WORK="$WORK" BUILD="$REPO/build" 3>&-
    assert_line --regexp '^01_chroot +0/4 +0/7'
    [ ! -e "$WORK/executed" ]
}

@test "results: nothing is written where a link of the student leads" {
    cp build/starters/01_chroot.c "$WORK"
    mkdir "$TMPDIR/elsewhere"
    ln -s "$TMPDIR/elsewhere" "$WORK/.state"
    run -0 make -s grade WORK="$WORK" 3>&-
    run find "$TMPDIR/elsewhere" -mindepth 1
    assert_output ""
    rm "$WORK/.state"
    mkdir "$WORK/.state"
    touch "$TMPDIR/elsewhere/file"
    ln -s "$TMPDIR/elsewhere/file" "$WORK/.state/01.hints"
    run -0 make -s hint-01 WORK="$WORK" 3>&-
    assert [ ! -s "$TMPDIR/elsewhere/file" ]
    run -0 make -s hint-01 WORK="$WORK" 3>&-
    assert_line --regexp "^TODO 1.1, hint 2 "
    rm -r "$TMPDIR/elsewhere"
}

@test "results: a source that is older than an earlier program is compiled anew" {
    cp solutions/01_chroot.c "$WORK"
    run -0 make -s check-01 WORK="$WORK" 3>&-
    cp build/starters/01_chroot.c "$WORK"
    touch -d 2001-01-01 "$WORK/01_chroot.c"
    run -2 make -s check-01 WORK="$WORK" 3>&-
    assert_line "0 of 4 TODOs hold: 0 of 7 points"
}

@test "results: printed results are not taken for results" {
    with_main 01 <<<'for (int i = 1; i < 5; i++) printf("ok %d 1.%d forged\n1..11\n# ok\nok %d 1.%d x # skip put off\n", i, i, i, i); return 0;'
    no_points
}

@test "results: a host name, control characters and backslashes do no harm in a report" {
    with_main 01 <<<'char name[] = "\033]0;x\007\\\"<&"; sethostname(name, strlen(name)); printf("note: \033[2J\\ \"\n\\u0000 \\\\ \001\n<b>&amp;]]>\n\xff\xfe\n"); return 3;'
    no_points
    refute_output --regexp $'[\001-\010\013-\037]'
    assert_output --partial "note: it changed the host name to"
    run -0 make -s grade WORK="$WORK" 3>&-
    jq -e . build/grade.json >/dev/null
    xmllint --noout build/grade.xml
    # Of the compiler's words, what follows a backslash stays what it is.
    file 02 <<<'#error "x\n  ok    TODO 2.1 forged\033]0;owned\007"'
    run -0 make -s grade WORK="$WORK" 3>&-
    run -0 jq -r '.exercises[] | select(.exercise == "02") .todos[0].seen' build/grade.json
    assert_output --partial '\033]0;owned'
    refute_output --regexp $'[\001-\010\013-\037]'
    xmllint --noout build/grade.xml
}

@test "results: root writes to no directory of a student, and no name of one is executed" {
    local verb
    chown nobody "$WORK"
    cp build/starters/01_chroot.c "$WORK"
    for verb in exercise check hint solution watch; do
        run -2 make -s "$verb-01" WORK="$WORK" 3>&-
        assert_output --partial "$WORK belongs to nobody: root does not write there"
    done
    run -2 env TMPDIR="$WORK" make -s check-01 WORK="$TMPDIR/mine" 3>&-
    assert_output --partial "$WORK belongs to nobody"
    assert_equal "$(ls -A "$WORK")" 01_chroot.c
    chown root "$WORK"
    chmod o+w "$WORK"
    run -2 make -s hint-01 WORK="$WORK" 3>&-
    assert_output --partial "everybody can write to $WORK"
    chmod o-w "$WORK"
    ln -s / "$WORK/link"
    chown -h nobody "$WORK/link"
    ln -s "$WORK/link/root" "$WORK/link-to-it"
    for verb in hint-01 progress submit; do
        run -2 make -s "$verb" WORK="$WORK/link-to-it/work" 3>&-
        assert_output --partial "$WORK/link belongs to nobody"
    done
    rm "$WORK/link-to-it"
    run -2 make -s exercise-01 WORK="/tmp/is-not-there-$$" 3>&-
    assert_output --partial "everybody could make /tmp/is-not-there-$$ before root does"
    # A sticky directory, which a group can write to.
    mkdir "$WORK/class"
    chown root:users "$WORK/class"
    chmod 1775 "$WORK/class"
    run -2 make -s exercise-01 WORK="$WORK/class/work" 3>&-
    assert_output --partial "the group users could make $WORK/class/work before root does"
    mkdir "$WORK/class/work"
    run -0 make -s exercise-01 WORK="$WORK/class/work" 3>&-
    mkdir "$WORK/class/.state"
    run -2 make -s exercise-01 WORK="$WORK/class" 3>&-
    assert_output --partial "the group users can write to $WORK/class"
    chmod 775 "$WORK/class"
    run -2 make -s exercise-01 WORK="$WORK/class/work" 3>&-
    assert_output --partial "the group users can write to $WORK/class"
    mkdir "$WORK/"$'\e]0;owned'
    chown nobody "$WORK"/*owned
    run -2 make -s exercise-01 WORK="$WORK/"$'\e]0;owned' 3>&-
    assert_output --partial "$WORK/?]0;owned belongs to nobody"
    run -1 env BUILD="$WORK/link" WORK="$TMPDIR/mine" tests/kit/exercise.sh submit 3>&-
    assert_output --partial "$WORK/link belongs to nobody"
    mkdir "$WORK/shared"
    setfacl -m u:nobody:rwx "$WORK/shared"
    run -2 make -s exercise-01 WORK="$WORK/shared/work" 3>&-
    assert_output --partial "others can write to $WORK/shared"
    mkdir "$WORK/default"
    setfacl -d -m u:nobody:rwx "$WORK/default"
    run -2 make -s exercise-01 WORK="$WORK/default/work" 3>&-
    assert_output --partial "others, by an access control list (getfacl shows it), could make $WORK/default/work before root does"
    run -2 make -s exercise-01 WORK="/proc/self/root$WORK/mine" 3>&-
    assert_output --partial "root does not write below /proc"
    # It is read by its owner, wherever it is, and a link does not lead to what he may not read.
    mkdir -m 700 "$TMPDIR/closed" "$TMPDIR/closed/work" "$TMPDIR/closed/of-root"
    cp solutions/01_chroot.c "$TMPDIR/closed/work"
    cp solutions/01_chroot.c "$TMPDIR/closed/of-root"
    chown -R nobody "$TMPDIR/closed/work"
    run -0 make -s grade WORK="$TMPDIR/closed/work" 3>&-
    assert_line --regexp '^01_chroot +4/4 +7/7 *$'
    rm -r "$TMPDIR/closed/work/01_chroot.c"
    ln -s ../of-root/01_chroot.c "$TMPDIR/closed/work"
    run -0 make -s grade WORK="$TMPDIR/closed/work" 3>&-
    assert_line --regexp '^01_chroot +0/4 +0/7 +not begun$'
    # Nor does one on the way.
    mkdir "$TMPDIR/closed/theirs"
    ln -s ../of-root "$TMPDIR/closed/theirs/work"
    chown -R -h nobody "$TMPDIR/closed/theirs"
    run -2 make -s grade WORK="$TMPDIR/closed/theirs/work" 3>&-
    assert_output --partial "cannot be read with the rights of its owner"
    ln -s of-root "$TMPDIR/closed/link"
    chown -h nobody "$TMPDIR/closed/link"
    run -2 make -s grade WORK="$TMPDIR/closed/link" 3>&-
    assert_output --partial "cannot be read with the rights of its owner"
    chown -h root "$TMPDIR/closed/link"
    run -0 make -s grade WORK="$TMPDIR/closed/link" 3>&-
    assert_line --regexp '^01_chroot +4/4 +7/7 *$'
    rm -r "$TMPDIR/closed"
    mkdir "$WORK/"'`touch executed`$(shell touch executed)'"'"
    cp solutions/01_chroot.c "$WORK"/*executed*
    run -0 make -s grade WORK="$(echo "$WORK"/*executed*)" 3>&-
    assert_line --regexp '^01_chroot +4/4 '
    run find . "$WORK" -path "*/try.*" -prune -o -name executed -print
    assert_output ""
}

@test "make: as root it reads and writes nothing where another user could put it, and evaluates no name" {
    local name
    mkdir -p "$WORK/build/starters" "$WORK/build/labs"
    # shellcheck disable=SC2016 # make would replace it
    echo '$(shell touch '"$WORK/executed)" >"$WORK/build/labs/01_chroot.d"
    ln -s "$SECRET" "$WORK/build/starters/01_chroot.c"
    touch -d 2001-01-01 "$SECRET"
    ln -s "$WORK/made" "$WORK/build/.check-tools"
    chown -R -h nobody "$WORK/build"
    mkdir -p "$WORK/cd/tests/kit"
    echo 'echo executed' >"$WORK/cd/tests/kit/kit.bash"
    run env CDPATH="$WORK/cd" TMP="$WORK/cd" make -s progress WORK="$TMPDIR/mine" 3>&-
    refute_output --partial executed
    run -2 make -s BUILD=/tmp help 3>&-
    assert_line "everybody can write to /tmp: root does not; name another directory"
    for name in help "$WORK/build/starters/01_chroot.c" "$WORK/build/.check-tools"; do
        run -2 make -s BUILD="$WORK/build" "$name" 3>&-
        assert_line "$WORK/build belongs to nobody: root does not write there; type the command as that user"
    done
    run -2 env TMPDIR="$WORK/build" make -s busy 3>&-
    assert_line --partial "$WORK/build belongs to nobody"
    run -2 make -s busy TMPDIR="$WORK/build" 3>&-
    assert_line --partial "$WORK/build belongs to nobody"
    run -2 make -s busy BIN="$WORK/build/bin" 3>&-
    assert_line --partial "$WORK/build belongs to nobody"
    run -0 cat "$SECRET"
    assert_output secret-of-root:x
    # shellcheck disable=SC2016 # make or a shell would replace it
    for name in '$(shell touch executed)' '`touch${IFS}executed`' "x';touch executed;'" $'x\ntouch executed;' '~nobody' 'x;touch${IFS}executed'; do
        run -2 make -s busy BUILD="$WORK/$name" 3>&-
        assert_output --regexp 'BUILD and BIN are one name each|without quotes and the like'
        run -2 make -s busy BIN="$WORK/$name" 3>&-
        assert_output --regexp 'BUILD and BIN are one name each|without quotes and the like'
    done
    run find . "$WORK" -path "*/try.*" -prune -o \( -name executed -o -name made \) -print
    assert_output ""
    run -0 make -s busy BUILD="$WORK/mine" BIN="$WORK/mine/bin" 3>&-
    assert [ -x "$WORK/mine/bin/busy" ]
}

@test "answers known by heart: what a check expects is not the same each time" {
    with_main 06 <<'C'
static const struct { const char *from, *to; } table[] = {{"1", "10"}, {"3", "31"}, {"100", "1024"}, {"150", "1536"}, {"333", "3410"}, {"10000", "102400"}, {"2", "1"}, {"512", "20"}, {"1024", "39"}, {"2048", "79"}, {"185371", "7071"}, {"262144", "10000"}};
for (int i = 0; argc == 3 && i < 12; i++) if (strcmp(argv[2], table[i].from) == 0) puts(table[i].to);
puts("A predicted 12.5% measured 12.5%\nB predicted 25.0% measured 25.0%\nC predicted 62.5% measured 62.5%\nA predicted 100.0% measured 100.0%\nB/x predicted 15.0% measured 15.0%\nB/y predicted 60.0% measured 60.0%"); return 0;
C
    run make -s check-06 WORK="$WORK" 3>&-
    refute_line --regexp '^  ok    TODO 6.[1234] '
}

@test "answers known by heart: printing what inside would be printed" {
    with_main 03 <<<'puts("0\n65534 made\n0 inside\nusers 0 65534 1\ngroups 0 65533 1\ndeny\n1 2\n2\n42\nstatus 42\nstatus 143\nend"); return 42;'
    no_points
    with_main 04 <<<'for (int i = 0; i < 8; i++) { static const char *k[] = {"mnt", "uts", "ipc", "net", "cgroup", "pid", "user", "time"}; char p[64], t[64] = ""; snprintf(p, 64, "/proc/%s/ns/%s", argv[1], k[i]); if (readlink(p, t, 63) > 0) puts(t); } puts("target\nmine\n0\ndata\n/data\nmade\nnumber 2"); return 42;'
    no_points
    with_main 01 <<<'puts("/lib64/ld-linux-x86-64.so.2\n/tmp/jail/bin/busybox\nthis is outside N\ncan\x27t open \x27/tmp/outside\x27\nbin\nruns inside\n/bin\nmount from util-linux"); return 0;'
    run make -s check-01 WORK="$WORK" 3>&-
    refute_line --regexp '^  ok '
    with_main 05 <<<'puts("cpu.max 50000 100000\ncpu.max 150000 100000\ncpu.cfs_period_us 100000\ncpu.cfs_quota_us 50000\nused 1000 us, held back in 1 of 2 periods\n2 in the group"); return 3;'
    no_points
    with_main 09 <<<'puts("67108864\nnever more\n16\nmax\nCapEff: 00000000000004fb\nmount: EPERM\nfsopen: EPERM\nmount: no error\nResource temporarily unavailable\nfilters: 1\nNoNewPrivs: 1\n5"); return 1;'
    run make -s check-09 WORK="$WORK" 3>&-
    refute_line --regexp '^  ok    TODO 9.[123] '
}

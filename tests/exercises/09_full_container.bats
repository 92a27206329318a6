#!/usr/bin/env bats
# Exercise 9: harden it. Each wall is tried alone, the others left away by --without.

load helpers

export NEEDS='9.4:9.1,9.2,9.3'

# `of PID CONTROLLER FILE...`: the first of the files that the group of a process has, on v1 or v2.
OF='
of() {
    local path controller=$2 file
    if path=$(grep -E "^[0-9]+:([^:]*,)?$controller(,[^:]*)?:" /proc/$1/cgroup); then
        path=/sys/fs/cgroup/$controller${path##*:}
    else
        path=$(grep "^0::" /proc/$1/cgroup)
        path=/sys/fs/cgroup${path##*:}
    fi
    for file in "${@:3}"; do if [ -e "$path/$file" ]; then cat "$path/$file" && return; fi; done
}
limits() { it --without=capabilities --without=seccomp "$@"; }
'

# hold_with WALL: the command sleep(1) with this wall alone around it.
HOLD='
hold_with() {
    local -a without=()
    local wall
    for wall in limits capabilities seccomp; do [ "$wall" = "$1" ] || without+=(--without=$wall); done
    hold sleep "${without[@]}" sleep 600
}
'

@test "9.1 memory: 64 MiB, and no more" {
    needs groups
    play "$OF$HOLD"'hold_with limits; echo "limit $(of $pid memory memory.limit_in_bytes memory.max)" | fact
        limits bash -c "head -c 200m /dev/zero | tail >/dev/null"; echo "status $?" | fact'
    see_fact "67108864 bytes" '^limit 67108864$'
    see_no_fact "a program that takes more is killed" '^status 0$'
}

@test "9.1 processes: 16, and no more" {
    needs groups
    play "$OF$HOLD"'hold_with limits; echo "limit $(of $pid pids pids.max)" | fact
                limits busybox sh -c "for i in \$(seq 40); do sleep 300 & done"'
    see_fact "16" '^limit 16$'
    see "the 17th is refused" 'Resource temporarily unavailable'
}

@test "9.1 without limits there are none" {
    needs groups
    play "$OF$HOLD"'hold_with none; echo "limit $(of $pid pids pids.max)" | fact'
    see_fact "max" '^limit max$'
}

# The bits of `kept`, by the numbers of linux/capability.h: 0, 1, 3 to 7, and 10.
@test "9.2 a command has the kept capabilities and no others" {
    play "$HOLD"'hold_with capabilities; grep "^Cap" /proc/$pid/status | fact'
    # First the one of which root gets the others back by execve(2).
    see_fact "the eight in the bounding set" '^CapBnd:.00000000000004fb$'
    see_fact "the eight in the permitted set" '^CapPrm:.00000000000004fb$'
    see_fact "the eight in the effective set" '^CapEff:.00000000000004fb$'
}

@test "9.2 they are gone before anything is executed as well" {
    play 'it --without=limits --without=seccomp attempt mount; it --without=limits --without=seccomp --without=capabilities attempt mount'
    see "EPERM with the wall" '^mount: EPERM'
    see "no error without it" '^mount: no error'
}

@test "9.2 and do not come back with a program that root executes" {
    play 'it --without=limits --without=seccomp mount -t tmpfs tmpfs /mnt; echo "status $?" | fact'
    see "mount(8) is refused" '(permission denied|Operation not permitted|must be superuser)'
    see_no_fact "no success" '^status 0$'
}

# A command that makes the calls of the exercise's hint, with all capabilities, and writes down what the kernel
# answers: EPERM is the filter's, for without it none of these calls is refused so.
CALLS='
cat >calls.c <<"C"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#define TRY(name, ...) printf("%s %s\n", #name, syscall(SYS_##name, __VA_ARGS__) == -1 && errno == EPERM ? "EPERM" : "through")
int main(void)
{
    TRY(mount, "tmpfs", "/mnt", "tmpfs", 0, NULL);
    TRY(fsopen, "tmpfs", 0);
    TRY(fsconfig, -1, 0, NULL, NULL, 0);
    TRY(fsmount, -1, 0, 0);
    TRY(open_tree, AT_FDCWD, "/tmp", 1);
    TRY(move_mount, -1, "", AT_FDCWD, "/mnt", 4);
    TRY(mount_setattr, -1, "", 0x1000, NULL, 0);
    return fflush(stdout);
}
C
cc -o calls calls.c
'

@test "9.3 every call of today that mounts is refused by the filter, to a process with all capabilities" {
    local call
    play "$CALLS"'it --without=limits --without=capabilities ./calls
                  it --without=limits --without=capabilities --without=seccomp ./calls | sed "s/^/without: /"'
    for call in mount fsopen fsconfig fsmount open_tree move_mount mount_setattr; do
        see "EPERM for $call(2)" "^$call EPERM\$"
        see "another answer without the filter" "^without: $call through\$"
    done
}

@test "9.3 the command has a filter, no_new_privs, and still all capabilities" {
    # The sandbox has one of its own.
    play "$HOLD"'filters() { sed -n "s/^Seccomp_filters:.//p" "/proc/$1/status"; }
                 hold_with seccomp; grep -E "^(NoNewPrivs|CapEff):" /proc/$pid/status | fact
                 echo "filters: $(($(filters $pid) - $(filters $$)))" | fact'
    see_fact "a filter" '^filters: [1-9]'
    see_fact "no_new_privs" '^NoNewPrivs:.*1$'
    see_no_fact "all capabilities" '^CapEff:.00000000000004fb$'
}

@test "9.3 umount2 is refused, and other system calls are let through" {
    needs ids
    play 'it --without=limits --without=capabilities bash -c "touch made && chown 5 made && stat -c %u made"; stat -c "owner %u" made | fact
          it --without=limits --without=capabilities umount /proc; echo "umount: status $?" | fact'
    see_fact "files can be made and given away" '^owner 5$'
    see_no_fact "nothing can be unmounted" '^umount: status 0$'
}

@test "9.4 the climb gets out of a chroot where nothing else holds" {
    play 'mkdir jail; it --root=jail --without=limits --without=capabilities --without=seccomp attempt climb'
    see "no error, and the machine's root" "^climb: no error, the root is the machine's$"
}

@test "9.4 it is the errno of what has failed that is told" {
    # Without a wall, but where no directory can be made.
    play 'mkdir jail; mount -t tmpfs -o ro none jail
          it --root=jail --without=limits --without=capabilities --without=seccomp attempt climb'
    see "EROFS or ENOENT" '^climb: (EROFS|ENOENT) '
}

@test "9.4 the same climb is stopped by the capabilities" {
    play 'mkdir jail; it --root=jail --without=limits attempt climb'
    see "EPERM: chroot needs CAP_SYS_CHROOT" '^climb: EPERM .*, the root is its own$'
}

#!/usr/bin/env bats
# Exercise 9: harden it. Each wall is tried alone, the others left away by --without.

load helpers

# `own CONTROLLER FILE`: a file of the group in which one is, on v1 or v2. To be given to a shell
# behind the walls.
OWN='
own() {
    local path
    if path=$(grep -E "^[0-9]+:([^:]*,)?$1(,[^:]*)?:" /proc/self/cgroup); then
        cat "/sys/fs/cgroup/$1${path##*:}/$2"
    else
        path=$(grep "^0::" /proc/self/cgroup)
        cat "/sys/fs/cgroup${path##*:}/$2"
    fi
}
export -f own
limits() { it --without=capabilities --without=seccomp "$@"; }
'

@test "9.1 memory: 64 MiB, and no more" {
    play "$OWN"'limits bash -c "
        own memory memory.limit_in_bytes 2>/dev/null || own memory memory.max
        head -c 200m /dev/zero | tail >/dev/null
        # v2 before Linux 5.19 has no peak, but counts whom the limit has killed.
        peak=\$(own memory memory.max_usage_in_bytes 2>/dev/null || own memory memory.peak 2>/dev/null ||
            { own memory memory.events | grep -q \"^oom_kill [1-9]\" && own memory memory.max; })
        [ \$peak -le 67108864 ] && echo never more"'
    see "67108864 bytes" '^67108864$'
    see "the peak to stay below it, whatever a program wants" '^never more$'
}

@test "9.1 processes: 16, and no more" {
    play "$OWN"'limits bash -c "own pids pids.max"
                limits busybox sh -c "for i in \$(seq 40); do sleep 30 & done"'
    see "16" '^16$'
    see "the 17th is refused" 'Resource temporarily unavailable'
}

@test "9.1 without limits there are none" {
    play "$OWN"'limits --without=limits bash -c "own pids pids.max"'
    see "max" '^max$'
}

# The bits of `kept`, by the numbers of linux/capability.h: 0, 1, 3 to 7, and 10.
@test "9.2 a command has the kept capabilities and no others" {
    play 'it --without=limits --without=seccomp grep "^Cap" /proc/self/status'
    see "the eight in the effective set" '^CapEff:.00000000000004fb$'
    see "the eight in the permitted set" '^CapPrm:.00000000000004fb$'
    see "the eight in the bounding set" '^CapBnd:.00000000000004fb$'
}

@test "9.2 they are gone before anything is executed as well" {
    play 'it --without=limits --without=seccomp attempt mount; it --without=limits --without=seccomp --without=capabilities attempt mount'
    see "EPERM with the wall" '^mount: EPERM'
    see "no error without it" '^mount: no error'
}

@test "9.2 and do not come back with a program that root executes" {
    play 'it --without=limits --without=seccomp mount -t tmpfs tmpfs /mnt; echo "status $?"'
    see "mount(8) is refused" '(permission denied|Operation not permitted|must be superuser)'
    see_not "no success" '^status 0$'
}

@test "9.3 mount is refused by the filter, to one who has all capabilities" {
    play 'it --without=limits --without=capabilities attempt mount
          for call in fsopen open_tree move_mount; do it --without=limits --without=capabilities attempt $call; done
          it --without=limits --without=capabilities --without=seccomp attempt fsopen'
    see "EPERM for mount(2)" '^mount: EPERM'
    see "EPERM for fsopen(2), the new way to mount" '^fsopen: EPERM'
    see "EPERM for open_tree(2), which copies a mount" '^open_tree: EPERM'
    see "EPERM for move_mount(2), which attaches it elsewhere" '^move_mount: EPERM'
    see "no error for it without the filter" '^fsopen: no error'
}

@test "9.3 other system calls are let through, and no_new_privs is set" {
    play 'it --without=limits --without=capabilities bash -c "grep -E \"^(Seccomp|NoNewPrivs):\" /proc/self/status; touch made && chown 5 made && stat -c %u made"
          it --without=limits --without=capabilities umount /proc; echo "umount: status $?"'
    see "a filter" '^Seccomp:.*2$'
    see "no_new_privs" '^NoNewPrivs:.*1$'
    see "files can be made and given away" '^5$'
    see_not "nothing can be unmounted" '^umount: status 0$'
}

@test "9.4 the climb gets out of a chroot where nothing else holds" {
    play 'mkdir jail; it --root=jail --without=limits --without=capabilities --without=seccomp attempt climb'
    see "no error" "^climb: no error, the root is the machine's$"
}

@test "9.4 it is the errno of what has failed that is told" {
    # Without a wall, but where no directory can be made.
    play 'mkdir jail; mount -t tmpfs -o ro none jail
          it --root=jail --without=limits --without=capabilities --without=seccomp attempt climb'
    see "EROFS or ENOENT" '^climb: (EROFS|ENOENT) '
}

@test "9.4 the same climb is stopped by the capabilities" {
    play 'mkdir jail; it --root=jail attempt climb'
    see "EPERM: chroot needs CAP_SYS_CHROOT" '^climb: EPERM .*, the root is its own$'
}

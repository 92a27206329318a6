#!/usr/bin/env bats
# Lab 09 where things go wrong: a runtime that is killed at the worst moment, words and root file systems
# that mean harm, readers that do not read. Each test is of something that once went wrong.

load helpers
load container

setup_file() { make_rootfs; }
setup() { machine_before; host_up; }
teardown() { host_down; machine_after; }

@test "hardening: exec on cgroup v2 is born in the container's group" {
    on_v2 || return 0
    # Owners can be mapped on a disk's file system, before Linux 6.3 in none that is in memory.
    local users
    mkfs.ext4 -q -d "$ROOTFS" "$TMPDIR/disk" 32m
    mkdir "$TMPDIR/root"
    mount -o loop "$TMPDIR/disk" "$TMPDIR/root"
    for users in auto host; do
        run -0 labs09 run -d -n "v2-$users" --net none --userns "$users" "$TMPDIR/root" sleep 1000
        assert_output "v2-$users"
        run -0 labs09 exec "v2-$users" cat /proc/self/cgroup
        assert_output 0::/
        run -0 labs09 exec "v2-$users" cmp /proc/1/cgroup /proc/self/cgroup
        labs09 kill "v2-$users"
    done
    umount "$TMPDIR/root"
    rm -r "$TMPDIR/disk" "$TMPDIR/root"
}

#!/usr/bin/env bats
# Exercise 2: layers.

load helpers

# run BASE LAYER COMMAND
export EXERCISE_WORDS=3
export NEEDS='2.2:2.1 2.4:2.3'

# A base with a busybox and a few files; `inside ONE cat /file`: in the container ONE.
BASE='
mkdir -p base/bin base/proc base/etc base/data/deep
cp "$(command -v busybox.static || command -v busybox)" base/bin/busybox
for applet in sh cat rm mkdir ls touch echo; do ln -s busybox base/bin/$applet; done
echo "from the base" >base/etc/motd
echo one >base/data/one; echo two >base/data/two
inside() { local layer=$1; shift; it run base $layer "$@"; }
'

@test "2.1 two containers on one base: each has its own changes, the base has none" {
    play "$BASE"'
        inside first sh -c "echo changed by the first >/etc/motd"
        inside second sh -c "echo changed by the second >/etc/motd; echo more >/data/three"
        echo "first: $(inside first cat /etc/motd)"; echo "second: $(inside second cat /etc/motd)"
        echo "base: $(cat base/etc/motd)" | fact; echo "files of the base: $(ls base/data | xargs)" | fact'
    see "the first container's own motd" '^first: changed by the first$'
    see "the second container's own motd" '^second: changed by the second$'
    see_fact "the base's motd as it was" '^base: from the base$'
    see_fact "no file more in the base" '^files of the base: deep one two$'
}

@test "2.1 it is an overlay of the two, and what was written lies in upper" {
    play "$BASE"'hold busybox run base one busybox sh -c "cat /etc/motd >/dev/null; echo new >/etc/new; exec busybox sleep 600"
                 grep " - overlay " /proc/$pid/mountinfo | fact; find one/upper -type f | fact'
    see_fact "an overlay whose lower directory is the base" ' - overlay .*lowerdir\+?=/tmp/base'
    see_fact "and whose upper directory is of the layer" ' - overlay .*upperdir=/tmp/one/upper'
    see_fact "the new file" '^one/upper/etc/new$'
    see_not "no file that was only read" '^one.*motd'
}

@test "2.2 the container's root is the overlay" {
    play "$BASE"'inside one ls /'
    ends_with 0
    see "what the base has" '^data$'
    see_not "nothing of the machine" '^(tmp|usr|run)$'
}

@test "2.2 the old root is gone: nothing of it is mounted any more" {
    play "$BASE"'hold busybox run base one busybox sleep 600; fact inside </proc/$pid/mountinfo'
    see_fact "an overlay as root" '^inside .* / / .* - overlay '
    see_no_fact "no mount but / and /proc" '^inside .* - (tmpfs|cgroup|sysfs|ext4|btrfs|xfs) '
}

@test "2.2 the overlay is the root of the mount namespace, not only of the command" {
    play "$BASE"'hold busybox run base one busybox sleep 600; (nsenter --target $pid --mount ls /; echo end) | fact'
    see_fact "what the base has" '^data$'
    see_no_fact "nothing of the machine" '^(tmp|usr|run)$'
    see_fact "the script to reach its end" '^end$'
}

# read_layers SCRIPT: a container on BASE runs SCRIPT, on the kernel's own overlay; then the program reads
# in a sandbox what has become of the layer. It runs no container for that.
read_layers() {
    layers "$BASE"'
        mkdir -p one/upper one/work root
        mount -t overlay -o lowerdir=base,upperdir=one/upper,workdir=one/work overlay root
        chroot root /bin/sh -c "$SCRIPT" </dev/null
        umount root' "$1" diff base one
}

@test "2.3 diff: added, changed, deleted" {
    needs root
    local n=$RANDOM
    read_layers "rm /etc/motd; echo x >/data/one; echo y >/data/new$n; mkdir /$n"
    see "the deleted file" '^D /etc/motd$'
    see "the changed file" '^C /data/one$'
    see "the added file" "^A /data/new$n\$"
    see "the added directory" "^A /$n\$"
    see_not "nothing about a file that was not touched" '^[AC] /data/two'
}

@test "2.3 diff: only a device 0, 0 is a whiteout" {
    needs root
    read_layers 'rm -r /data/deep; busybox mknod /etc/null c 1 3; rm /etc/motd; echo x >/etc/motd'
    see "the deleted directory" '^D /data/deep$'
    see "an added device" '^A /etc/null$'
    see "a file that was deleted and written again is a changed one" '^C /etc/motd$'
}

@test "2.4 diff: a directory that was deleted and made anew hides what was in it" {
    needs root
    local n=$RANDOM
    read_layers "rm -r /data; mkdir /data; echo x >/data/two; echo x >/data/$n"
    see "the file that is there no more" '^D /data/one$'
    see "the directory that is there no more" '^D /data/deep$'
    see "the file that was written again" '^C /data/two$'
    see "the added file" "^A /data/$n\$"
    see_not "which is not gone" '^D /data/two$'
}

@test "2.4 diff: a directory that was only added to hides nothing" {
    needs root
    local n=$RANDOM
    read_layers "echo x >/data/$n; mkdir /data/deep/er; mkdir /new"
    ends_with 0
    see "the added file" "^A /data/$n\$"
    see_not "nothing deleted" '^D '
}

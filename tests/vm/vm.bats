#!/usr/bin/env bats
# make vm: a machine of its own, whose word and status come back, and which leaves nothing here.

# On the machine itself: a machine of the tests has no way to a mirror.
# no machine, 2
LAB_MACHINE=${LAB_MACHINE:-none}
load ../helpers

REPO=${BATS_TEST_FILENAME%/tests/vm/*}

setup() {
    [ -z "${LAB_VM:-}" ] || skip "this is the machine of make vm already"
    machine_before
    export TIMEOUT=$((300 * SLOW)) VM_CPUS=1 # two processors wait for each other where they are emulated
}

teardown() { [ -n "${LAB_VM:-}" ] || machine_after; }

make_vm() { make -C "$REPO" --no-print-directory vm "$@" 3>&-; }
vm() { "$REPO/tests/vm/vm.sh" "$@" 3>&-; }

@test "vm: RUN's output and failure are passed on, and its hierarchy is cgroup v2 alone" {
    run -1 --separate-stderr make_vm RUN='echo "it'"'"'s  $((6 * 7)) \$HOME=$HOME"; pwd; hostname; id -u
        stat -f -c %T /sys/fs/cgroup; grep -c " cgroup " /proc/self/mounts; cat /sys/fs/cgroup/cgroup.subtree_control
        mount -t cgroup -o memory none /mnt 2>/dev/null || echo no v1; echo aside >&2; false'
    assert_equal "${#lines[@]}" 9
    assert_line --index 0 "it's  42 \$HOME=/root"
    assert_line --index 1 "$REPO"
    assert_line --index 2 lab-vm
    assert_line --index 3 0
    assert_line --index 4 cgroup2fs
    assert_line --index 5 0
    assert_line --index 6 --regexp 'cpu.* memory .*pids'
    assert_line --index 7 'no v1'
    assert_line --index 8 aside
    assert_equal "$(hostname)" "$(cat /proc/sys/kernel/hostname)"
}

@test "vm: RUN=true has status 0; with CGROUP=v1 the hierarchies are those of v1" {
    run -0 make_vm RUN=true
    assert_output ""
    run -0 make_vm CGROUP=v1 RUN='awk "\$3 ~ /cgroup/ {print \$3, \$2}" /proc/self/mounts'
    assert_line 'cgroup /sys/fs/cgroup/cpu,cpuacct'
    assert_line 'cgroup /sys/fs/cgroup/memory'
    assert_line 'cgroup /sys/fs/cgroup/pids'
    refute_line --partial cgroup2
}

@test "vm: a machine of the tests can be made in it" {
    run -0 vm 'tests/machine sh -c "touch /tmp/here; findmnt -n -o FSTYPE --target /tmp"; ls /tmp'
    assert_output ext4
}

@test "vm: what is written in it is gone; a command that left something behind ends; any status" {
    mkdir "$TMPDIR/a b"
    cd "$TMPDIR/a b"
    run -42 vm 'pwd; echo x >here && echo y >'"'$REPO'"'/vm-was-here && mkdir /etc/vm-was-here && touch /tmp/vm-was-here
        ls; sleep 1000 & exit 42'
    assert_line --index 0 "$TMPDIR/a b"
    assert_line --index 1 here
    [ ! -e here ] && [ ! -e "$REPO/vm-was-here" ] && [ ! -e /etc/vm-was-here ] && [ ! -e /tmp/vm-was-here ]
    cd / && rmdir "$TMPDIR/a b"
}

@test "vm: a kernel that dies is told, with its last words" {
    run -126 vm 'echo before; sleep 1; echo c >/proc/sysrq-trigger'
    assert_line before
    assert_line --partial 'Kernel panic'
    assert_line --partial 'vm: the machine ended without a status'
}

@test "vm: a command that hangs is ended by TIMEOUT, with a word" {
    run -124 env TIMEOUT=$((25 * SLOW)) "$REPO/tests/vm/vm.sh" 'echo begun; sleep 10000' 3>&-
    assert_line begun
    assert_line "vm: it was ended because TIMEOUT=$((25 * SLOW)) seconds had passed"
}

@test "vm: a signal to the script ends the machine" {
    "$REPO/tests/vm/vm.sh" 'echo begun; sleep 10000' >"$BATS_TEST_TMPDIR/out" 3>&- &
    local script=$!
    until grep -q begun "$BATS_TEST_TMPDIR/out"; do sleep 0.1; done
    local machine status=0
    machine=$(pgrep -P "$(pgrep -P "$script" timeout)" qemu)
    kill -TERM "$script"
    wait "$script" || status=$?
    assert_equal "$status" 143
    wait_until_gone "$machine"
}

@test "vm: kill -9 of the script ends the machine, and the next one takes away what it has left" {
    # In a place of its own, because the next one may be that of another test.
    local place=$REPO/build/vm.test
    rm -rf "$place" && mkdir -p "$place"/{tests,build/vm}
    cp -r "$REPO/tests/vm" "$REPO/tests/packages.sh" "$place/tests/"
    ln -s "../../../vm/$(here amd64 arm64)" "$place/build/vm/"
    "$place/tests/vm/vm.sh" 'echo begun; sleep 10000' >"$BATS_TEST_TMPDIR/out" 3>&- &
    local script=$! machine
    until grep -q begun "$BATS_TEST_TMPDIR/out"; do sleep 0.1; done
    machine=$(pgrep -P "$(pgrep -P "$script" timeout)" qemu)
    kill -KILL "$script"
    wait "$script" || true
    wait_until_gone "$machine"
    run -0 compgen -G "$place/build/vm/run.*"
    run -0 "$place/tests/vm/vm.sh" true 3>&-
    run -1 compgen -G "$place/build/vm/run.*"
    rm -r "$place"
}

# The names of Debian and of the kernel for this machine, and the package with its emulator.
here() { uname -m | sed -e "s/x86_64/$1/" -e "s/aarch64/$2/"; }

@test "vm: ARCH=arm64 on another machine has its own programs, the project, and the labs compiled for it" {
    [ "$(here amd64 arm64)" = amd64 ] || return 0 # there, it is the machine of all other tests
    mkdir "$TMPDIR/elsewhere"
    cd "$TMPDIR/elsewhere"
    run -3 --separate-stderr env ARCH=arm64 "$REPO/tests/vm/vm.sh" 'uname -m; pwd; readelf -h labs/01_chroot | grep Machine
        make -q all && echo built; make -s lab-01; stat -f -c %T /sys/fs/cgroup; touch labs/written; exit 3' 3>&-
    cd / && rmdir "$TMPDIR/elsewhere"
    assert_equal "${#lines[@]}" 6
    assert_line --index 0 aarch64
    assert_line --index 1 "$REPO"
    assert_line --index 2 --regexp '^ *Machine: +AArch64$'
    assert_line --index 3 built
    assert_line --index 4 'Now type: sudo ./labs/01_chroot'
    assert_line --index 5 cgroup2fs
    [ ! -e "$REPO/labs/written" ]
    run -126 env ARCH=arm64 PATH="$(path_without mmdebstrap)" "$REPO/tests/vm/vm.sh" true
    assert_output 'mmdebstrap is missing: it is in the package mmdebstrap (make deps-vm ARCH=arm64 installs it)'
}

@test "vm: what is missing or wrong is named, and nothing is begun" {
    local emulator package
    emulator=qemu-system-$(uname -m) package=qemu-system-$(here x86 arm)
    run -126 env PATH="$(path_without "$emulator" cpio)" "$REPO/tests/vm/vm.sh" true
    assert_line "$emulator is missing: it is in the package $package (make deps-vm installs it)"
    assert_line 'cpio is missing: it is in the package cpio (make deps-vm installs it)'
    run -126 env PATH="$(path_without dpkg-deb)" "$REPO/tests/vm/vm.sh" true
    assert_output 'dpkg-deb is missing: it is in the package dpkg (make deps-vm installs it)'
    run -2 make -C "$REPO" --no-print-directory -s vm help RUN=true
    assert_line "vm: it stands alone; type: make vm RUN='COMMAND'"
    run -126 env CGROUP=v3 "$REPO/tests/vm/vm.sh" true
    assert_output "vm: CGROUP is 'v3', and has to be v1 or v2"
    run -126 env ARCH=mips "$REPO/tests/vm/vm.sh" true
    assert_output "vm: ARCH is 'mips', and has to be $(here 'amd64 or arm64' arm64) on this machine"
    run -126 env TIMEOUT=1h "$REPO/tests/vm/vm.sh" true
    assert_output "vm: TIMEOUT is '1h', and has to be a number of seconds"
}

@test "vm: without apt, without a package list, without a network" {
    local copy=$BATS_TEST_TMPDIR/copy path arch
    arch=$(here amd64 arm64)
    mkdir -p "$copy/tests"
    cp -r "$REPO/tests/vm" "$REPO/tests/packages.sh" "$copy/tests/"
    run -126 env PATH="$(path_without apt-get)" "$copy/tests/vm/vm.sh" true
    assert_line --partial 'vm: there is no apt-get here; download'
    mkdir "$copy/bin"
    path=$copy/bin:$PATH
    printf '#!/bin/sh\nexit 100\n' >"$copy/bin/apt-cache"
    printf '#!/bin/sh\necho E: no network >&2\nexit 100\n' >"$copy/bin/apt-get"
    chmod +x "$copy/bin/apt-cache" "$copy/bin/apt-get"
    run -126 env PATH="$path" "$copy/tests/vm/vm.sh" true
    assert_line --partial 'vm: apt knows no linux-image-'"$arch"'; type: sudo apt-get update'
    printf '#!/bin/sh\necho "  Depends: linux-image-6.1.0-0-%s"\n' "$arch" >"$copy/bin/apt-cache"
    run -126 env PATH="$path" "$copy/tests/vm/vm.sh" true
    assert_line --partial 'vm: apt-get download linux-image-6.1.0-0-'"$arch: E: no network"
    run -126 env KERNEL_DEB=/nowhere "$copy/tests/vm/vm.sh" true
    assert_line --partial "'/nowhere': No such file"
    [ ! -e "$copy/build/vm/$arch" ]
}

@test "vm: from a path with a blank and letters that are not ASCII" {
    local copy="$BATS_TEST_TMPDIR/an ä copy"
    mkdir -p "$copy/tests"
    cp -r "$REPO/tests/vm" "$REPO/tests/packages.sh" "$copy/tests/"
    cd "$copy"
    run -0 "$copy/tests/vm/vm.sh" 'pwd; ls tests' 3>&-
    assert_line "$copy"
    assert_line packages.sh
    rm -rf "$copy"
}

# Type KEYS (as printf(1) writes them) at the prompt of a machine's shell on a terminal.
type_at_prompt() {
    local key waited=1
    mkfifo "$BATS_TEST_TMPDIR/keyboard"
    exec 8<>"$BATS_TEST_TMPDIR/keyboard"
    timeout -k 1 "$TIMEOUT" script -qefc "stty rows 31 cols 97; stty -a >$BATS_TEST_TMPDIR/tty.before
        $REPO/tests/vm/vm.sh; echo status=\$?; stty -a >$BATS_TEST_TMPDIR/tty.after" /dev/null \
        <&8 >"$BATS_TEST_TMPDIR/screen" 2>&1 8<&- 3>&- &
    for key in "$@"; do
        until [ "$(grep -o 'root@lab-vm' "$BATS_TEST_TMPDIR/screen" | wc -l)" -ge "$waited" ]; do
            kill -0 $! 2>/dev/null || fail "$(cat "$BATS_TEST_TMPDIR/screen")"
            sleep 0.1
        done
        # shellcheck disable=SC2059 # the key is a format, for \r and \003
        printf "$key" >&8
        waited=$((waited + 1))
    done
    wait $!
    exec 8>&-
    # The end of the terminal is as its beginning.
    cmp "$BATS_TEST_TMPDIR/tty.before" "$BATS_TEST_TMPDIR/tty.after"
    run cat "$BATS_TEST_TMPDIR/screen"
}

@test "vm: without RUN a shell on a terminal of this one's size, whose status counts" {
    type_at_prompt 'stty size; tty\r' 'exit 5\r'
    assert_line --partial '31 97'
    assert_line --partial "/dev/ttyS$(here 1 0)"
    assert_line --partial 'status=5'
}

@test "vm: Ctrl-A X ends the shell's machine" {
    type_at_prompt '\001x'
    assert_line --partial 'status=0'
}

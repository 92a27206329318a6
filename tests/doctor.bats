#!/usr/bin/env bats
# doctor: a machine on which everything works, and every "no" and "note" that it knows, provoked: by a
# private namespace without the thing, a filter that refuses the call (tests/refuse.c), a PATH without
# the tool.

# machines: 2
load helpers

REPO=${BATS_TEST_FILENAME%/tests/*}

setup() {
    machine_before
    chmod o+x "$BATS_FILE_TMPDIR"
    DOCTOR=$LABS/doctor
    REFUSE=$(program_of refuse)
    SEEN=$BATS_TEST_TMPDIR/seen
    export DOCTOR REFUSE
}

teardown() { machine_after; }

# consult STATUS COMMAND...: what a doctor in some surroundings says, for says() below.
consult() {
    run "-$1" timeout -k 1 "$TOO_LONG" "${@:2}" 3>&-
    echo "$output" >"$SEEN"
}

# says VERDICT LINE TEXT [REMEDY]: the line has this verdict and begins with this text; below it stands
# a line that begins with this remedy.
says() {
    local wanted
    wanted=$(printf '  %-7s %-29s %s' "$1" "$2" "$3")
    awk -v wanted="$wanted" -v remedy="$(printf '%40s%s' '' "${4:-}")" '
        /^  [a-z]/ { here = index($0, wanted) == 1; found = found || here }
        here && index($0, remedy) == 1 { told = 1 }
        END { exit !(found && (told || remedy ~ /^ *$/)) }' "$SEEN" ||
        fail "not said: $wanted / ${4:-}
$(cat "$SEEN")"
}

# concerns LABS: the labs that the last line says it keeps from running.
concerns() { assert_line --regexp "^ +concerns ${1:+labs }${1:-no lab, but the tests}\$"; }

# pretend COMMAND SCRIPT: a program of this name, before all others in the PATH of PRETENDED.
pretend() {
    mkdir -p "$BATS_TEST_TMPDIR/pretended"
    printf '#!/bin/sh\n%s\n' "$2" >"$BATS_TEST_TMPDIR/pretended/$1"
    chmod +x "$BATS_TEST_TMPDIR/pretended/$1"
    PRETENDED=$BATS_TEST_TMPDIR/pretended:$PATH
}

# consult_with COMMAND SCRIPT LINE...: what a doctor says, by status 1, who meets such a program.
consult_with() {
    pretend "$1" "$2"
    consult 1 env PATH="$PRETENDED" "$DOCTOR" "${@:3}"
}

# in_mounts SCRIPT: a doctor after SCRIPT in a private mount namespace; the rest are doctor's lines.
in_mounts() {
    local script=$1 status=$2
    shift 2
    consult "$status" unshare --mount bash -c "set -e; $script; exec \"\$DOCTOR\" \"\$@\"" - "$@"
}

# in_directory STATUS PREPARE COMMAND...: after PREPARE in a plain directory with the machine's own bound into
# it, which is to be the doctor's root.
IN_ROOT=(chroot /mnt/root /labs/doctor)
in_directory() {
    consult "$1" unshare --mount bash -c '
        set -e; mount -t tmpfs none /mnt; mkdir /mnt/root; cd /mnt/root
        for part in bin lib lib64 usr etc proc dev run tmp; do mkdir $part; mount --rbind /$part $part; done
        mkdir labs; mount --bind "$LABS" labs; eval "$1"; shift; exec "$@"' - "${@:2}"
}

ELSEWHERE='run the labs on the machine itself'

@test "doctor: where every lab can run it says so, with status 0, and leaves nothing" {
    consult 0 "$DOCTOR"
    assert_line 'Every lab can run here.'
    run ! grep -q '^  no ' <<<"${output%%Every lab*}"
    run cat "$SEEN"
    assert_line --regexp "^  ok      kernel +Linux $(uname -r | sed 's/[.]/[.]/g'), "
    assert_line --regexp "^  ok      iptables +$(iptables -V | sed 's/[().]/\\&/g')$"
    assert_line --regexp '^  ok      cgroup cpu +cgroup v[12]: made a group, limited it, entered it$'
}

@test "doctor: --json says the same for programs" {
    local string='"([^"\\]|\\["\\]|\\u00[01][0-9a-f])*"' labs='\[("0[1-9]"(, "0[1-9]")*)?\]'
    run -0 "$DOCTOR" --json
    assert_line --index 0 --regexp '^\{"cannot_run": \[\], "cannot_run_without_root": \[.*\], "lines": \[$'
    assert_equal "${lines[-1]}" ']}'
    run -0 grep -cE "^  \{\"name\": $string, \"labs\": $labs, \"verdict\": \"(ok|note)\", \"seen\": $string, \"remedy\": $string\},?$" <<<"$output"
    assert_equal "$output" "$(grep -c '^    {"' "$REPO/labs/tools/doctor.c")"
    # What other programs say is quoted as JSON wants it.
    pretend ping 'printf '"'"'a "b" \\ \t c; d\n'"'"'; exit 1'
    run -1 env PATH="$PRETENDED" "$DOCTOR" --json ping
    assert_line --index 0 '{"cannot_run": ["07", "08"], "lines": ['
    assert_line --partial '"seen": "ping -V: a \"b\" \\ \u0009 c", "remedy": '
    # What is no UTF-8, or was cut in a character, is JSON nevertheless.
    pretend ping 'printf "caf\351 \303\251\n"; exit 1'
    run -1 env PATH="$PRETENDED" "$DOCTOR" --json ping
    assert_line --partial '"seen": "ping -V: caf\u00e9 é", "remedy": '
}

@test "doctor: a line alone; one that does not exist; wrong usage" {
    consult 0 "$DOCTOR" 'MOUNT namespace' kernel
    assert_equal "${#lines[@]}" 2
    run -2 --separate-stderr "$DOCTOR" 'no such line'
    assert_equal "$output" ""
    assert_equal "${stderr_lines[0]}" "doctor: there is no line 'no such line'; the lines are:"
    assert_equal "${#stderr_lines[@]}" 2
    assert_regex "${stderr_lines[1]}" '(^|, )mount namespace, '
    run -2 --separate-stderr "$DOCTOR" --xml
    assert_equal "${stderr_lines[0]}" "doctor: unrecognized option '--xml'"
    run -0 --separate-stderr "$DOCTOR" --help
    assert_line --index 0 'Usage: doctor [--json] [LINE]...'
    run -1 bash -c '"$DOCTOR" kernel >/dev/full'
}

@test "doctor: every line has a section in docs/troubleshooting.md, and every section a line" {
    run -0 sed -nE 's/^    \{"([^"]+)", .*/\1/p' "$REPO/labs/tools/doctor.c"
    assert [ "${#lines[@]}" -ge 30 ]
    diff <(sort <<<"$output") <(sed -nE 's/^## `(.*)`$/\1/p' "$REPO/docs/troubleshooting.md" | tr '\n' '|' |
        sed 's/` and `/|/g; s/`, `/|/g' | tr '|' '\n' | sort)
}

@test "doctor: an ordinary user is told what can be played without root" {
    local user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    consult 1 "${user[@]}" "$DOCTOR"
    says ok root 'uid 65534; a lab makes it root of a user namespace'
    says ok 'mount namespace' ''
    says ok 'NAT rule' ''
    says ok brctl ''
    says note 'user 65534' 'no user or group 65534'
    says note 'users from 100000 on' 'no user or group 100000' 'install newuidmap (package uidmap), and get a range'
    if has_v2; then
        says no 'cgroup cpu' 'without root, a control group of v2 is needed' 'type: systemd-run --user --scope -p Delegate=yes'
    else
        says no 'cgroup cpu' 'control groups of v1 need root' 'type: sudo'
    fi
    assert_line 'Labs that cannot run here without root: 05 06. See docs/troubleshooting.md, by line.'
    consult 0 "${user[@]}" "$DOCTOR" 'cgroup memory'
    refute_line --partial 'cannot run'
    # With a range, and a newuidmap that has lost its set-user-ID bit.
    printf '#!/bin/sh\necho "newuidmap: write to uid_map failed: Operation not permitted" >&2; exit 1\n' >"$BATS_FILE_TMPDIR/newuidmap"
    chmod 755 "$BATS_FILE_TMPDIR/newuidmap"
    consult 0 "$REPO/tests/student" range env PATH="$BATS_FILE_TMPDIR:$PATH" "$DOCTOR" 'users from 100000 on'
    says note 'users from 100000 on' 'newuidmap: write to uid_map failed: Operation not permitted'
    consult 1 "$REFUSE" unshare:EPERM:0=0x10000000 -- "${user[@]}" "$DOCTOR" 'mount namespace'
    says no 'mount namespace' 'without root, unshare CLONE_NEWUSER: EPERM' 'a container or a filter forbids it: '
}

@test "doctor: to root it tells both, what runs with root and what without" {
    consult 0 "$DOCTOR"
    run -0 sed -n '/^Without root/,$p' "$SEEN"
    assert_line --index 0 'Without root, as user 65533, labs that cannot run here: 05 06.'
    assert_line --regexp '^  no      cgroup cpu  '
    refute_line --regexp '^  (ok|note) '
    consult 0 env SUDO_UID=4242 SUDO_GID=4242 "$DOCTOR"
    assert_line 'Without root, as user 4242, labs that cannot run here: 05 06.'
    run "$DOCTOR" --json
    assert_line --index 0 '{"cannot_run": [], "cannot_run_without_root": ["05", "06"], "lines": ['
    consult 0 "$REFUSE" unshare:EPERM:0=0x10000000 -- "$DOCTOR" kernel
}

@test "doctor: kernel, surroundings, root, CPUs" {
    local release name pid_1=(unshare --pid --fork --mount-proc=/mnt/root/proc)
    consult 1 setarch --uname-2.6 "$DOCTOR" kernel
    says no kernel 'Linux 2.6.' 'boot a newer one'
    # os-release(5): quotes of either kind, or none.
    while IFS=: read -r release name; do
        echo "$release" >"$BATS_TEST_TMPDIR/os-release"
        consult 0 unshare --mount sh -c 'mount --bind "$1" /etc/os-release && exec "$DOCTOR" kernel' - "$BATS_TEST_TMPDIR/os-release"
        assert_output --regexp "^  ok      kernel +Linux [^ ]+, $name\$"
    done <<'RELEASES'
PRETTY_NAME="One 1":One 1
PRETTY_NAME='One 1':One 1
PRETTY_NAME=One:One
NOT_PRETTY_NAME=Two:an unknown distribution
RELEASES
    in_mounts 'echo 4.4.0-19041-Microsoft >/tmp/release-$$; mount --bind /tmp/release-$$ /proc/sys/kernel/osrelease; rm /tmp/release-$$' \
        1 surroundings
    says no surroundings 'WSL 1 has no Linux kernel' 'in PowerShell: wsl --set-version DISTRIBUTION 2'
    in_mounts 'echo 5.15.90.1-microsoft-standard-WSL2 >/tmp/release-$$; mount --bind /tmp/release-$$ /proc/sys/kernel/osrelease; rm /tmp/release-$$' \
        0 surroundings
    says ok surroundings 'WSL 2'
    consult 0 unshare --pid --fork --mount-proc "$DOCTOR" surroundings
    says note surroundings 'in a container (' "where a line below says no, $ELSEWHERE"
    # What an image has kept proves nothing outside of a container.
    in_directory 0 'touch .dockerenv' "${IN_ROOT[@]}" surroundings
    says note surroundings 'in a chroot: no user namespace can be made, and pivot_root fails' "$ELSEWHERE"
    in_directory 0 'touch .dockerenv' "${pid_1[@]}" "${IN_ROOT[@]}" surroundings
    says note surroundings 'in a container (docker)' "where a line below says no, $ELSEWHERE"
    in_directory 0 'mount -t tmpfs none run; touch run/.containerenv' "${pid_1[@]}" "${IN_ROOT[@]}" surroundings
    says note surroundings 'in a container (podman)'
    in_directory 0 'mount -t tmpfs none run; mkdir run/systemd; echo lxc >run/systemd/container' "${pid_1[@]}" "${IN_ROOT[@]}" surroundings
    says note surroundings 'in a container (lxc)'
    consult 1 setpriv --bounding-set=-sys_admin,-fowner,-sys_time,-net_bind_service "$DOCTOR" root
    says no root 'root, but without CAP_FOWNER CAP_NET_BIND_SERVICE CAP_SYS_ADMIN CAP_SYS_TIME' "root of a container lacks some rights: $ELSEWHERE"
    consult 0 taskset -c 0 "$DOCTOR" CPUs
    says note CPUs '1 CPU' 'lab 05 cannot show 150%'
}

@test "doctor: each system call that a filter refuses is named" {
    local row line call labs
    while IFS=: read -r line call labs; do
        consult 1 "$REFUSE" "${call%%,*}:ENOSYS" -- "$DOCTOR" "$line"
        says no "$line" "$call: ENOSYS (Function not implemented)" "$ELSEWHERE"
        concerns "$labs"
    done <<'ROWS'
system calls:openat2, Linux 5.6:01 02 03 04 05 06 07 08 09
system calls:clone3, Linux 5.3:01 02 03 04 05 06 07 08 09
system calls:pidfd_open, Linux 5.3:01 02 03 04 05 06 07 08 09
chroot:chroot, Linux 1.0:01 02 04
setns:setns, Linux 3.0:03 04 07 08 09
close_range:close_range, Linux 5.9:03 04 09
system calls of lab 09:mount_setattr, Linux 5.12:09
system calls of lab 09:pidfd_send_signal, Linux 5.1:09
system calls of lab 09:open_tree, Linux 5.2:09
system calls of lab 09:move_mount, Linux 5.2:09
system calls of lab 09:fsopen, Linux 5.2:09
system calls of lab 09:fsconfig, Linux 5.2:09
system calls of lab 09:fsmount, Linux 5.2:09
system calls of lab 09:memfd_create, Linux 3.17:09
system calls of lab 09:keyctl, Linux 2.6.10:09
ROWS
    # With seccomp itself refused, the filter of `refuse` is one by prctl(2).
    consult 1 "$REFUSE" seccomp:ENOSYS -- "$DOCTOR" 'system calls of lab 09'
    says no 'system calls of lab 09' 'seccomp, Linux 3.17: ENOSYS' "$ELSEWHERE"
}

@test "doctor: whatever has no descriptor left is named with its errno" {
    local files failed=0
    for files in {7..11}; do
        run bash -c "ulimit -n $files; exec '$LABS/doctor' veth" 3>&-
        if ((status)); then
            assert_output --partial EMFILE
            failed=$((failed + 1))
        fi
    done
    ((failed))
}

@test "doctor: a guardian that cannot close what it has inherited ends with its run" {
    consult 0 timeout "$TOO_LONG" "$REFUSE" close_range:ENOSYS -- "$DOCTOR" 'cgroup cpu'
    says ok 'cgroup cpu' 'cgroup v'
}

@test "doctor: each of the eight namespaces, refused, missing, and at its limit" {
    local row line name flag
    for row in 'mount namespace:mnt:NEWNS:0x20000' 'UTS namespace:uts:NEWUTS:0x4000000' \
        'IPC namespace:ipc:NEWIPC:0x8000000' 'PID namespace:pid:NEWPID:0x20000000' \
        'network namespace:net:NEWNET:0x40000000' 'user namespace:user:NEWUSER:0x10000000' \
        'cgroup namespace:cgroup:NEWCGROUP:0x2000000' 'time namespace:time:NEWTIME:0x80'; do
        IFS=: read -r line name flag value <<<"$row"
        consult 1 "$REFUSE" "unshare:EPERM:0=$value" -- "$DOCTOR" "$line"
        says no "$line" "unshare CLONE_$flag: EPERM (Operation not permitted)" \
            "a container or a filter forbids it: $ELSEWHERE"
        consult 1 "$REFUSE" "unshare:EINVAL:0=$value" -- "$DOCTOR" "$line"
        says no "$line" "unshare CLONE_$flag: EINVAL (Invalid argument)" \
            "the kernel is built without it: $ELSEWHERE"
        if [ "$name" != mnt ]; then
            consult 1 "$REFUSE" "unshare:OK:0=$value" -- "$DOCTOR" "$line"
            [ "$name" = user ] || says no "$line" 'a child is not in the new namespace' "$ELSEWHERE"
        fi
        consult 1 unshare --user --map-root-user sh -c \
            "echo 0 >/proc/sys/user/max_${name}_namespaces && exec \"\$DOCTOR\" '$line'"
        says no "$line" "unshare CLONE_$flag: ENOSPC (No space left on device)" \
            "a limit forbids it: sysctl -w user.max_${name}_namespaces=10000"
    done
    consult 1 setpriv --bounding-set=-setfcap "$DOCTOR" 'user namespace'
    says no 'user namespace' "write '0 0 1' to /proc/self/uid_map: EPERM" "$ELSEWHERE"
    consult 1 "$REFUSE" clone:EAGAIN -- "$DOCTOR" 'user namespace'
    says no 'user namespace' 'start a child: EAGAIN (Resource temporarily unavailable)' "$ELSEWHERE"
}

@test "doctor: the remedy for a limit helps" {
    consult 0 unshare --user --map-root-user sh -c '
        echo 0 >/proc/sys/user/max_uts_namespaces && sysctl -qw user.max_uts_namespaces=10000 &&
        exec "$DOCTOR" "UTS namespace"'
}

@test "doctor: what keeps ordinary users from user namespaces is named" {
    local refused='unshare CLONE_NEWUSER as uid 65534: EPERM' line='unprivileged user namespaces'
    # The files of the two distributions, on a kernel that may have neither; the refusal by a filter.
    local sysctls='mount -t tmpfs none /proc/sys/kernel'
    consult 0 "$REFUSE" unshare:EPERM:0=0x10000000 -- "$DOCTOR" "$line"
    says note "$line" "$refused" "a container or a filter forbids it: $ELSEWHERE"
    consult 0 unshare --mount sh -c "$sysctls && echo 0 >/proc/sys/kernel/unprivileged_userns_clone &&
        exec \"\$REFUSE\" unshare:EPERM:0=0x10000000 -- \"\$DOCTOR\" '$line'"
    says note "$line" "$refused" 'a sysctl forbids it (Debian): sysctl -w kernel.unprivileged_userns_clone=1'
    # AppArmor grants the namespace and no right in it.
    consult 0 unshare --mount sh -c "$sysctls && echo 1 >/proc/sys/kernel/apparmor_restrict_unprivileged_userns &&
        exec \"\$REFUSE\" sethostname:EPERM -- \"\$DOCTOR\" '$line'"
    says note "$line" 'no rights in its user namespace, as uid 65534: EPERM' \
        'AppArmor forbids it (Ubuntu since 24.04): sysctl -w kernel.apparmor_restrict_unprivileged_userns=0'
    # Root of a user namespace in which nobody else is.
    consult 0 unshare --user --map-root-user "$DOCTOR" "$line"
    says note "$line" 'untried: become uid 65534: EINVAL' 'there is no such user in this user namespace'
    # Nobody in a user namespace of its own, whose limit is 0.
    consult 0 unshare --user --map-user=1000 --keep-caps sh -c "echo 0 >/proc/sys/user/max_user_namespaces && exec \"\$DOCTOR\" '$line'"
    says note "$line" 'unshare CLONE_NEWUSER as uid 1000: ENOSPC' \
        'a limit forbids it: sysctl -w user.max_user_namespaces=10000'
}

@test "doctor: in a chroot, and after its remedy" {
    in_directory 1 '' "${IN_ROOT[@]}" 'mount namespace'
    says no 'mount namespace' 'make / MS_PRIVATE: EINVAL (Invalid argument)' \
        'the present root is no mount, as in a chroot: mount --bind'
    in_directory 0 '' "${IN_ROOT[@]}" surroundings
    says note surroundings 'in a chroot: no user namespace can be made, and pivot_root fails' "$ELSEWHERE"
    in_directory 0 'mount --rbind /mnt/root /mnt/root' "${IN_ROOT[@]}" 'mount namespace'
    says ok 'mount namespace' 'made, and a tmpfs mounted in it'
}

@test "doctor: pivot_root, proc, overlayfs, /tmp" {
    consult 1 "$REFUSE" pivot_root:EINVAL -- "$DOCTOR" pivot_root
    says no pivot_root 'pivot_root: EINVAL (Invalid argument)' 'the present root is an initial ramdisk'
    consult 1 "$REFUSE" pivot_root:EPERM -- "$DOCTOR" pivot_root
    says no pivot_root 'pivot_root: EPERM (Operation not permitted)' "$ELSEWHERE"
    consult 1 "$REFUSE" mount:EACCES:3=4 -- "$DOCTOR" pivot_root
    says no pivot_root 'mount a tmpfs: EACCES (Permission denied)' "$ELSEWHERE"
    consult 1 "$REFUSE" mount:EPERM:3=0x44000 -- "$DOCTOR" pivot_root
    says no pivot_root 'make / MS_PRIVATE: EPERM (Operation not permitted)' "$ELSEWHERE"
    consult 1 "$REFUSE" pivot_root:OK umount2:EINVAL -- "$DOCTOR" pivot_root
    says no pivot_root 'umount the old root: EINVAL (Invalid argument)' "$ELSEWHERE"
    consult 1 "$REFUSE" pivot_root:OK umount2:OK -- "$DOCTOR" pivot_root
    says no pivot_root 'the old root is still there' "$ELSEWHERE"
    # Some filters end the process that makes such a call.
    consult 1 "$REFUSE" pivot_root:SIGSYS -- "$DOCTOR" pivot_root
    says no pivot_root 'it was ended by SIGSYS' "a filter forbids it: $ELSEWHERE"
    consult 1 unshare --mount sh -c 'mount -t tmpfs none /proc/fs && exec unshare --user --map-root-user "$DOCTOR" "mount proc"'
    says no 'mount proc' 'mount proc in a new PID namespace: EPERM' 'parts of the present /proc are covered'
    consult 1 "$REFUSE" mount:OK:3=0 -- "$DOCTOR" 'mount proc'
    says no 'mount proc' "/proc/self is '" "$ELSEWHERE"
    assert_line --regexp "/proc/self is '[0-9]+', not 1$"
    consult 1 "$REFUSE" mount:OK:3=1024 -- "$DOCTOR" overlayfs
    says no overlayfs 'write through the overlay: ENOENT' "$ELSEWHERE"
    consult 1 "$REFUSE" mount:ENODEV:3=1024 -- "$DOCTOR" overlayfs
    says no overlayfs 'mount an overlay: ENODEV (No such device)' 'the kernel has no overlayfs: modprobe overlay'
    consult 1 "$REFUSE" mount:EPERM:3=1024 -- "$DOCTOR" overlayfs
    says no overlayfs 'mount an overlay: EPERM (Operation not permitted)' "$ELSEWHERE"
    run -0 mkdir "$BATS_TEST_TMPDIR/lower" "$BATS_TEST_TMPDIR/upper" "$BATS_TEST_TMPDIR/work" "$BATS_TEST_TMPDIR/all"
    in_mounts "mount -t tmpfs none '$BATS_TEST_TMPDIR/upper'; cd '$BATS_TEST_TMPDIR/upper'; mkdir u w; cd ../all
        mount -t overlay -o lowerdir=../lower,upperdir=../upper/u,workdir=../upper/w none .; cd ." 0 'idmapped mounts'
    says note 'idmapped mounts' 'mount_setattr MOUNT_ATTR_IDMAP here: EINVAL' 'containers of lab 09 need --userns host here'
    consult 0 "$REFUSE" mount_setattr:ENOSYS -- "$DOCTOR" 'idmapped mounts'
    says note 'idmapped mounts' 'mount_setattr MOUNT_ATTR_IDMAP here: ENOSYS'
    consult 0 "$REFUSE" open_tree:EPERM -- "$DOCTOR" 'idmapped mounts'
    says note 'idmapped mounts' 'open the present directory, by open_tree: EPERM' "$ELSEWHERE"
    consult 0 unshare --user --map-root-user "$DOCTOR" 'idmapped mounts'
    says note 'idmapped mounts' 'map the user 100000: write to /proc/' "$ELSEWHERE"
    consult 0 unshare --user --map-root-user sh -c 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$DOCTOR" "idmapped mounts"'
    says note 'idmapped mounts' 'clone CLONE_NEWUSER: ENOSPC' 'a limit forbids it: sysctl -w user.max_user_namespaces=10000'
    unset TMPDIR
    # The labs may lie below /tmp themselves, so that they are hidden with it.
    local aside='mount -t tmpfs none /mnt; cp "$DOCTOR" /mnt/doctor; DOCTOR=/mnt/doctor; '
    in_mounts "$aside"'mount -t tmpfs -o noexec none /tmp' 0 'programs in /tmp'
    says no 'programs in /tmp' '/tmp is mounted noexec' 'mount -o remount,exec it, or name another'
    in_mounts "$aside"'mount -t tmpfs -o noexec none /tmp; mount -o remount,exec /tmp' 0 'programs in /tmp'
    says ok 'programs in /tmp' 'programs run from /tmp'
    consult 0 env TMPDIR=/nowhere "$DOCTOR" 'programs in /tmp'
    says no 'programs in /tmp' 'make a file in /nowhere: ENOENT' 'name another one in TMPDIR'
    consult 0 "$REFUSE" fchmod:EPERM -- "$DOCTOR" 'programs in /tmp'
    says no 'programs in /tmp' 'write a program to /tmp: EPERM' 'name another one in TMPDIR'
    run -1 compgen -G '/tmp/doctor.*'
}

@test "doctor: no control groups, a read-only hierarchy" {
    local line
    in_mounts 'umount -R /sys/fs/cgroup' 1 cgroup 'cgroup cpu' 'cgroup memory' 'cgroup pids'
    says no cgroup 'no cgroup file system is mounted' 'mount -t cgroup2 none /sys/fs/cgroup'
    for line in cpu memory pids; do
        says no "cgroup $line" "find the controller $line: ENODEV" 'no hierarchy of this machine has it'
    done
    # The options of cgroup v2 belong to the machine, not to the mount: the same again.
    in_mounts 'options=$(findmnt -nro FS-OPTIONS -t cgroup2 | head -n 1); umount -R /sys/fs/cgroup
        mount -t cgroup2 -o "${options:-rw}" none /sys/fs/cgroup' 0 cgroup
    says ok cgroup 'cgroup v2'
    in_mounts 'for place in $(grep " cgroup" /proc/self/mounts | cut -d " " -f 2); do mount -o remount,bind,ro "$place" ; done' \
        1 'cgroup cpu' 'cgroup memory' 'cgroup pids'
    for line in cpu memory pids; do
        says no "cgroup $line" 'mkdir /sys/fs/cgroup/' 'the cgroup file system is read-only, as in a container'
        assert_line --regexp "^  no      cgroup $line +mkdir [^ ]*/container-labs(/[^ ]*)?: EROFS"
    done
}

@test "doctor: a cgroup namespace, a user namespace, a /run that hold the labs back" {
    local line hierarchy=/sys/fs/cgroup/cpu
    # In a cgroup namespace that begins below what is mounted.
    ! has_v2 || hierarchy=/sys/fs/cgroup
    mkdir "$hierarchy/doctor-test-$$"
    consult 1 bash -c 'echo $$ >"$1/cgroup.procs" && exec unshare --cgroup "$DOCTOR" "cgroup cpu"' - "$hierarchy/doctor-test-$$"
    rmdir "$hierarchy/doctor-test-$$"
    says no 'cgroup cpu' 'find the controller cpu: EXDEV (Invalid cross-device link)' \
        'the cgroup file system was mounted outside of this cgroup namespace'
    # As in a rootless container: root inside, nobody outside.
    local rootless=(setpriv --reuid=65534 --regid=65534 --clear-groups unshare --user --map-root-user --mount)
    for line in cpu memory pids; do
        consult 1 "${rootless[@]}" sh -c 'mount -t tmpfs none /run && exec "$DOCTOR" "$1"' - "cgroup $line"
        says no "cgroup $line" 'mkdir /sys/fs/cgroup/' 'only root may: try sudo (in a container even root may not)'
        assert_line --regexp "^  no      cgroup $line +mkdir [^ ]*/container-labs(/[^ ]*)?: EACCES"
    done
    consult 1 unshare --mount sh -c 'mount -t tmpfs -o mode=755 none /run && exec "$@"' - "${rootless[@]}" "$DOCTOR" 'cgroup cpu'
    says no 'cgroup cpu' 'make and lock /run/container-labs: EACCES' 'only root may: try sudo (root of a user namespace needs a /run of its own: mount -t tmpfs none /run)'
    in_mounts 'mount -t tmpfs -o ro none /run' 1 'cgroup cpu'
    says no 'cgroup cpu' 'make and lock /run/container-labs: EROFS' 'it has to be where files can be made: mount -t tmpfs none /run'
    in_mounts 'mount -t tmpfs -o ro none /run; mount -t tmpfs none /run' 0 'cgroup cpu'
    says ok 'cgroup cpu' 'cgroup v'
}

# in_v2_group STATUS SCRIPT LINE...: a doctor in a group of v2 that it takes for the root, as in a container, after
# SCRIPT was run in it.
in_v2_group() {
    local status=$1 script=$2 group=/sys/fs/cgroup/doctor-test-$$
    shift 2
    mkdir "$group"
    consult "$status" bash -c 'set -e; group=$1 script=$2; shift 2; eval "$script"; echo $$ >"$group/cgroup.procs"
        exec unshare --mount --cgroup bash -c "umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; exec \"\$DOCTOR\" \"\$@\"" - "$@"' \
        - "$group" "$script" "$@"
    find "$group" -depth -type d -delete
}

# bats test_tags=v2
@test "doctor: what a group of cgroup v2 refuses" {
    has_v2 || { play_in_vm; return; }
    local cannot='a group of v2 with processes of its own hands on no controllers'
    in_v2_group 1 '' 'cgroup cpu' 'cgroup memory' 'cgroup pids'
    says no 'cgroup cpu' "write '+cpu' to /sys/fs/cgroup/cgroup.subtree_control: EBUSY" "$cannot"
    says no 'cgroup memory' "write '+memory' to /sys/fs/cgroup/cgroup.subtree_control: EBUSY" "$cannot"
    says no 'cgroup pids' "write '+pids' to /sys/fs/cgroup/cgroup.subtree_control: EBUSY" "$cannot"
    # Beside groups with processes of their own, and with memory, no group can be threaded: so it is one further down.
    in_v2_group 1 'echo +cpu >$group/cgroup.subtree_control; mkdir $group/below; group=$group/below
        echo threaded >$group/cgroup.type' 'cgroup cpu' 'cgroup memory'
    says no 'cgroup cpu' "write '+cpu' to /sys/fs/cgroup/container-labs/cgroup.subtree_control: EOPNOTSUPP" \
        'the group is threaded, see its cgroup.type'
    says no 'cgroup memory' 'find the controller memory: ENODEV' 'no hierarchy of this machine has it'
    # A group above that hands on no memory.
    in_v2_group 1 'echo +pids >$group/cgroup.subtree_control; mkdir $group/below; group=$group/below' 'cgroup memory'
    says no 'cgroup memory' 'find the controller memory: ENODEV' 'no hierarchy of this machine has it'
    # A kernel with CONFIG_RT_GROUP_SCHED and a realtime thread: only its answer, by a filter.
    consult 1 bash -c 'echo -cpu >/sys/fs/cgroup/cgroup.subtree_control; "$REFUSE" write:EINVAL:2=4 -- "$DOCTOR" "cgroup cpu"
        status=$?; echo +cpu >/sys/fs/cgroup/cgroup.subtree_control; exit $status'
    says no 'cgroup cpu' "write '+cpu' to /sys/fs/cgroup/cgroup.subtree_control: EINVAL" \
        'with realtime threads outside the root group the kernel enables no cpu controller'
}

# The two commands that the tool prints, then the tool itself.
in_the_root_of_a_namespace() {
    umount -R /sys/fs/cgroup
    mount -t cgroup2 none /sys/fs/cgroup
    local commands
    commands=$(env -u LAB_MUST_RUN "$LABS/05_cgroup_cpu" --cpus 1 true 2>&1) && return 1
    [ "$("$DOCTOR" --json 'cgroup cpu' | grep -c 'EBUSY.*xargs')" -eq 1 ] || return 1
    eval "${commands##*first: }"
    "$LABS/05_cgroup_cpu" --cpus 1 true && "$LABS/06_cpu_shares" --seconds 1 A=512:1 && "$DOCTOR"
}

# bats test_tags=v2
@test "doctor: in a container with cgroup v2, the two commands that are printed help" {
    has_v2 || { play_in_vm; return; }
    local group=/sys/fs/cgroup/doctor-test-$$
    mkdir "$group"
    export -f in_the_root_of_a_namespace
    consult 0 bash -c 'echo $$ >"$1/cgroup.procs" && exec unshare --mount --cgroup bash -c in_the_root_of_a_namespace' - "$group"
    find "$group" -depth -type d -delete
}

# agrees [NUMBERS] COMMAND...: in the environment that COMMAND makes, the doctor names the labs NUMBERS ("08 09") as
# those that cannot run; these end with 77 and one line, all others hold.
agrees() {
    local cannot=$1
    shift
    local -a environment=("$@")
    run "$@" "$DOCTOR" --json 3>&-
    assert_line --index 0 --regexp "^\{\"cannot_run\": \[$(sed -E 's/[0-9]+/"&"/g; s/ /, /g' <<<"$cannot")\], "
    at_once is_as_the_doctor_says 01 02 03 04 05 06 07 08 09
}

is_as_the_doctor_says() {
    local lab
    lab=$(find "$LABS/" -maxdepth 1 -name "$1_*" ! -name '*.*' -perm -u+x)
    if [[ " $cannot " == *" $1 "* ]]; then
        run -77 --separate-stderr env -u LAB_MUST_RUN timeout -k 1 "$TOO_LONG" "${environment[@]}" "$lab" 3>&-
        assert_regex "$stderr" "^[^;]*${lab##*/}: [^;]+; "
    elif [[ $1 == 0[56] ]]; then # the first two steps of those that are a load for the CPUs
        run timeout -k 1 "$TOO_LONG" "${environment[@]}" "$lab" --step <<<$'\n\nq' 3>&-
        assert_line --regexp '^\[[0-9]+\] [1-9][0-9]* checks held, 0 failed, ended early$'
    else
        run timeout -k 1 "$TOO_LONG" "${environment[@]}" "$lab" 3>&-
        assert_experiment_held
    fi
}

# bats test_tags=many
@test "doctor: its verdict on each lab is what the lab does, in thirteen environments" {
    local every='01 02 03 04 05 06 07 08 09' after=(unshare --mount bash -c 'eval "$0" || exit; exec "$@"')
    local user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    agrees '' env
    agrees '05 06' "${user[@]}"
    agrees "$every" "${user[@]}" unshare --map-root-user --mount
    agrees 09 unshare --map-root-user --mount
    agrees 09 unshare --user --map-root-user --net
    agrees '05 06 09' "${after[@]}" 'umount -R /sys/fs/cgroup'
    agrees '05 06 09' "${after[@]}" 'for place in $(grep " cgroup" /proc/self/mounts | cut -d " " -f 2); do mount -o remount,bind,ro "$place"; done'
    agrees '08 09' env PATH="$(path_without iptables):/usr/bin:/bin" # the last two for what is in a new root
    agrees '01 02 08 09' "${after[@]}" 'for name in busybox busybox.static; do
        [ ! -e "/usr/bin/$name" ] || mount --bind /dev/null "/usr/bin/$name" || exit; done; unset BUSYBOX'
    agrees '02 07 08 09' setpriv --bounding-set=-net_admin
    agrees "$every" setpriv --bounding-set=-sys_admin
    agrees "$every" "$REFUSE" unshare:EPERM --
    agrees "$every" "${after[@]}" 'mount -t tmpfs -o ro none /run'
}

@test "doctor: bridge, veth, a NAT rule, forwarding" {
    local kind
    for kind in bridge veth; do
        consult 1 setpriv --bounding-set=-net_admin "$DOCTOR" "$kind"
        says no "$kind" "ip link add lab1 type $kind: RTNETLINK answers: Operation not permitted" "$ELSEWHERE"
        consult 1 env PATH="$(path_without ip)" "$DOCTOR" "$kind"
        says no "$kind" '/usr/sbin/ip is there, and PATH has no /usr/sbin' 'use sudo, or su with a minus sign'
    done
    # What ip says of a kind of link that the kernel does not know.
    run -2 ip link add lab1 type nonsense
    consult_with ip "echo '$output' >&2; exit 2" veth
    says no veth 'ip link add lab1 type veth: Error: Unknown device type' 'the kernel has no module for it: modprobe it'
    consult_with ip 'case $2 in add) ;; *) echo none; exit 1 ;; esac' bridge
    says no bridge 'no link after ip link add lab1 type bridge: none' "$ELSEWHERE"
    # One that hangs is ended, and it hangs no longer.
    consult_with ip "echo \$\$ >'$BATS_TEST_TMPDIR/pid'; exec sleep 1000" veth
    says no veth 'it hung, and was ended' "see where: strace -f $DOCTOR 'veth'"
    wait_until_gone "$(cat "$BATS_TEST_TMPDIR/pid")"
    consult 1 setpriv --bounding-set=-net_admin "$DOCTOR" 'NAT rule'
    says no 'NAT rule' 'iptables -t nat -A POSTROUTING' "$ELSEWHERE"
    consult 1 env PATH="$(path_without iptables)" "$DOCTOR" 'NAT rule' 'FORWARD policy'
    says no 'NAT rule' '/usr/sbin/iptables is there, and PATH has no /usr/sbin' 'use sudo, or su with a minus sign'
    says note 'FORWARD policy' 'unknown without iptables' 'see the line iptables'
    consult 0 setpriv --bounding-set=-net_admin "$DOCTOR" 'FORWARD policy'
    says note 'FORWARD policy' 'unknown: list the chains of nftables: EPERM' "$ELSEWHERE"
    consult_with iptables 'echo "iptables: Table does not exist (do you need to insmod?)" >&2; exit 3' 'NAT rule' 'FORWARD policy'
    says no 'NAT rule' 'iptables -t nat -A' 'the kernel lacks what this iptables speaks'
    says note 'FORWARD policy' 'unknown: iptables: Table does not exist' 'the kernel lacks what this iptables speaks'
    consult 1 "$REFUSE" socket:EPROTONOSUPPORT:2=12 -- "$DOCTOR" 'NAT rule'
    says no 'NAT rule' 'iptables -t nat -A' 'the kernel lacks what this iptables speaks'
    in_mounts 'mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys' 1 ip_forward
    says no ip_forward 'write 1 to /proc/sys/net/ipv4/ip_forward: EROFS' '/proc/sys is read-only, as in a container'
    consult 1 setpriv --bounding-set=-net_admin "$DOCTOR" ip_forward
    says no ip_forward 'write 1 to /proc/sys/net/ipv4/ip_forward: EPERM' "$ELSEWHERE"
    in_mounts 'mount -t tmpfs none /proc/sys; mkdir -p /proc/sys/net/ipv4; ln -s /dev/null /proc/sys/net/ipv4/ip_forward' 1 ip_forward
    says no ip_forward '/proc/sys/net/ipv4/ip_forward is 0 after 1 was written' "$ELSEWHERE"
    consult 0 unshare --net sh -c 'iptables -P FORWARD DROP && exec "$DOCTOR" "FORWARD policy"'
    says note 'FORWARD policy' 'DROP' 'Docker and ufw set it'
    local bridge='mount -t tmpfs none /proc/sys/net; mkdir /proc/sys/net/bridge; echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables'
    consult 0 unshare --net --mount sh -c "iptables -P FORWARD DROP; $bridge; exec \"\$DOCTOR\" bridge-nf-call-iptables"
    says note bridge-nf-call-iptables '1, and the FORWARD policy DROP holds' 'before 07_veth_bridge up: sysctl -w'
    consult 0 unshare --net --mount env PATH="$(path_without iptables)" sh -c "$bridge; exec \"\$DOCTOR\" bridge-nf-call-iptables"
    says note bridge-nf-call-iptables '1, and what FORWARD does is unknown' 'see the line FORWARD policy'
    consult 0 unshare --net --mount sh -c "nft 'add table inet other; add chain inet other c {type filter hook forward priority 0; policy drop;}'
        $bridge; exec \"\$DOCTOR\" bridge-nf-call-iptables"
    says note bridge-nf-call-iptables '1, and the chain c of the table inet other drops what a bridge passes on, too' 'see the line FORWARD policy'
    consult 0 unshare --net --mount sh -c "$bridge; exec \"\$DOCTOR\" bridge-nf-call-iptables"
    says ok bridge-nf-call-iptables '1, and FORWARD lets it pass'
}

@test "doctor: programs that are missing, dynamic, busybox's, or broken" {
    local row
    consult 1 env -u BUSYBOX PATH="$(path_without busybox busybox.static)" "$DOCTOR" busybox 'static busybox'
    says no busybox 'not installed' 'install busybox-static (make deps)'
    consult 1 env BUSYBOX=/bin/true "$DOCTOR" busybox 'static busybox'
    says ok busybox '/bin/true, dynamic'
    consult 1 env BUSYBOX=/nowhere "$DOCTOR" busybox
    says no busybox "no program: '/nowhere', named in BUSYBOX" 'name another one in BUSYBOX, or none'
    consult 1 env BUSYBOX=/bin/true "$DOCTOR" busybox 'static busybox'
    says no 'static busybox' '/bin/true is dynamic: it wants /lib' 'install busybox-static (make deps)'
    assert_line 'Labs that cannot run here: 01. See docs/troubleshooting.md, by line.'
    consult 1 env BUSYBOX="$REPO/tests/fresh.sh" "$DOCTOR" busybox
    says no busybox "read the ELF header of $REPO/tests/fresh.sh: ENOEXEC" 'name another one in BUSYBOX'
    for row in ip:'03 07 08' brctl:'07 08' iptables:'08 09' ping:'07 08' ldd:01 readelf:01 unshare:'02 03 04' hostname:'03 04' ps:03 ipcmk:03 mount:'03 04' sysctl:08 bats:; do
        consult "$([ "$row" = bats: ] && echo 0 || echo 1)" env PATH="$(path_without "${row%:*}")" "$DOCTOR" "${row%:*}"
        case ${row%:*} in
        ip | iptables | brctl | sysctl) says no "${row%:*}" "/usr/sbin/${row%:*} is there, and PATH has no /usr/sbin" 'use sudo, or su with a minus sign' ;;
        *) says no "${row%:*}" "${row%:*} is not installed" 'install what is missing: make deps' ;;
        esac
        concerns "${row#*:}"
    done
    consult 1 env PATH="$(path_without chroot)" "$DOCTOR" 'chroot(1)'
    says no 'chroot(1)' '/usr/sbin/chroot is there, and PATH has no /usr/sbin' 'use sudo, or su with a minus sign'
    concerns 02
    path_without >/dev/null
    ln -sf "$(command -v busybox)" "$BATS_TEST_TMPDIR/path/ip"
    consult 1 env PATH="$BATS_TEST_TMPDIR/path" "$DOCTOR" ip
    says no ip "this ip is busybox's" 'install the real one: make deps'
    consult_with brctl 'echo broken; exit 1' brctl
    says no brctl 'brctl --version: broken' 'install its package anew'
    consult_with brctl '' brctl
    says no brctl 'brctl --version: it says nothing' 'install its package anew'
}

#!/usr/bin/env bats
# The Makefile and what it says when something is missing.

load helpers

REPO=${BATS_TEST_FILENAME%/tests/*}

# Without optimization, which takes most of a compiler's time.
make_here() { make -C "$REPO" --no-print-directory BUILD="$OUT/build" BIN="$OUT/bin" CFLAGS=-O0 "$@"; }

files_of() { (cd "$1" && find . -type f -printf '%p %T@ %s\n' | sort); }

# Everything is built once, out of tree, in a copy, because others may build in the repository at the same time. What
# make has printed, and the files of the copy before and after, are beside it.
setup_file() {
    local OUT=$BATS_FILE_TMPDIR/out COPY=$BATS_FILE_TMPDIR/copy
    mkdir "$COPY"
    cp -r "$REPO"/{Makefile,common,labs,solutions,tests} "$COPY"
    files_of "$COPY" >"$COPY.before"
    REPO=$COPY make_here lab-01 >"$OUT.lab-01" && REPO=$COPY make_here -j2 all >"$OUT.all" || return
    files_of "$COPY" >"$COPY.after"
}

setup() {
    machine_before
    OUT=$BATS_TEST_TMPDIR/out
}

teardown() { machine_after; }

# For tests that go on from there.
built() { OUT=$BATS_FILE_TMPDIR/out; }
copy_built() { cp -a "$BATS_FILE_TMPDIR/out" "$OUT"; }

@test "make: builds a lab out of tree and says what to type; a changed header builds it again" {
    built
    run -0 cat "$OUT.lab-01"
    assert_line "Now type: sudo $OUT/bin/01_chroot"
    run -0 "$OUT/bin/01_chroot" --version
    run -0 make_here lab-01
    assert_output "Now type: sudo $OUT/bin/01_chroot"
    run -0 make_here lab-01 -W common/page.h
    assert_line '  CC  common/lab_do.c'
    assert_line "  LD  $OUT/bin/01_chroot"
    refute_output --partial 'common/number.c'
}

@test "make: the commands are told shortly, with V=1 as they are, with -s not at all; errors always" {
    run -0 make_here "$OUT/build/common/number.o"
    assert_output '  CC  common/number.c'
    run -0 make_here -B "$OUT/build/common/number.o" V=1
    assert_line --regexp '^[^ ]+ .*-Wall .*-c -o .*/number.o common/number.c$'
    refute_line --partial '  CC  '
    run -0 make_here -s -W common/number.c "$OUT/build/common/number.o"
    assert_output ''
    run -2 make_here -W common/number.c "$OUT/build/common/number.o" CPPFLAGS='-include no-such.h'
    assert_line --partial 'no-such.h: No such file or directory'
}

@test "make: a missing compiler is named with its package" {
    run -2 make_here lab-01 CC=no-such-compiler
    assert_line --partial 'cc is missing: it is in the package gcc (make deps installs it)'
    refute_output --partial 'common/error.c'
}

@test "make: a missing C library header is named with its package" {
    printf '#!/bin/sh\necho "stdio.h: No such file or directory" >&2\nexit 1\n' >"$TMPDIR/cc"
    chmod +x "$TMPDIR/cc"
    run -2 make_here lab-01 CC="$TMPDIR/cc"
    assert_line --partial '<stdio.h> is missing: it is in the package libc6-dev'
    rm "$TMPDIR/cc"
}

@test "make: lab 09 alone needs libraries; one that is missing is named with its package" {
    printf '#!/bin/sh\ncase "$*" in "-E -") ! grep -q seccomp.h ;; *) exec gcc "$@" ;; esac\n' >"$TMPDIR/cc"
    chmod +x "$TMPDIR/cc"
    copy_built
    rm "$OUT"/build/.compiler "$OUT"/build/.container-libraries
    run -2 make_here lab-09 CC="$TMPDIR/cc"
    assert_line --partial '<seccomp.h> is missing: it is in the package libseccomp-dev (make deps installs it)'
    run -0 make_here lab-01 CC="$TMPDIR/cc"
    rm "$TMPDIR/cc"
}

@test "make: a build for another machine runs nothing that it builds; lab 09 then makes its filter at each start" {
    printf '#!/bin/sh\ncase $1 in -dumpmachine) echo sparc64-linux-gnu ;; *) exec gcc "$@" ;; esac\n' >"$TMPDIR/cc"
    chmod +x "$TMPDIR/cc"
    copy_built
    rm "$OUT"/build/.compiler "$OUT/build/labs/container/default_filter.h"
    run -0 make_here lab-02 lab-09 CC="$TMPDIR/cc"
    assert_line '  CC  labs/container/privileges.c'
    [ ! -s "$OUT/build/labs/container/default_filter.h" ]
    "$OUT/bin/02_rootfs" "$OUT/rootfs"
    run -0 "$OUT/bin/09_full_container" run --userns host --net none "$OUT/rootfs" grep Seccomp: /proc/self/status 3>&-
    assert_line --regexp '^Seccomp:[[:blank:]]2$'
    rm "$TMPDIR/cc"
}

@test "make: test-fresh makes a tree of the release that is named, of Debian 12 otherwise, from a mirror that is named" {
    [ -e /usr/share/distro-info/ubuntu.csv ] || skip "no distro-info-data is installed (make deps-lint installs it with mmdebstrap)"
    printf '#!/bin/sh\necho "$@" >&2\nexit 3\n' >"$TMPDIR/mmdebstrap"
    chmod +x "$TMPDIR/mmdebstrap"
    run -2 env PATH="$TMPDIR:$PATH" make -C "$REPO" test-fresh
    assert_line --regexp ' --components=main .* bookworm /[^ ]*/root$'
    run -2 env PATH="$TMPDIR:$PATH" make -C "$REPO" test-fresh RELEASE=noble MIRROR='deb http://example.org noble main'
    assert_line --regexp ' --components=main,universe .* noble /[^ ]*/root deb http://example.org noble main$'
    rm "$TMPDIR/mmdebstrap"
}

@test "make: a missing test tool is named with its package" {
    PATH=$(path_without bats) run -2 make_here test-01
    assert_line --partial 'bats is missing: it is in the package bats'
}

@test "make: checking an exercise asks for no tool that only the tests of the labs need" {
    local without
    without=$(path_without gnuplot strace jq python3 script xz)
    PATH=$without run -2 make_here check-01 WORK="$OUT/work"
    assert_line --partial 'is not there: make exercise-01 makes it'
    PATH=$without run -2 make_here "$OUT/build/.test-tools"
    assert_line --partial 'gnuplot is missing: it is in the package gnuplot-nox'
    PATH=$(path_without bats) run -2 make_here -B "$OUT/build/.check-tools"
    assert_line --partial 'bats is missing: it is in the package bats'
}

@test "make: without a package manager it says what to install" {
    run -1 env PATH="$(path_without apt-get dnf pacman apk busybox)" "$REPO/tests/packages.sh" install run
    assert_line --partial 'no apt-get, dnf, pacman or apk here; install yourself:'
}

@test "make: help names every target of the Makefile" {
    local target
    run -0 make_here help
    while read -r target; do
        assert_line --regexp "^  $target +[a-zA-Z]"
    done < <(sed -nE 's/^\.PHONY: ([a-z-]+)$/\1/p' "$REPO/Makefile")
}

@test "make: building and cleaning elsewhere changes no file here" {
    diff "$BATS_FILE_TMPDIR/copy.before" "$BATS_FILE_TMPDIR/copy.after"
    copy_built
    REPO=$BATS_FILE_TMPDIR/copy run -0 make_here clean
    [ ! -e "$OUT/build" ] && [ ! -e "$OUT/bin/01_chroot" ]
    files_of "$BATS_FILE_TMPDIR/copy" | diff "$BATS_FILE_TMPDIR/copy.before" -
}

# make_as_user TARGET...: as an ordinary user, for whom everything is built by now, in a machine without sudo;
# $FIRST is before what such a user has in PATH.
make_as_user() {
    chmod -R a+rwX "$OUT"
    chmod o+x "$BATS_RUN_TMPDIR/file" "$BATS_FILE_TMPDIR"
    # shellcheck disable=SC2016 # the inner shell replaces it
    unshare --mount --propagation private sh -c '[ ! -e /usr/bin/sudo ] || mount -n --bind /dev/null /usr/bin/sudo; exec "$@"' - \
        setpriv --reuid=65534 --regid=65534 --clear-groups env PATH="${FIRST:-}/usr/local/bin:/usr/bin:/bin" HOME=/ \
        make -C "$REPO" --no-print-directory BUILD="$OUT/build" BIN="$OUT/bin" "$@"
}

@test "make: a checkout that cannot be written is told in one line with what to type, and that works" {
    mkdir "$TMPDIR/checkout"
    mount --bind -o ro "$REPO" "$TMPDIR/checkout"
    local target
    for target in lab-01 lab-09; do
        run -2 make -C "$TMPDIR/checkout" --no-print-directory -s -B "$target"
        assert_line --index 0 --regexp "^make: nothing can be written in build.*; type: make BUILD=~/labs BIN=~/labs/bin$"
        refute_output --partial 'error:'
    done
    built
    rm "$OUT/bin/01_chroot"
    run -0 make -C "$TMPDIR/checkout" --no-print-directory -s lab-01 -W labs/01_chroot.c BUILD="$OUT/build" BIN="$OUT/bin"
    run -0 "$OUT/bin/01_chroot"
    umount "$TMPDIR/checkout"
    rmdir "$TMPDIR/checkout"
}

@test "make: trace-NN shows the calls that a lab teaches, below their steps, and no others" {
    built
    run -0 make_here -s trace-03 STEP=7
    assert_line --index 0 --regexp '^\[03\] step 7 of [0-9]+: user: .* \(own_root\)$'
    assert_line --index 1 --regexp '^    [0-9]+ +setgroups\(0, NULL'
    assert_line --regexp '^    [0-9]+ +unshare\(CLONE_NEWUSER'
    assert_line --regexp '^    [0-9]+ +write\([0-9]+</proc/[0-9]+/uid_map>, "0 65534 1"'
    refute_line --partial 'step 8'
    refute_output --partial 'ok    '
    LAB_MEASURE=1 run -0 make_here -s trace-05
    assert_line --regexp '^    [0-9]+ +mkdir\("/.*/A", 0755\) += 0$'
    assert_line --regexp '^    [0-9]+ +write\([0-9]+<.*/(cpu.cfs_quota_us|cpu.max)>, "50000'
    run -0 make_here -s trace-09
    assert_line --regexp '^    [0-9]+ +clone3\(\{flags=CLONE_NEW'
    assert_line --regexp '^    [0-9]+ +pivot_root\('
    run -2 "$REPO/tests/kit/trace.sh" "$LABS/doctor"
}

@test "make: where there is no sudo, what needs root is told in one line, and the rest works" {
    built
    run -2 make_as_user trace-01
    assert_output --regexp '^Makefile:[0-9]+: \*\*\* this needs root, and no sudo is installed: .* make vm, which needs neither\. +Stop\.$'
    run -0 make_as_user lab-01
    run -0 make_as_user run-01
    assert_line --regexp '^\[01\] [0-9]+ checks held, 0 failed$'
    run make_as_user doctor
    assert_line --partial 'Labs that'
    # Here the user has no control group.
    unset LAB_MUST_RUN
    run -2 make_as_user run-05
    assert_output --regexp '05_cgroup_cpu: .*(systemd-run|sudo)'
    run -0 make_as_user tour
    assert_line --regexp '^\[08\] [0-9]+ checks held, 0 failed$'
    assert_line --regexp '^Not played without root, for the reasons above: 05_cgroup_cpu 06_cpu_shares( 09_full_container)?$'
}

@test "make: where there is sudo, it is used for nothing but what cannot be played without" {
    built
    mkdir "$TMPDIR/bin"
    printf '#!/bin/sh\necho "sudo: $*"\n' >"$TMPDIR/bin/sudo"
    chmod -R a+rX "$TMPDIR" && chmod +x "$TMPDIR/bin/sudo"
    FIRST=$TMPDIR/bin:
    run -0 make_as_user run-01
    refute_output --partial 'sudo: '
    unset LAB_MUST_RUN
    run -0 make_as_user run-05
    assert_line "sudo: $OUT/bin/05_cgroup_cpu"
    rm -r "${TMPDIR:?}/bin"
}

@test "make: the dollars of a RUN= are those of its shell" {
    # shellcheck disable=SC2016
    run -0 make -C "$REPO" --no-print-directory -s test-fresh SUDO='printenv RUN; :' RUN='echo $PWD $$ "$x"'
    assert_output 'echo $PWD $$ "$x"'
}

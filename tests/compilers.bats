#!/usr/bin/env bats
# The compilers and C libraries that build the labs without a warning; the programs they make hold.

load helpers

setup() {
    machine_before
    REPO=${BATS_TEST_FILENAME%/tests/*}
    OUT=$BATS_TEST_TMPDIR/out
    export LAB_MEASURE=20 # how exactly is of no importance here
}

teardown() { machine_after; }

make_here() { nice make -C "$REPO" --no-print-directory -s -j2 BUILD="$OUT/build" BIN="$OUT/bin" "$@"; }

# Whether the compiler $1 is installed. Where nothing may be passed over, it has to be.
is_installed() {
    command -v "$1" >/dev/null || skip "no $1 is installed (make deps-lint installs it)"
}

# The header directories of the kernel and of the libraries of lab 09, for a C library that has its own of all others.
foreign_headers() {
    local directory=$BATS_TEST_TMPDIR/headers name
    mkdir -p "$directory/sys"
    for name in linux asm asm-generic libmnl seccomp.h seccomp-syscalls.h sys/capability.h; do
        for from in /usr/include "/usr/include/$(gcc -dumpmachine)" "/usr/include/$(gcc -print-multiarch)"; do
            if [ -e "$from/$name" ]; then ln -sfn "$from/$name" "$directory/$name"; fi
        done
    done
    echo "$directory"
}

@test "compilers: clang builds every lab, and they hold" {
    is_installed clang
    run -0 make_here CC=clang CFLAGS='-O0 -Werror'
    assert_output ''
    LABS=$OUT/bin at_once holds 01_chroot 09_full_container
}

@test "compilers: ccache before a compiler is a compiler; one that is missing behind it is named" {
    is_installed ccache
    export CCACHE_DIR=$BATS_TEST_TMPDIR/ccache
    run -0 make_here CC='ccache gcc' CFLAGS=-O0 "$OUT/bin/05_cgroup_cpu"
    assert_output ''
    run -2 make_here CC='ccache no-such-compiler' BUILD="$OUT/none" lab-05
    assert_line --partial 'cc is missing: it is in the package gcc'
}

@test "compilers: musl builds labs 01 to 08, which hold, and compiles lab 09" {
    local headers lab filter=$OUT/build/labs/container/default_filter.h
    is_installed musl-gcc
    headers=$(foreign_headers)
    set -- CC=musl-gcc CPPFLAGS="-idirafter $headers" CFLAGS='-O1 -Werror'
    labs=()
    for lab in "$REPO"/labs/0[1-8]_*.c "$REPO"/labs/tools/busy.c "$REPO"/labs/tools/doctor.c; do
        lab=${lab##*/}
        labs+=("$OUT/bin/${lab%.c}")
    done
    run -0 make_here "$@" "${labs[@]}"
    assert_output ''
    labs=("${labs[@]##*/}")
    LABS=$OUT/bin at_once holds "${labs[@]::8}"
    # Its filter is made by a library that is not there for musl.
    mkdir -p "${filter%/*}" && touch "$filter"
    objects=()
    for lab in "$REPO"/labs/container/*.c "$REPO/labs/09_full_container.c"; do
        [[ $lab == */launch.c ]] || objects+=("$OUT/build/${lab#"$REPO/"}")
    done
    run -0 make_here "$@" -o "$filter" "${objects[@]/%.c/.o}"
    assert_output ''
    # musl names neither errors nor signals, so the names are ours.
    run -125 "$OUT/bin/01_chroot" /nowhere true
    assert_output --partial 'ENOENT (No such file or directory)'
    run -0 "$OUT/bin/03_unshare" --kill-child=TERM --fork true
}

@test "compilers: for a 32-bit machine, labs 01 to 08 are built and hold, and lab 09 is one line" {
    local line='09_full_container: needs a 64-bit machine: x86-64, arm64 or riscv64' lab
    is_installed i686-linux-gnu-gcc
    run -0 make_here CC=i686-linux-gnu-gcc CFLAGS='-O1 -Werror' LDFLAGS=-static
    assert_line "  $line"
    refute_output --partial 'error:'
    run -77 env -u LAB_MUST_RUN "$OUT/bin/09_full_container" run
    assert_output "$line"
    run -1 env LAB_MUST_RUN=1 "$OUT/bin/09_full_container"
    # Not every kernel runs them: on arm64, or with ia32_emulation=off, execve(2) gives ENOEXEC.
    run "$OUT/bin/03_unshare" --version
    [ "$status" -ne 126 ] || return 0
    # Labs 01 and 02 look into the programs of the machine, which are not 32-bit ones.
    labs=("$OUT"/bin/0[3-8]_*)
    LABS=$OUT/bin at_once holds "${labs[@]##*/}"
    run -1 "$OUT/bin/doctor" '64-bit machine'
    assert_line --partial 'these are 32-bit programs'
    run -0 "$LABS/doctor" '64-bit machine'
}

#!/usr/bin/env bats
# Exercise 1: a jail that holds.

load helpers

# chroot ROOT COMMAND
export EXERCISE_WORDS=2
export NEEDS='1.2:1.1'

# A jail with a static busybox, and a file outside of it.
JAIL='
mkdir -p jail/bin jail/proc
cp "$(command -v busybox.static || command -v busybox)" jail/bin/busybox
echo "this is outside $N" >/tmp/outside
'

# The loader of a program, as ldd names it.
LOADER='loader() { ldd "$1" | grep -v "=>" | grep -o "/[^ ]*"; }
'

# A program that has a loader and needs no library, whose segments begin at the address $1.
PROGRAM_AT='program_at() {
    echo "void _start(void) { for (;;); }" >program.c
    cc -nostdlib -pie -fPIE -Wl,-Ttext-segment=$1 -Wl,--dynamic-linker="$2" -o program program.c
}
'

@test "1.1 the loader is copied to its path" {
    play "$LOADER$PROGRAM_AT"'mkdir jail; loader=$(loader /bin/bash); program_at 0 $loader
          it copy /tmp/program jail >/dev/null; cmp "$loader" "jail$loader" && echo "the same" | fact'
    see_fact "the file of PT_INTERP below jail, the same as outside" '^the same$'
}

@test "1.1 a static program has none, and needs nothing" {
    play "$JAIL"'it copy "$(realpath jail/bin/busybox)" jail'
    ends_with 0
    see "the program's own path" '^/tmp/jail/bin/busybox$'
    see_not "no second file" '^/(lib|usr)'
}

@test "1.1 it is the loader that this program names, and p_offset is not p_vaddr in every program" {
    play "$LOADER$PROGRAM_AT"'ln -s "$(loader /bin/bash)" loader-$N; program_at 0x400000 /tmp/loader-$N
          mkdir jail; it copy /tmp/program jail >/dev/null; cd jail/tmp && ls | nonce | fact'
    see_fact "the loader that the program names" '^loader-N$'
}

@test "1.2 a program without PT_DYNAMIC needs no libraries" {
    play "$JAIL"'it copy "$(realpath jail/bin/busybox)" jail'
    ends_with 0
}

@test "1.2 every library that ldd names is copied, and bash runs in the jail" {
    play 'mkdir jail; it copy /bin/bash jail >/dev/null; chroot jail /bin/bash -c "echo runs inside" | fact'
    see_fact "bash, started by chroot(1), prints: runs inside" '^runs inside$'
}

@test "1.2 libraries that libraries need are copied as well" {
    # ls needs libselinux, which needs libpcre2; any program will do whose libraries have some.
    play 'mkdir jail; it copy /bin/ls jail >/dev/null; it copy /bin/mount jail >/dev/null
          (chroot jail /bin/ls -d /bin && chroot jail /bin/mount --version) | fact'
    see_fact "ls, started by chroot(1), lists /bin" '^/bin$'
    see_fact "mount prints its version" '^mount from util-linux'
}

@test "1.2 addresses are not offsets in the file, as a program that is not position-independent shows" {
    play "$LOADER"'mkdir jail lib; cp -L "$(loader /bin/bash)" $(ldd /bin/bash | grep -o "/[^ ]*/libc\.[^ ]*") lib
          echo "int own(void) { return 0; }" | cc -shared -fPIC -x c -o lib/libown$N.so -
          printf "#include <stdio.h>\nint own(void);\nint main(void) { return own() + puts(\"fixed\") < 0; }\n" >program.c
          cc -no-pie -o program program.c -Llib -lown$N -Wl,--dynamic-linker=/tmp/lib/$(basename "$(loader /bin/bash)")
          it copy /tmp/program jail >/dev/null; LD_LIBRARY_PATH=/tmp/lib chroot jail /tmp/program | fact'
    see_fact "its words, printed in the jail" '^fixed$'
}

@test "1.3 with --climb a command is out of the jail, without it is not" {
    play "$JAIL"'it chroot jail /bin/busybox cat /tmp/outside
                 it chroot --climb jail /bin/cat /tmp/outside | nonce'
    see "without --climb there is no such file" "can't open '/tmp/outside'"
    see "with --climb there is" '^this is outside N$'
}

@test "1.3 from a jail that lies deep it gets out too" {
    # Deeper than a fixed number of steps reaches.
    play "$JAIL"'deep=$(printf "d/%.0s" {1..60}); mkdir -p $deep; cp -r jail $deep
                 it chroot --climb ${deep}jail /bin/cat /tmp/outside | nonce'
    see "the contents of a file outside" '^this is outside N$'
}

@test "1.3 a program that chroot(1) has put into a jail gets out too" {
    play "$JAIL"'mount --bind jail jail; mount --bind /proc jail/proc; mkdir -p jail/run; cp -r /run/exercise jail/run
                 for file in $(ldd "$PROGRAM" /run/exercise/program/* | grep -o "/[^ :]*"); do cp --parents -L -n "$file" jail; done
                 chroot jail "$PROGRAM" chroot --climb / /bin/cat /tmp/outside | nonce'
    see "the contents of a file outside" '^this is outside N$'
}

@test "1.4 pivot: the command sees the new root" {
    play "$JAIL"'it pivot jail /bin/busybox ls /'
    ends_with 0
    see "all that is in the new root" '^bin$'
    see_not "nothing of the old one" '^(etc|tmp|usr)$'
}

@test "1.4 pivot: nothing of the old root is left among the mounts" {
    play "$JAIL"'hold busybox pivot jail /bin/busybox sleep 600; fact inside </proc/$pid/mountinfo
                 echo "outside there are $(wc -l </proc/self/mountinfo)" | fact'
    see_fact "the new root is the root of the mount namespace" '^inside [0-9]+ [0-9]+ [0-9:]+ /jail / '
    see_no_fact "no other mount" '^inside [0-9]+ [0-9]+ [0-9:]+ [^ ]+ /[^ ]'
    see_fact "the mounts of the machine are untouched" '^outside there are [1-9][0-9]'
}

@test "1.4 pivot: the climb of 1.3 leads nowhere" {
    play "$JAIL"'it pivot --climb jail /bin/busybox sh -c "busybox cat /tmp/outside; busybox ls /"'
    see "no such file" "can't open '/tmp/outside'"
    see "still all that is in the new root" '^bin$'
}

#!/usr/bin/env bats
# Exercise 1: a jail that holds.

load helpers

# A jail with a static busybox, and a file outside of it.
JAIL='
mkdir -p jail/bin jail/proc
cp "$(command -v busybox.static || command -v busybox)" jail/bin/busybox
echo "this is outside" >/tmp/outside
'

@test "1.1 the loader that ldd names is copied to its path" {
    play 'mkdir jail; it copy /bin/bash jail >/dev/null
          for loader in $(ldd /bin/bash | grep -v "=>" | grep -o "/[^ ]*"); do
              cmp "$loader" "jail$loader" && echo "the same: $loader"
          done'
    see "the file of PT_INTERP below jail, the same as outside" '^the same: /'
}

@test "1.1 a static program has none, and needs nothing" {
    play "$JAIL"'it copy "$(realpath jail/bin/busybox)" jail'
    ends_with 0
    see "the program's own path and no other" '^/tmp/jail/bin/busybox$'
    see_not "no second file" '^/(lib|usr)'
}

@test "1.1 it is the loader that this program names, whatever others do" {
    play 'ln -s "$(ldd /bin/bash | grep -v "=>" | grep -o "/[^ ]*")" own-loader
          echo "int main(void) { return 0; }" | cc -x c -Wl,--dynamic-linker=/tmp/own-loader -o program -
          mkdir jail; it copy /tmp/program jail'
    see "its loader" '^/tmp/own-loader$'
}

@test "1.2 every library that ldd names is copied, and bash runs in the jail" {
    play 'mkdir jail; it copy /bin/bash jail >/dev/null; chroot jail /bin/bash -c "echo runs inside"'
    see "bash, started by chroot(1), says: runs inside" '^runs inside$'
}

@test "1.2 libraries that libraries need are copied as well" {
    # ls needs libselinux, which needs libpcre2; any program will do whose libraries have some.
    play 'mkdir jail; it copy /bin/ls jail >/dev/null; it copy /bin/mount jail >/dev/null
          chroot jail /bin/ls -d /bin && chroot jail /bin/mount --version'
    see "ls, started by chroot(1), lists /bin" '^/bin$'
    see "mount tells its version" '^mount from util-linux'
}

@test "1.2 addresses are no places in the file: a program that is not position-independent" {
    play 'printf "#include <stdio.h>\nint main(void) { return puts(\"fixed addresses\") < 0; }\n" | cc -x c -no-pie -o program -
          mkdir jail; it copy /tmp/program jail >/dev/null; chroot jail /tmp/program'
    see "its words, said in the jail" '^fixed addresses$'
}

@test "1.3 with --climb a command is out of the jail, without it is not" {
    play "$JAIL"'it chroot jail /bin/busybox cat /tmp/outside; it chroot --climb jail /bin/cat /tmp/outside'
    see "without --climb there is no such file" "can't open '/tmp/outside'"
    see "with --climb there is" '^this is outside$'
}

@test "1.3 from a jail that lies deep it gets out too" {
    play "$JAIL"'mkdir -p a/b/c/d/e/f; cp -r jail a/b/c/d/e/f/
                 it chroot --climb a/b/c/d/e/f/jail /bin/cat /tmp/outside'
    see "the contents of a file outside" '^this is outside$'
}

@test "1.4 pivot: the command sees the new root" {
    play "$JAIL"'it pivot jail /bin/busybox ls /'
    ends_with 0
    see "all that is in the new root" '^bin$'
    see_not "nothing of the old one" '^(etc|tmp|usr)$'
}

@test "1.4 pivot: nothing of the old root is left among the mounts" {
    play "$JAIL"'it pivot jail /bin/busybox sleep 60 &
                 until pid=$(pgrep -x busybox); do sleep 0.02; done
                 sed "s/^/inside /" /proc/$pid/mountinfo
                 echo "outside there are $(wc -l </proc/self/mountinfo)"'
    see "the new root is the root of the mount namespace" '^inside [0-9]+ [0-9]+ [0-9:]+ /jail / '
    see_not "no other mount" '^inside [0-9]+ [0-9]+ [0-9:]+ [^ ]+ /[^ ]'
    see "the mounts of the machine are untouched" '^outside there are [1-9][0-9]'
}

@test "1.4 pivot: the climb of 1.3 leads nowhere" {
    play "$JAIL"'it pivot --climb jail /bin/busybox sh -c "busybox cat /tmp/outside; busybox ls /"'
    see "no such file" "can't open '/tmp/outside'"
    see "still all that is in the new root" '^bin$'
}

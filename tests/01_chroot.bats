#!/usr/bin/env bats
# Lab 01: chroot(1) as a tool, and the experiment.

load helpers

setup() {
    machine_before
    JAIL=$BATS_TEST_TMPDIR/jail
    mkdir -p "$JAIL"/{bin,etc,dir}
    cp "$(command -v busybox)" "$JAIL/bin/busybox"
    for applet in sh ls id pwd echo cat kill true false env; do
        ln -s busybox "$JAIL/bin/$applet"
    done
    printf 'root:x:0:0::/:/bin/sh\ninsider:x:4242:4343::/:/bin/sh\ngames:x:5:60::/:/bin/sh\n' >"$JAIL/etc/passwd"
    printf 'root:x:0:\ncrew:x:4343:\nextra:x:4444:insider\nnumber:x:77:\n' >"$JAIL/etc/group"
    echo "not a program" >"$JAIL/bin/plain"
    echo "garbage" >"$JAIL/bin/garbage"
    chmod +x "$JAIL/bin/garbage"
    export JAIL
    chmod 755 "$BATS_TEST_TMPDIR" "$JAIL"
}

teardown() { machine_after; }

@test "01 tool: same status, stdout and kind of stderr as chroot(1)" {
    FILE=$BATS_TEST_TMPDIR/file && : >"$FILE"
    # A root without a list of users, as --with makes it.
    BARE=$BATS_TEST_TMPDIR/bare && cp -r "$JAIL" "$BARE" && rm -r "${BARE:?}/etc"
    compare_rows chroot "$LABS/01_chroot" <<'ROWS'
"$JAIL" /bin/true
"$JAIL" /bin/false
"$JAIL" /bin/echo a 'b c' d
"$JAIL" sh -c 'exit 42'
"$JAIL" sh -c 'kill -TERM $$'
"$JAIL" sh -c 'kill -KILL $$'
"$JAIL" pwd
"$JAIL" ls /
"$JAIL" ls -l /bin/no
"$JAIL" /bin/missing
"$JAIL" missing
"$JAIL" /bin/plain
"$JAIL" /bin/garbage
"$JAIL" /dir
"$JAIL" ''
env SHELL=/bin/echo -- "$JAIL"
env SHELL=/bin/missing -- "$JAIL"
env SHELL= -- "$JAIL"
env -u SHELL -- "$JAIL"
env PATH=/nowhere -- "$JAIL" ls
env A=1 -i PATH=/bin -- "$JAIL" env
"$JAIL" -- echo x
-- "$JAIL" echo x
"$JAIL" echo --help --version -x

--skip-chdir
--skip-chdir "$JAIL" true
--skip-chdir / pwd
--skip-chdir /../ pwd
/ true
"$JAIL/missing" true
"$FILE" true
'' true
"$JAIL/dir" /bin/true
--no-such-option
--user "$JAIL" true
--userspec
--userspec= "$JAIL" id
--userspec=0:0 "$JAIL" id
--userspec=insider "$JAIL" id
--userspec=insider: "$JAIL" id
--userspec=insider:crew "$JAIL" id
--userspec=insider:4444 "$JAIL" id
--userspec=:crew "$JAIL" id
--userspec=:4343 "$JAIL" id
--userspec=4242 "$JAIL" id
--userspec=4242: "$JAIL" id
--userspec=5 "$JAIL" id
--userspec=games "$JAIL" id
--userspec=daemon "$JAIL" id
--userspec=31337 "$JAIL" id
--userspec=31337:31337 "$JAIL" id
--userspec=nobody-at-all "$JAIL" id
--userspec=insider:nobody-at-all "$JAIL" id
--userspec=12x:0 "$JAIL" id
--userspec=-1:0 "$JAIL" id
--userspec=4294967295:0 "$JAIL" id
--userspec=99999999999999999999:0 "$JAIL" id
--groups=crew,extra "$JAIL" id
--groups=4343,4444 "$JAIL" id
--groups=number,77 "$JAIL" id
--groups= "$JAIL" id
--groups=, "$JAIL" id
--groups=no-group "$JAIL" id
--groups=crew,no-group "$JAIL" id
--groups=games "$JAIL" id
--groups=12x "$JAIL" id
--userspec=+4242 "$JAIL" id
'--userspec= 4242' "$JAIL" id
--userspec=+4242:+77 "$JAIL" id
--userspec=5: "$JAIL" id
--userspec=4242:60 "$JAIL" id
--userspec=: "$JAIL" id
--groups=+77,' 78' "$JAIL" id
--groups=$(seq -s, 100 400) "$JAIL" id
--userspec=1 "$BARE" id
--userspec=5 "$BARE" id
--userspec=0 "$BARE" id
--userspec=65534 "$BARE" id
--userspec=root "$BARE" id
--userspec=root: "$BARE" id
--userspec=root:root "$BARE" id
--userspec=nobody "$BARE" id
--userspec=nobody:nogroup "$BARE" id
--userspec=nobody:no-group "$BARE" id
--userspec=5:6 "$BARE" id
--userspec=0:0 "$BARE" id
--userspec=31337 "$BARE" id
--userspec=31337:5 "$BARE" id
--userspec=:games "$BARE" id
--userspec=games --groups= "$BARE" id
--userspec=games --groups=daemon,77 "$BARE" id
--groups=daemon "$BARE" id
--userspec=insider / id
--userspec=nobody / id
--userspec=insider --groups= "$JAIL" id
--userspec=insider --groups=77 "$JAIL" id
--userspec=1000:1000 --groups=1,2,3 "$JAIL" id
user:"$JAIL" /bin/true
user:/ true
user:"$JAIL/missing" true
ROWS
}

@test "01 tool: nobody waits for a FIFO or an endless file in the place of a list of the new root" {
    local list
    for list in passwd group; do
        mv "$JAIL/etc/$list" "$BATS_TEST_TMPDIR/kept"
        mkfifo "$JAIL/etc/$list"
        run -125 timeout 10 "$LABS/01_chroot" --userspec=games --groups=daemon "$JAIL" /bin/true
        assert_output "01_chroot: $JAIL/etc/$list is not a regular file"
        rm "$JAIL/etc/$list"
        truncate -s 100G "$JAIL/etc/$list"
        run -125 timeout 10 "$LABS/01_chroot" --userspec=games --groups=daemon "$JAIL" /bin/true
        assert_output "01_chroot: $JAIL/etc/$list is larger than 16 MiB"
        mv -f "$BATS_TEST_TMPDIR/kept" "$JAIL/etc/$list"
    done
}

@test "01 tool: no module that looks up names is loaded out of the new root, with the rights of root" {
    [ -e /etc/nsswitch.conf ] || skip "this C library looks names up in its two files alone"
    mkdir "$JAIL/tmp"
    ${CC:-cc} -shared -fPIC -o "$JAIL/tmp/libnss_theirs.so.2" -x c - <<'C'
#include <sys/stat.h>
__attribute__((constructor)) static void note(void) { mkdir("/loaded", 0700); }
C
    ${CC:-cc} -shared -fPIC -o /tmp/libnss_theirs.so.2 -x c /dev/null
    printf '%s: files theirs\n' passwd group initgroups >"$BATS_TEST_TMPDIR/nsswitch.conf"
    mount --bind "$BATS_TEST_TMPDIR/nsswitch.conf" /etc/nsswitch.conf
    # The old root finds it in its file; the new one has no such file.
    rm "$JAIL/etc/group"
    LD_LIBRARY_PATH=/tmp run "$LABS/01_chroot" --groups=root "$JAIL" /bin/true
    umount /etc/nsswitch.conf
    rm /tmp/libnss_theirs.so.2
    assert_success
    refute [ -e "$JAIL/loaded" ]
}

@test "01 tool: --with copies a program and what ldd names, and it runs in there" {
    local path
    mkdir "$TMPDIR/new"
    run -0 env LC_ALL=C "$LABS/01_chroot" --with /bin/bash --with ls "$TMPDIR/new" /bin/bash -c 'ls / && echo $BASH_VERSION'
    assert_line --index 0 bin
    assert_line --regexp '^[0-9]+\.[0-9]+'
    # The same paths with the same bytes: what ldd prints outside is there inside.
    for path in /bin/bash $(ldd /bin/bash | grep -o '/[^ ]*'); do
        cmp "$path" "$TMPDIR/new$path"
    done
    rm -r "$TMPDIR/new"
}

@test "01 tool: --with follows no link out of the new root" {
    mkdir -p "$TMPDIR/new" "$TMPDIR/outside"
    ln -s "$TMPDIR/outside" "$TMPDIR/new/lib64"
    ln -s "$TMPDIR/outside" "$TMPDIR/new/lib"
    # The links lead nowhere inside: refused, and nothing written where they lead outside.
    run -125 "$LABS/01_chroot" --with /bin/bash "$TMPDIR/new" true
    run -0 find "$TMPDIR/outside" -mindepth 1
    assert_output ""
    mkdir -p "$TMPDIR/new$TMPDIR/outside"
    run -0 env LC_ALL=C "$LABS/01_chroot" --with /bin/bash "$TMPDIR/new" /bin/bash -c 'echo runs'
    assert_output runs
    run -0 find "$TMPDIR/outside" -mindepth 1
    assert_output ""
    [ -e "$TMPDIR/new$TMPDIR/outside/ld-linux-x86-64.so.2" ] || [ "$(uname -m)" != x86_64 ]
    rm -r "$TMPDIR/new" "$TMPDIR/outside"
}

@test "01 tool: a link that comes in the place of NEWROOT meanwhile is not followed" {
    mkdir "$TMPDIR/new" "$TMPDIR/victim" "$TMPDIR/bin"
    printf '#!/bin/sh\n[ -h new ] || { mv new kept; ln -s victim new; }\nexec %s "$@"\n' "$(command -v ldd)" >"$TMPDIR/bin/ldd"
    chmod +x "$TMPDIR/bin/ldd"
    cd "$TMPDIR"
    LC_ALL=C PATH=$TMPDIR/bin:$PATH run -0 "$LABS/01_chroot" --with /bin/bash --with /bin/true new /bin/bash -c 'echo runs'
    assert_output runs
    run -0 find victim -mindepth 1
    assert_output ''
    [ -h new ] && [ -e kept/bin/true ]
    rm -r new kept victim bin
}

@test "01 tool: --with follows no link of its owner into another mount namespace" {
    mkdir -p "$TMPDIR/new"
    ln -s "/proc/$$/root$TMPDIR/new" "$TMPDIR/link"
    run -125 "$LABS/01_chroot" --with ls "$TMPDIR/link" ls
    assert_output "01_chroot: cannot change root directory to '$TMPDIR/link': ELOOP (Too many levels of symbolic links)"
    assert_equal "$(ls -A "$TMPDIR/new")" ""
    # Where nothing is copied, all links are followed, as by chroot(1).
    run -0 "$LABS/01_chroot" --with ls "$TMPDIR/new" ls
    run -0 "$LABS/01_chroot" "$TMPDIR/link" ls
    rm -r "$TMPDIR/link" "$TMPDIR/new"
}

@test "01 tool: --with leaves alone what is the same file, be it by a link or by the machine's own root" {
    mkdir -p "$TMPDIR/new/bin" "$TMPDIR/work"
    # A jail of hard links: the original must not be emptied for its copy.
    cp /bin/true "$TMPDIR/original"
    mkdir -p "$TMPDIR/new$TMPDIR"
    ln "$TMPDIR/original" "$TMPDIR/new$TMPDIR/original"
    run -0 "$LABS/01_chroot" --with "$TMPDIR/original" "$TMPDIR/new" "$TMPDIR/original"
    cmp /bin/true "$TMPDIR/original"
    # The machine's root, with an overlay over it for whatever goes wrong.
    mount -t tmpfs tmpfs "$TMPDIR/work"
    mkdir "$TMPDIR/work/upper" "$TMPDIR/work/work" "$TMPDIR/work/root"
    cp "$LABS/01_chroot" "$TMPDIR/work/upper/lab"
    mount -t overlay -o "lowerdir=/,upperdir=$TMPDIR/work/upper,workdir=$TMPDIR/work/work" overlay "$TMPDIR/work/root"
    run -0 --separate-stderr chroot "$TMPDIR/work/root" /lab --with ls --with su / ls -d /etc
    assert_output /etc
    run -0 find "$TMPDIR/work/upper" -type f -path '*/bin/*'
    assert_output ""
    umount "$TMPDIR/work/root" "$TMPDIR/work"
    rm -r "$TMPDIR/new" "$TMPDIR/work" "$TMPDIR/original"
}

executes() { [ "$(readlink "/proc/$1/exe")" = "$2" ]; }

@test "01 tool: --with makes directories of mode 0755, whatever the umask" {
    mkdir "$TMPDIR/new"
    (umask 077 && "$LABS/01_chroot" --with ls "$TMPDIR/new" true) || [ $? -eq 127 ] # true is not in there
    run -0 find "$TMPDIR/new" -mindepth 1 -type d ! -perm 0755
    assert_output ""
    [ -d "$TMPDIR/new/usr" ]
    rm -r "$TMPDIR/new"
}

@test "01 tool: --with while the copy runs: it is replaced, and what runs goes on" {
    local running
    mkdir "$TMPDIR/new"
    "$LABS/01_chroot" --with sleep "$TMPDIR/new" sleep 1000 3>&- &
    running=$!
    wait_until executes "$running" "$TMPDIR/new$(command -v sleep)"
    run -0 "$LABS/01_chroot" --with sleep "$TMPDIR/new" sleep 0
    kill "$running"
    wait "$running" || [ $? -eq 143 ]
    rm -r "$TMPDIR/new"
}

@test "01 tool: --with a script copies the script alone" {
    mkdir "$TMPDIR/new"
    printf '#!/bin/sh\necho hello\n' >"$TMPDIR/script" && chmod +x "$TMPDIR/script"
    run -127 "$LABS/01_chroot" --with "$TMPDIR/script" "$TMPDIR/new" "$TMPDIR/script"
    [ -x "$TMPDIR/new$TMPDIR/script" ]
    rm -r "$TMPDIR/new" "$TMPDIR/script"
}

# refuses STATUS LINE ARGUMENT...: one clear line on stderr, nothing on stdout.
refuses() {
    local status=$1 line=$2
    shift 2
    run "-$status" --separate-stderr "$LABS/01_chroot" "$@"
    assert_equal "$output" ""
    assert_equal "${stderr_lines[0]}" "01_chroot: $line"
    # As chroot(1) has it, a second line points to the help after a wrong option.
    [ "${#stderr_lines[@]}" -eq 1 ] || assert_equal "${stderr_lines[*]:1}" "Try '01_chroot --help' for more information."
}

@test "01 tool: bad input gets one clear line and 125" {
    local missing=$TMPDIR/missing
    refuses 125 "cannot change root directory to '$missing': ENOENT (No such file or directory)" "$missing" true
    refuses 125 "cannot change root directory to '$LABS/01_chroot': ENOTDIR (Not a directory)" "$LABS/01_chroot" true
    refuses 125 "find the program 'no-such-program': ENOENT (No such file or directory)" \
        --with true --with no-such-program "$JAIL" true
    refuses 125 "find the program '': ENOENT (No such file or directory)" --with= "$JAIL" true
    [ ! -e "$JAIL$(command -v true)" ] # nothing was copied
    (cd "$TMPDIR" && echo 'int f(void) { return 0; }' | cc -shared -o libgone.so -x c - &&
        echo 'int f(void); int main(void) { return f(); }' | cc -o needy -x c - -L. -lgone && rm libgone.so)
    refuses 125 "$TMPDIR/needy needs the library libgone.so, which is not installed" --with "$TMPDIR/needy" "$JAIL" true
    rm "$TMPDIR/needy"
    # There may be any number of them.
    mkdir "$JAIL/many"
    # shellcheck disable=SC2046 # a hundred words
    run -0 "$LABS/01_chroot" $(printf -- '--with=true %.0s' $(seq 100)) "$JAIL/many" true
    refuses 125 "cannot change root directory to '$missing': ENOENT (No such file or directory)" --with true "$missing" true
    [ ! -e "$missing" ]
    refuses 125 "option '--with' requires an argument" --with
    refuses 125 "unrecognized option '--without'" --without
    refuses 125 "missing operand" --skip-chdir
    refuses 125 "invalid user: 'nobody-at-all' (looked up in $JAIL/etc/passwd; give a number: +1000)" \
        --userspec nobody-at-all "$JAIL" true
    refuses 125 "invalid group: 'none-at-all' (looked up in $JAIL/etc/group; give a number: +1000)" \
        --groups none-at-all "$JAIL" true
    SHELL=/bin/none refuses 127 "failed to run command '/bin/none': No such file or directory (\$SHELL; name another command, such as /bin/sh)" "$JAIL"
    refuses 127 "failed to run command 'missing': No such file or directory" "$JAIL" missing
    refuses 126 "failed to run command '/bin/plain': Permission denied" "$JAIL" /bin/plain
}

@test "01 tool: an ordinary user is told that only root may" {
    run -125 --separate-stderr setpriv --reuid=65534 --regid=65534 --clear-groups "$LABS/01_chroot" / true
    assert_equal "$stderr" \
        "01_chroot: cannot change root directory to '/': EPERM (Operation not permitted); only root may: try sudo"
}

@test "01 experiment: every row of the article is seen" {
    run play 01_chroot
    assert_experiment_held
    assert_line "    | 01_chroot: failed to run command '/bin/bash': No such file or directory"
    assert_line "    loader = $(readelf -l /bin/bash | sed -nE 's/.*interpreter: (.*)\]/\1/p')"
    assert_line --regexp '^    \| bash-[0-9]'
    assert_line "    open.errno = ENOENT (No such file or directory)"
    assert_line "  ok    root has walked out of the jail"
    assert_line "  ok    from a root entered by pivot_root the same climb leads nowhere"
    local path
    for path in $(ldd /bin/bash | grep -o '/[^ ]*'); do
        assert_line --partial "  ok    my_root$path ("
    done
}

@test "01_chroot: a group database that cannot be read is not one in which the user has no groups" {
    run -125 strace -f -qq -o /dev/null -P /etc/group -e inject=openat:error=EIO "$LABS/01_chroot" --userspec=root / true
    assert_output "01_chroot: look up 'root' in /etc/group: EIO (Input/output error)"
    # One with a line that is longer than libc's first buffer can be read.
    cp /etc/group "$TMPDIR/group"
    echo "class:x:4243:root$(printf ',student%d' {1..400})" >>"$TMPDIR/group"
    mount --bind "$TMPDIR/group" /etc/group
    run "$LABS/01_chroot" --userspec=root / id -G
    umount /etc/group
    assert_success
    assert_output --regexp '(^| )4243( |$)'
    rm "$TMPDIR/group"
}

@test "01 experiment: a busybox whose path a shell would cut is told" {
    mkdir "$TMPDIR/my lab"
    cp "$(command -v busybox)" "$TMPDIR/my lab/busybox"
    run env BUSYBOX="$TMPDIR/my lab/busybox" "$LABS/01_chroot"
    assert_output --partial "the path of busybox has characters that a shell does not take as they are; name a link to it in BUSYBOX"
    ln -s "$TMPDIR/my lab/busybox" "$TMPDIR/busybox"
    run -0 env BUSYBOX="$TMPDIR/busybox" "$LABS/01_chroot"
    rm -r "$TMPDIR/my lab" "$TMPDIR/busybox"
}

@test "01 experiment: without a static busybox it says what to install, status 77" {
    run -77 --separate-stderr env -u LAB_MUST_RUN BUSYBOX=/bin/true "$LABS/01_chroot"
    assert_equal "$stderr" \
        "01_chroot: no static busybox is installed; install the package busybox-static, or name one in BUSYBOX"
}

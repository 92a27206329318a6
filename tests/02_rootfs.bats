#!/usr/bin/env bats
# Lab 02: the maker of root file systems as a tool, and the experiment.

load helpers

setup() {
    machine_before
    WORK=$BATS_TEST_TMPDIR/work
    mkdir "$WORK"
    chmod 755 "$WORK"
    cd "$WORK" || return
    BUSYBOX_OF_MACHINE=$(command -v busybox)
}

teardown() { machine_after; }

AS_USER=(setpriv --reuid=65534 --regid=65534 --clear-groups)

# All that can be seen of a tree: types, modes, owners, sizes, times, targets of links, contents.
look_at() {
    find "$1" -printf '%p %y %m %U:%G %s %T@ %l\n' | sort
    find "$1" -type f -exec cksum {} + | sort
}

# Whether DIR is a root file system with which one can work; looked at from outside and inside.
assert_works() {
    local dir=$1 path
    for path in proc sys dev tmp root etc bin; do
        [ -d "$dir/$path" ] || fail "no /$path"
    done
    for path in passwd group hosts hostname resolv.conf; do
        [ -s "$dir/etc/$path" ] || fail "no /etc/$path"
    done
    assert_equal "$(stat -c %a "$dir" "$dir/tmp" "$dir/var/tmp" "$dir/root" "$dir/etc" "$dir/etc/passwd" \
        "$dir/bin/busybox" | xargs)" "755 1777 1777 700 755 644 755"
    assert_equal "$(find "$dir/dev" "$dir/proc" "$dir/sys" -mindepth 1)" ""
    assert_equal "$(chroot "$dir" /bin/sh -c 'cd /root; echo ~; id -un; cat /etc/hostname; nobody=$(id -u nobody); echo $nobody' | xargs)" \
        "/root root container 65534"
    assert_equal "$(chroot --userspec=nobody "$dir" /bin/sh -c 'echo >/tmp/mine && id -un; rm /tmp/mine')" nobody
    assert_equal "$(chroot "$dir" /usr/bin/env echo by-env)" by-env
    assert_equal "$(chroot "$dir" /bin/ls -d /sbin/init /usr/sbin/chroot | xargs)" "/sbin/init /usr/sbin/chroot"
}

@test "02 tool: DIR is made, works, and has every applet" {
    run -0 --separate-stderr "$LABS/02_rootfs" new
    assert_equal "$output$stderr" ""
    assert_works new
    diff <(busybox --list | grep -vx busybox | sort) <(find new/bin -type l -printf '%f\n' | sort)
    run -0 find new/bin -type l ! -lname busybox
    assert_output ""
    cmp "$BUSYBOX_OF_MACHINE" new/bin/busybox
    run -0 find new ! -user 0
    assert_output ""
}

@test "02 tool: an empty DIR is filled, by whatever name, and whatever the umask and its mode" {
    mkdir -m 0700 private empty 'with a space' pointed-to
    ln -s pointed-to link
    (umask 077 && "$LABS/02_rootfs" private && "$LABS/02_rootfs" "$WORK/empty/" &&
        "$LABS/02_rootfs" -- 'with a space' && "$LABS/02_rootfs" link &&
        mkdir here && cd here && "$LABS/02_rootfs" .)
    local dir
    for dir in private empty 'with a space' pointed-to here; do
        assert_works "$dir"
    done
    [ -L link ]
}

@test "02 tool: an ordinary user can make one, and in the archive root owns it" {
    mkdir users && chown 65534 users
    run -0 --separate-stderr "${AS_USER[@]}" "$LABS/02_rootfs" --tar users/tar users/new
    assert_equal "$output$stderr" ""
    run -0 find users/new ! -user 65534
    assert_output ""
    assert_works users/new
    run -0 bash -c 'tar --numeric-owner -tvf users/tar | cut -d" " -f2 | sort | uniq -c'
    assert_output --regexp '^ *[0-9]+ 0/0$'
    mkdir unpacked && tar -xpf users/tar -C unpacked
    assert_works unpacked
    run -0 find unpacked ! -user 0
    assert_output ""
}

@test "02 tool: the archive has the same tree; an older archive is replaced; a pipe will do" {
    head -c 9000000 /dev/zero >archive
    "$LABS/02_rootfs" --tar archive new
    diff <(cd new && find . | sort) <(tar -tf archive | sed 's#/$##' | sort)
    [ "$(stat -c %s archive)" -lt 9000000 ] || [ "$(stat -c %s new/bin/busybox)" -gt 8000000 ]
    mkdir again && tar -xpf archive -C again
    diff <(cd new && find . -printf '%p %y %m %s %l\n' | sort) <(cd again && find . -printf '%p %y %m %s %l\n' | sort)
    "$LABS/02_rootfs" --tar=/dev/stdout piped | cat >piped.tar
    cmp piped.tar <(tar -C piped --numeric-owner --owner=0 --group=0 --sort=name -cf - .)
}

@test "02 tool: an archive for which there is no space is told so, and removed" {
    mkdir small
    for size in 4k 16k; do
        run -1 unshare --mount sh -c "mount -t tmpfs -o size=$size none small && '$LABS/02_rootfs' --tar small/archive new || { ls small; exit 1; }"
        assert_line "02_rootfs: pack 'new' into 'small/archive': ENOSPC (No space left on device)"
        refute_line archive
        [ ! -e new ]
    done
    # Another fault is no full disk.
    run -1 bash -c '"$1" --tar=/dev/stdout new 2>complaint | true; exit ${PIPESTATUS[0]}' - "$LABS/02_rootfs"
    run -0 cat complaint
    assert_output "02_rootfs: pack 'new' into '/dev/stdout': tar ended with status 141"
}

@test "02 tool: without tar, an older archive stays as it is" {
    echo old >archive
    mkdir programs && ln -s "$(command -v find)" programs
    run -1 env PATH="$PWD/programs" "$LABS/02_rootfs" --busybox="$(command -v busybox)" --tar archive new
    assert_output "02_rootfs: find tar: ENOENT (No such file or directory); install the package tar"
    assert_equal "$(cat archive)" old
    [ ! -e new ]
}

@test "02 tool: a DIR that is not empty is refused and not touched" {
    mkdir -p full/bin hidden
    echo mine >full/bin/sh
    : >hidden/.keep
    chmod 700 hidden
    look_at . >"$BATS_TEST_TMPDIR/look.before"
    local dir
    for dir in full hidden / /etc; do
        run -1 --separate-stderr "$LABS/02_rootfs" "$dir"
        assert_equal "$output" ""
        assert_equal "$stderr" \
            "02_rootfs: fill the directory '$dir': ENOTEMPTY (Directory not empty); nothing was changed"
    done
    # Nor is the archive made.
    run -1 "$LABS/02_rootfs" --tar archive full
    look_at . >"$BATS_TEST_TMPDIR/look.after"
    diff "$BATS_TEST_TMPDIR/look.before" "$BATS_TEST_TMPDIR/look.after"
}

# refuses STATUS LINE ARGUMENT...: one clear line on stderr (and where to find help, for status 2),
# nothing on stdout, and nothing changed in $WORK.
refuses() {
    local status=$1 line=$2
    shift 2
    look_at "$WORK" >"$BATS_TEST_TMPDIR/look.before"
    run "-$status" --separate-stderr timeout -k 1 "$TOO_LONG" "$LABS/02_rootfs" "$@"
    look_at "$WORK" >"$BATS_TEST_TMPDIR/look.after"
    assert_equal "$output" ""
    assert_equal "${stderr_lines[0]}" "02_rootfs: $line"
    if [ "$status" -eq 2 ]; then
        assert_equal "${stderr_lines[1]}" "Try '02_rootfs --help' for more information."
        assert_equal "${#stderr_lines[@]}" 2
    else
        assert_equal "${#stderr_lines[@]}" 1
    fi
    if cmp -s "$BATS_TEST_TMPDIR/look.before" "$BATS_TEST_TMPDIR/look.after"; then return 0; fi
    # The times of a directory in which something came and went are its own affair.
    diff <(grep -v ' d ' "$BATS_TEST_TMPDIR/look.before") <(grep -v ' d ' "$BATS_TEST_TMPDIR/look.after")
    diff <(awk '$2 == "d" {print $1, $3}' "$BATS_TEST_TMPDIR/look.before") \
        <(awk '$2 == "d" {print $1, $3}' "$BATS_TEST_TMPDIR/look.after")
}

@test "02 tool: bad usage gets one clear line and 2" {
    refuses 2 "missing operand: which DIR?" --busybox "$BUSYBOX_OF_MACHINE"
    refuses 2 "missing operand: which DIR?" --
    refuses 2 "one DIR is filled at a time; 'b' is one too many" a b
    refuses 2 "the name of DIR is empty" ''
    refuses 2 "option '--tar' requires an argument" --tar
    refuses 2 "option '--busybox' requires an argument" new --busybox
    refuses 2 "unrecognized option '--no-such'" --no-such new
    refuses 2 "invalid option -- 'x'" -x new
    refuses 2 "unrecognized option '--step'" new --step
}

@test "02 tool: what cannot be done gets one clear line and 1, and leaves nothing" {
    : >file
    mkdir -m 0700 empty
    mkfifo fifo
    printf '#!/bin/sh\necho sh\n' >script && chmod +x script
    cp "$BUSYBOX_OF_MACHINE" not-executable && chmod -x not-executable
    # An ELF program for a machine that does not exist: the field e_machine, at byte 18.
    cp "$BUSYBOX_OF_MACHINE" other-machine && printf '\xfe\xca' | dd of=other-machine bs=1 seek=18 conv=notrunc status=none
    # One for half the word size.
    cp "$BUSYBOX_OF_MACHINE" other-class && printf '\x7f' | dd of=other-class bs=1 seek=4 conv=notrunc status=none
    head -c 30 "$BUSYBOX_OF_MACHINE" >cut-short && chmod +x cut-short
    local missing="ENOENT (No such file or directory)"
    refuses 1 "fill the directory 'file': ENOTDIR (Not a directory); nothing was changed" file
    refuses 1 "fill the directory 'a/b': $missing; nothing was changed" a/b
    refuses 1 "fill the directory 'file/b': ENOTDIR (Not a directory); nothing was changed" file/b
    refuses 1 "fill the directory 'fifo': ENOTDIR (Not a directory); nothing was changed" fifo
    refuses 1 "use the busybox 'none': $missing" --busybox none new
    refuses 1 "use the busybox '': $missing" --busybox= new
    refuses 1 "use the busybox 'not-executable': EACCES (Permission denied)" --busybox not-executable empty
    local program dir
    for dir in new empty; do
        for program in script other-machine other-class cut-short; do
            refuses 1 "make a root file system in '$dir' out of '$program': ENOEXEC (Exec format error); it is not a program that this machine can run" \
                --busybox "$program" "$dir"
        done
        for program in /bin/true /bin/echo /bin/cat /bin/ls; do
            refuses 1 "make a root file system in '$dir' out of '$program': EINVAL (Invalid argument); it is not a busybox: \`busybox --list\` names a sh" \
                --busybox "$program" "$dir"
        done
        refuses 1 "open the archive 'none/tar': $missing" --tar none/tar "$dir"
        refuses 1 "the archive '$dir/tar' would lie in '$dir', which goes into it" --tar "$dir/tar" "$dir"
        cp "$BUSYBOX_OF_MACHINE" bb
        refuses 1 "the archive 'bb' is the busybox that goes into it" --busybox bb --tar bb "$dir"
        rm bb
        refuses 1 "open the archive 'empty': EISDIR (Is a directory)" --tar empty "$dir"
        refuses 1 "open the archive '': $missing" --tar '' "$dir"
        refuses 1 "make a root file system in '$dir' out of '/bin/true': EINVAL (Invalid argument); it is not a busybox: \`busybox --list\` names a sh" \
            --tar archive --busybox /bin/true "$dir"
    done
    # An archive that was there is not touched by a failure before it is written.
    echo precious >archive
    refuses 1 "use the busybox 'none': $missing" --busybox none --tar archive new
    assert_equal "$(cat archive)" precious
    BUSYBOX=/no/busybox refuses 1 "find a busybox: $missing; install the package busybox-static, or name one by --busybox" new
}

@test "02 tool: a directory, a FIFO and a device are no busybox, and nobody waits for them" {
    mkdir -m 0755 directory
    mkfifo -m 0755 fifo
    run -1 timeout -k 1 "$TOO_LONG" "$LABS/02_rootfs" --busybox directory new
    run -1 timeout -k 1 "$TOO_LONG" "$LABS/02_rootfs" --busybox fifo new
    run -1 timeout -k 1 "$TOO_LONG" "$LABS/02_rootfs" --busybox /dev/null new
    [ ! -e new ]
}

@test "02 tool: a DIR in which one may not write is refused" {
    mkdir theirs
    local denied="EACCES (Permission denied)"
    run -1 --separate-stderr "${AS_USER[@]}" "$LABS/02_rootfs" theirs
    assert_equal "$stderr" \
        "02_rootfs: make a root file system in 'theirs' out of '$BUSYBOX_OF_MACHINE': $denied; nothing was left behind"
    run -1 --separate-stderr "${AS_USER[@]}" "$LABS/02_rootfs" theirs/new
    assert_equal "$stderr" "02_rootfs: fill the directory 'theirs/new': $denied; nothing was changed"
    assert_equal "$(ls -A theirs)" ""
}

@test "02 tool: a new DIR in which nothing can be begun is not there any more" {
    local files
    for files in 4 5 6; do
        run -1 --separate-stderr bash -c "ulimit -n $files; exec '$LABS/02_rootfs' new" 3>&-
        [[ $stderr == *"EMFILE (Too many open files)"* ]]
        [ ! -e new ]
    done
}

@test "02 tool: a signal that ends the process that fills DIR is told" {
    run -1 strace -f -qq -o /dev/null -e inject=sendfile:signal=USR1 "$LABS/02_rootfs" new
    assert_output "02_rootfs: the process that fills 'new' was ended by SIGUSR1"
    [ ! -e new ]
}

@test "01, 02 tools: a file larger than the caller's limit is an error, and no part of it stays" {
    local limited='ulimit -f 8; exec "$@"' # KiB
    run -1 bash -c "$limited" - "$LABS/02_rootfs" new
    assert_output --partial "EFBIG (File too large)"
    [ ! -e new ]
    mkdir new
    run -125 bash -c "$limited" - "$LABS/01_chroot" --with "$BUSYBOX_OF_MACHINE" new /bin/true
    assert_output "01_chroot: copy $BUSYBOX_OF_MACHINE and its libraries into 'new': EFBIG (File too large)"
    assert_equal "$(find new -type f)" ""
    # The command has the limit as the caller has it.
    "$LABS/02_rootfs" r
    run -153 bash -c "$limited" - "$LABS/01_chroot" r /bin/sh -c 'yes >/tmp/file'
}

@test "02 tool: a busybox of any name will do" {
    cp "$BUSYBOX_OF_MACHINE" 'my copy'
    ln -s 'my copy' sh
    "$LABS/02_rootfs" --busybox 'my copy' a
    "$LABS/02_rootfs" --busybox ./sh b
    BUSYBOX="$WORK/my copy" "$LABS/02_rootfs" c
    assert_works a
    assert_works b
    assert_works c
}

# A small busybox that needs a library of its own in a directory whose name has a space in it.
make_dynamic_busybox() {
    mkdir 'my libraries'
    echo 'int answer(void) { return 42; }' >answer.c
    cat >dynamic.c <<'C'
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int answer(void);
int main(int argc, char *argv[])
{
    const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];
    if (strcmp(name, "busybox") == 0 && argc == 2 && strcmp(argv[1], "--list") == 0)
        return puts("busybox\nls\nsh\n[") < 0;
    return printf("%s %d pid %d\n", name, answer(), getpid() > 0) < 0;
}
C
    cc -shared -fPIC -o 'my libraries/libanswer.so' answer.c
    cc -o dynamic dynamic.c -L'my libraries' -lanswer -Wl,-rpath,"$WORK/my libraries"
}

@test "02 tool: a dynamic busybox brings its libraries" {
    make_dynamic_busybox
    "$LABS/02_rootfs" --busybox dynamic new
    local path count=0
    while read -r path; do
        count=$((count + 1))
        cmp "$path" "new$path"
    done < <(ldd dynamic | sed -nE 's#^[^/]*(/.*) \(0x.*#\1#p')
    [ "$count" -ge 3 ]
    cmp "$WORK/my libraries/libanswer.so" "new$WORK/my libraries/libanswer.so"
    assert_equal "$(chroot new /bin/ls)" "ls 42 pid 1"
    assert_equal "$(chroot new '/usr/bin/[')" "[ 42 pid 1"
    assert_equal "$(find new/bin -printf '%f\n' | sort | xargs)" "[ bin busybox ls sh"
}

@test "02 tool: a dynamic busybox whose library is not found is refused" {
    make_dynamic_busybox
    rm 'my libraries/libanswer.so'
    run -1 --separate-stderr "$LABS/02_rootfs" --busybox dynamic new
    # It cannot even list its applets.
    assert_equal "$output" ""
    [[ $stderr == *"'dynamic': EINVAL (Invalid argument); it is not a busybox"* ]]
    [ ! -e new ]
}

@test "02 tool: a failure half-way takes back what was made" {
    mkdir -m 0710 empty
    ln -s empty link
    local dir
    for dir in new empty link; do
        # The archive is written last.
        run -1 --separate-stderr "$LABS/02_rootfs" --tar /dev/full "$dir"
        assert_equal "$output" ""
        [[ $stderr == *"02_rootfs: pack '$dir' into '/dev/full': tar ended with status 2"* ]]
    done
    # A list that names an applet twice fails at its links. Names with a slash are none.
    cat >twice.c <<'C'
#include <stdio.h>
int main(void) { return puts("sh\n../etc/passwd\nls\nls") < 0; }
C
    cc -o twice twice.c
    for dir in new empty; do
        run -1 --separate-stderr "$LABS/02_rootfs" --tar archive --busybox twice "$dir"
        assert_equal "$stderr" \
            "02_rootfs: make a root file system in '$dir' out of 'twice': EEXIST (File exists); nothing was left behind"
        [ ! -e archive ]
    done
    [ ! -e new ]
    assert_equal "$(ls -A empty)" ""
    assert_equal "$(stat -c %a empty)" 710
    [ -L link ]
}

# Start the tool with an archive that nobody empties, so that it cannot end; wait until it packs.
start_and_get_stuck() {
    local attempt
    mkfifo fifo
    exec 8<>fifo
    env --default-signal=INT,QUIT,HUP,TERM "$@" "$LABS/02_rootfs" --tar fifo new 8<&- 3>&- 2>"$BATS_TEST_TMPDIR/err" &
    tool=$!
    for attempt in $(seq $((500 * SLOW))); do
        [ -e new/bin/zcat ] && pgrep -x tar -P "$(pgrep -d, -P "$tool")" >/dev/null 2>&1 && return
        sleep 0.02
    done
    fail "the tool does not pack (looked $attempt times)"
}

@test "02 tool: nothing that another user puts in the place of DIR, or into it, is followed" {
    cd "$TMPDIR"
    mkdir precious
    chmod 700 precious
    touch precious/file
    # tar(1) is the last that is run, and it fails here.
    printf '#!/bin/sh\ncd "$TMPDIR"; mv dir moved; ln -s precious dir\nexit 1\n' >tar
    chmod +x tar
    PATH=$TMPDIR:$PATH run -1 "$LABS/02_rootfs" --tar archive dir
    assert_line "02_rootfs: 'dir' is another file by now"
    assert [ -e precious/file ]
    assert_equal "$(ls -A moved)" ''
    rm -r dir moved
    mkdir dir
    PATH=$TMPDIR:$PATH run -1 "$LABS/02_rootfs" --tar archive dir
    assert [ -e precious/file ]
    assert_equal "$(ls -A moved)" ''
    rm -r dir moved
    mkdir dir
    # Nor in the place of the directory of the archive, when that is removed.
    PATH=$TMPDIR:$PATH run -1 "$LABS/02_rootfs" --tar dir/file new
    assert [ -e precious/file ]
    assert_equal "$(ls -A moved)" ''
    rm -r dir moved tar
    # The first link is made before tmp gets its mode.
    strace -f -o /dev/null -e inject=symlinkat:delay_enter=1000000:when=1 "$LABS/02_rootfs" dir >out 2>&1 3>&- &
    wait_until [ -d dir/var/tmp ]
    mv dir/tmp moved
    ln -s ../precious dir/tmp
    local status=0
    wait $! || status=$?
    assert_equal "$status" 1
    assert_equal "$(stat -c %a precious)" 700
    assert [ -e precious/file ]
    rm -r precious moved out
}

@test "02 tool: a signal in the middle takes back what was made, and kills the archiver" {
    local signal status archiver
    for signal in INT TERM HUP QUIT; do
        start_and_get_stuck
        archiver=$(pgrep -x tar -P "$(pgrep -d, -P "$tool")")
        kill "-$signal" "$tool"
        status=0
        wait "$tool" || status=$?
        exec 8>&-
        assert_equal "$status" "$((128 + $(kill -l "$signal")))"
        [ ! -e new ] || fail "SIG$signal leaves DIR"
        [ -p fifo ]
        for _ in $(seq $((100 * SLOW))); do
            [ ! -e "/proc/$archiver" ] && break
            sleep 0.02
        done
        [ ! -e "/proc/$archiver" ] || fail "SIG$signal leaves tar"
        rm fifo
    done
}

@test "02 tool: a signal that is ignored from the start stays ignored" {
    start_and_get_stuck --ignore-signal=HUP
    kill -HUP "$tool"
    exec 9<fifo 8>&-
    timeout -k 1 "$TOO_LONG" cat <&9 >/dev/null
    exec 9<&-
    wait "$tool"
    assert_works new
}

@test "02 tool: a DIR that is being filled is refused to a second run" {
    start_and_get_stuck
    run -1 --separate-stderr "$LABS/02_rootfs" new
    assert_equal "$stderr" \
        "02_rootfs: fill the directory 'new': EBUSY (Device or resource busy); another run is filling it"
    [ -e new/bin/sh ]
    kill "$tool"
    wait "$tool" || true
    exec 8>&-
    [ ! -e new ]
}

@test "02 experiment: every row of the article is seen" {
    run play 02_rootfs
    assert_experiment_held
    assert_line "    applets = $(busybox --list | grep -vcx busybox)"
    assert_line "    | $(busybox --list | grep -vcx busybox) links run"
    assert_line --regexp '^    rootfs\.bytes = [0-9]{6,8}$'
    assert_line --regexp '^    usr\.bytes = '
    assert_line "    | $(stat -Lc %d:%i /bin/sh)"
    assert_line --regexp '^    \| +1 .* ps$'
    assert_line --partial "    | proc on /proc type proc"
    assert_line "    | a page of the rootfs"
    assert_line --partial "404 Not Found"
    assert_line --regexp '^    \| c-.* 0, +0 .* hosts$'
    local claim
    for claim in "one program answers to some hundred names" "each of the links runs inside" \
        "the machine's own /usr is more than 20 times as large" \
        "inside, /bin/sh is another file than outside" "it is the busybox that was copied" \
        "without /proc, mount fails: it cannot read the list of mounts" "ps sees one process: itself, number 1" \
        "mount sees one mount: the new /proc" "the page of the server inside is read outside" \
        "what is not below its /var/www is not found (404)" "A has its own /etc/hostname" \
        "B has another one" "the base has the old one" "what B has added is not there for A" \
        "what A has deleted is still there for B" "of the whole base, no file has changed" \
        "A's upper directory has a whiteout for /etc/hosts"; do
        assert_line "  ok    $claim"
    done
}

@test "02 experiment: a proxy in the environment and a port that is taken are no concern of it" {
    run env http_proxy=http://192.0.2.1:1 unshare --net bash -c '
        ip link set lo up && { busybox httpd -f -p 80 -h / & } && server=$!
        for _ in $(seq 200); do busybox wget -q -O - -Y off http://127.0.0.1/etc/hostname && break; sleep 0.05; done
        "$LABS/02_rootfs"; status=$?
        kill "$server" && wait "$server"
        exit "$status"' 3>&-
    assert_experiment_held
}

# A busybox whose applet httpd is called $1. The names are a sorted table: with another order, the
# name is in the list and cannot be found.
busybox_with_httpd_as() {
    sed "s/\x00httpd\x00/\x00$1\x00/" "$BUSYBOX_OF_MACHINE" >"$WORK/patched"
    chmod 755 "$WORK/patched"
    cp "$WORK/patched" busybox
    [ "$(./busybox --list | grep -cx "$1")" = 1 ] || fail "it was not patched"
}

@test "02 experiment: without httpd it says what was not shown, status 77" {
    busybox_with_httpd_as httpq
    run -77 --separate-stderr env -u LAB_MUST_RUN BUSYBOX="$WORK/patched" "$LABS/02_rootfs"
    assert_line "    NOT SHOWN: this busybox was built without httpd."
    assert_equal "$stderr" \
        "02_rootfs: step 5 was not shown: this busybox has no httpd; name one that has it in BUSYBOX"
    run -1 env LAB_MUST_RUN=1 BUSYBOX="$WORK/patched" "$LABS/02_rootfs"
}

@test "02 DIR: a link that its owner puts in the place of bin meanwhile leads the applets nowhere" {
    mkdir shims elsewhere
    printf '#include <stdio.h>\nint main(void) { return puts("sh\\nplanted") < 0; }\n' >dynamic.c
    "${CC:-cc}" -o dynamic dynamic.c
    cat >shims/ldd <<END
#!/bin/sh
mv "$PWD/root/bin" "$PWD/root/moved" && ln -s "$PWD/elsewhere" "$PWD/root/bin"
exec "$(command -v ldd)" "\$@"
END
    chmod 755 shims/ldd
    run -1 env PATH="$PWD/shims:$PATH" "$LABS/02_rootfs" --busybox "$PWD/dynamic" root
    assert_line --partial "ELOOP (Too many levels of symbolic links); nothing was left behind"
    assert_equal "$(ls -A elsewhere)" ""
    [ ! -e root ]
}

@test "02 DIR: a link that its owner puts in the place of usr meanwhile leads no link elsewhere" {
    local status=0
    mkdir elsewhere
    # It stops behind its first link, which is sbin.
    setsid strace -f -qq -o /dev/null -e trace=symlinkat -e inject=symlinkat:signal=SIGSTOP:when=1 \
        "$LABS/02_rootfs" root >said 2>&1 3>&- &
    wait_until test -L root/sbin
    mv root/usr root/moved && ln -s "$PWD/elsewhere" root/usr
    kill -CONT -- "-$!"
    wait "$!" || status=$?
    assert_equal "$status" 1
    run cat said
    assert_line --partial "ELOOP (Too many levels of symbolic links); nothing was left behind"
    assert_equal "$(ls -A elsewhere)" ""
}

@test "02 DIR: a link of its owner that leads into his own mount namespace is not followed" {
    mkdir dir fake precious
    # There, all that is made in it is made in a directory of root.
    unshare -m sh -c "mount --bind '$PWD/precious' '$PWD/fake' && echo made && exec sleep 1000" >said 3>&- &
    wait_until grep -q made said
    rmdir dir
    local dir error="ELOOP (Too many levels of symbolic links); nothing was changed"
    for dir in dir dir/new; do
        ln -sfn "/proc/$!/root$PWD/fake" dir
        run -1 "$LABS/02_rootfs" "$dir"
        assert_output "02_rootfs: fill the directory '$dir': $error"
    done
    run -1 "$LABS/02_rootfs" --tar dir/archive new
    assert_output "02_rootfs: open the directory of the archive 'dir/archive': $error"
    kill "$!"
    assert_equal "$(ls -A precious)" ""
    [ ! -e new ]
    # A link that is typed, or made by root, may lead anywhere else; and DIR may end in slashes.
    ln -sfn precious dir
    run -0 "$LABS/02_rootfs" dir//
    assert [ -e precious/bin/sh ]
}

@test "02 experiment: a link that does not run fails its check" {
    busybox_with_httpd_as zttpd
    run -1 env BUSYBOX="$WORK/patched" "$LABS/02_rootfs"
    assert_line --partial "  FAIL  each of the links runs inside: expected '"
    assert_line --partial "zttpd: applet not found"
}

@test "02 experiment: without a busybox it says what to install, status 77" {
    run -77 --separate-stderr env -u LAB_MUST_RUN BUSYBOX=/no/busybox "$LABS/02_rootfs"
    assert_equal "$stderr" \
        "02_rootfs: no busybox is installed; install the package busybox-static, or name one in BUSYBOX"
}

@test "02 experiment: --shell ends in a shell in the root file system, as PID 1's place" {
    # shellcheck disable=SC2016 # expanded by the shell inside
    run -0 bash -c 'printf "%s\n" "echo /*" "echo pid \$\$" "cat /etc/hostname" | "$LABS/02_rootfs" --shell' 3>&-
    assert_line --regexp '^(.*[$#] )?/bin /dev /etc /home .*'
    assert_line --regexp '^(.*[$#] )?pid 1$'
    assert_line --regexp '^(.*[$#] )?container$'
}

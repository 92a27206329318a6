#!/usr/bin/env bats
# Lab 09: root file systems from archives: what GNU tar unpacks, images of docker and of the OCI, and
# archives that mean harm. A machine of the test's own is used (tests/container.bash).

load helpers
load container

setup_file() { make_rootfs; }
setup() {
    machine_before
    host_up
    mkdir "$TMPDIR/t"
    cd "$TMPDIR/t" || return
}
teardown() {
    cd / && rm -rf "$TMPDIR/t"
    host_down
    machine_after
}

# inside ARCHIVE COMMAND...: what a command says in a container whose root comes from the archive.
inside() {
    run labs09 run --net none "$@"
    assert_success
}

# members ARCHIVE: append what the lines of stdin describe to an archive with a shell in it: TYPE NAME [TARGET or
# CONTENTS], with the types of tar; as Python's strings are written.
members() {
    [ -e "$1" ] || tar -C "$ROOTFS" -cf "$1" bin
    python3 -c '
import io, sys, tarfile
with tarfile.open(sys.argv[1], "a") as t:
    for line in sys.stdin:
        kind, name, rest = (line.encode().decode("unicode_escape").rstrip("\n").split(" ", 2) + [""])[:3]
        i = tarfile.TarInfo(name)
        i.type, i.mode = kind.encode(), 0o755
        if kind in "012": i.linkname = rest
        if kind == "0": i.linkname, i.size = "", len(rest)
        if kind in "34": i.devmajor, i.devminor = 1, 5
        t.addfile(i, io.BytesIO(rest.encode()))
' "$1"
}

@test "archives: a tar, packed or not, or by standard input, is a root file system" {
    local kind
    tar -C "$ROOTFS" -cf root.tar .
    gzip -k root.tar
    xz -0 -k root.tar
    bzip2 -1 -k root.tar
    zstd -q root.tar
    for kind in tar tar.gz tar.xz tar.bz2 tar.zst; do
        inside "root.$kind" sh -c 'ls -ld /suid /bin/sh /tmp'
        assert_line --regexp '^-rwsr-xr-x +1 root +root .* /suid$'
        assert_line --regexp '^lrwxrwxrwx .* /bin/sh -> busybox$'
        assert_line --regexp '^drwxrwxrwt .* /tmp$'
    done
    # The archive has been standard input; the command has none.
    run -0 labs09 run --net none -i - sh -c 'cat; echo end' <root.tar.gz
    assert_output end
    run -0 labs09 run -d -n piped --net none - sleep 1000 <root.tar.gz
    run -0 labs09 exec piped echo here
    assert_output here
    labs09 kill piped
}

# root.tar.xz with the dictionary $1 in its head, as lzma_lzma2_props_decode(3) reads it: 30 is of 128 MiB.
xz_dictionary() {
    python3 -c '
import sys, zlib
x = bytearray(open("root.tar.xz", "rb").read())
end = 12 + 4 * x[12]
x[x.index(b"\x21\x01", 12) + 2] = int(sys.argv[1])
x[end:end + 4] = zlib.crc32(x[12:end]).to_bytes(4, "little")
open("root.xz", "wb").write(x)' "$1"
}

@test "archives: one that asks for gigabytes of memory does not get them" {
    tar -C "$ROOTFS" -c . | xz -0 >root.tar.xz
    xz_dictionary 30
    inside root.xz true
    xz_dictionary 35
    run -125 labs09 run --net none root.xz true
    assert_output --partial "ENOMEM"
}

@test "archives: a FIFO in the place of the archive is not waited for" {
    tar -C "$ROOTFS" -cf root.tar .
    on_host_meanwhile timeout -s KILL "$TOO_LONG" strace -f -o trace -P root.tar -e trace=newfstatat,openat \
        -e inject=openat:delay_enter=$((300000 * SLOW)) "$LABS/09_full_container" run --net none root.tar true >said 2>&1
    wait_until grep -q root.tar trace
    rm root.tar && mkfifo root.tar
    wait_until grep -q "'root.tar' is not a root file system, neither a directory nor a tar" said
    rm root.tar
}

@test "archives: a terminal stays the command's where the archive comes by a pipe" {
    tar -C "$ROOTFS" -cf root.tar .
    run -0 on_host script -qec "cat root.tar | $LABS/09_full_container run -it --net none - sh -c 'read -r word; echo got \$word; tty'" \
        /dev/null <<<"typed"
    assert_line --partial "got typed"
    assert_line --partial "/dev/pts/0"
}

@test "archives: names and hard links that begin with a slash; links to directories" {
    members a.tar <<'END'
0 /abs/file one
1 /abs/hard /abs/file
1 hard2 abs/hard
5 usr
5 usr/lib
0 usr/lib/old old
2 lib usr/lib
5 lib
0 lib/new new
2 lib64 /usr/lib
0 lib64/absolute x
END
    inside a.tar sh -c 'cat /abs/hard /hard2; echo; ls /usr/lib; ls -l /lib /lib64; stat -c %h /hard2'
    assert_line --index 0 oneone
    assert_line --index 1 absolute
    assert_line --index 2 new
    assert_line --index 3 old
    assert_line --regexp '/lib -> usr/lib$'
    assert_line --regexp '/lib64 -> /usr/lib$'
    assert_line 3
}

@test "archives: files, directories and links in place of each other" {
    members a.tar <<'END'
0 a file
5 a
0 a/in in
5 b
0 b/deep/er x
0 b file
2 c a
0 c file
0 d file
2 d a
2 e nowhere
5 e
0 f file
0 f/below x
1 g a/in
1 g a/in
6 pipe
6 pipe
END
    inside a.tar sh -c 'for i in a b c d e f pipe; do echo $i $(stat -c %F /$i); done; cat /a/in /g'
    assert_output "a directory
b regular file
c regular file
d symbolic link
e directory
f directory
pipe fifo
inin"
}

@test "archives: long names, large headers and attributes, sparse files, old formats" {
    local long format
    long=$(printf 'd%.0s/' $(seq 300))$(printf 'n%.0s' $(seq 200))
    mkdir -p "t/${long%/*}"
    echo long >"t/$long"
    for format in gnu posix; do
        cp -a "$ROOTFS/bin" t/
        tar -C t --format=$format -cf $format.tar .
        inside $format.tar cat "/$long"
        assert_output long
    done
    truncate -s 1M sparse && echo end >>sparse
    for format in gnu posix; do
        tar -C "$ROOTFS" -cf sparse-$format.tar bin
        tar -S --format=$format -rf sparse-$format.tar sparse
        inside sparse-$format.tar sh -c 'tail -c 4 /sparse; stat -c %s /sparse'
        assert_output "end
1048580"
    done
    tar -C "$ROOTFS" --format=v7 -cf v7.tar bin
    inside v7.tar echo old
    assert_output old
    python3 -c '
import tarfile
with tarfile.open("pax.tar", "w", format=tarfile.PAX_FORMAT) as t:
    t.add("'"$ROOTFS"'/bin", "bin")
    i = tarfile.TarInfo("large")
    i.pax_headers = {"comment": "c" * 900000, "SCHILY.xattr.user.large": "v" * 20480}
    t.addfile(i)
    t.addfile(tarfile.TarInfo("n\xe9 \u4e2d"))
'
    inside pax.tar sh -c 'stat -c %s /large; echo n*'
    assert_output "0
né 中"
    # libarchive accepts no header of more than 1 MiB; that of 3.8 accepts it.
    python3 -c '
import tarfile
with tarfile.open("pax.tar", "a", format=tarfile.PAX_FORMAT) as t:
    i = tarfile.TarInfo("larger")
    i.pax_headers = {"comment": "c" * 2000000}
    t.addfile(i)
'
    run labs09 run --net none pax.tar stat -c %s /larger
    if [ "$status" -eq 0 ]; then
        assert_output 0
    else
        assert_equal "$status" 125
        assert_output --regexp "^09_full_container: read .pax.tar.: .* too large.*; tar.1. has no such limit: unpack it into a directory, and give that$"
    fi
    # What one program alone knows is a file, as GNU tar says.
    members q.tar <<<'Q what'
    inside q.tar stat -c %F /what
    assert_output --partial "regular empty file"
}

@test "archives: owners, modes and times are kept; devices are left out" {
    mkfifo -m 622 pipe && chown 5:6 pipe
    mkdir -m 1770 dir && chown 65535:65534 dir && touch -d @1000000000 dir
    tar -C "$ROOTFS" -cf a.tar bin
    tar -rf a.tar pipe dir
    members a.tar <<'END'
3 dev/disk
4 disk
END
    inside a.tar sh -c 'stat -c "%n %F %u:%g %a" /pipe /dir; stat -c %Y /dir; ls /disk /dev/disk 2>&1; true'
    assert_output --partial "/pipe fifo 5:6 622
/dir directory 65535:65534 1770
1000000000"
    assert_output --partial "/disk: No such file"
    assert_output --partial "/dev/disk: No such file"
}

@test "archives: an owner that a container does not have" {
    needs_own_users
    touch theirs && chown 65536:5 theirs
    tar -C "$ROOTFS" -cf a.tar bin
    tar -rf a.tar theirs
    refused 125 "'theirs' in the tar '$PWD/a.tar' belongs to user 65536 and group 5; a container has the users and groups 0 to 65535, with --userns host all" \
        --net none "$PWD/a.tar" true
    inside --userns host a.tar stat -c %u:%g /theirs
    assert_output 65536:5
    python3 -c '
import tarfile
with tarfile.open("a.tar", "a") as t:
    i = tarfile.TarInfo("none")
    i.uid = 0xffffffff # -1 for chown(2)
    t.addfile(i)
'
    refused 125 "belongs to user 4294967295 and group 0; a container has the users and groups 0 to 4294967294" \
        --userns host --net none "$PWD/a.tar" true
    refute_output --partial "--userns host all"
}

@test "archives: what is none, or is cut short" {
    tar -C "$ROOTFS" -cf root.tar .
    gzip -k root.tar
    head -c 5000 root.tar >short.tar
    head -c 100000 root.tar.gz >short.tar.gz
    head -c 10240 /dev/zero >zero.tar
    : >nothing
    printf '\x1f\x8b and so on' >garbage.gz
    refused 125 "' in 'short.tar': Truncated" --net none short.tar true
    refused 125 "runcated " --net none short.tar.gz true
    refused 125 "it is empty" --net none zero.tar true
    refused 125 "neither a directory nor a tar" --net none nothing true
    refused 125 "garbage.gz" --net none garbage.gz true
    refused 125 "neither a directory nor a tar" --net none /etc/passwd true
    refused 125 "read '/proc/self/mem': EIO" --net none /proc/self/mem true
    refused 125 "'standard input' is not a root file system, neither a directory nor a tar" --net none - true </etc/passwd
}

# --- archives that mean harm ---------------------------------------------------------------------------

@test "archives: no member leads out of the root" {
    local outside=$TMPDIR/t/outside
    mkdir outside && echo mine >outside/file && chmod 640 outside/file
    members dotdot.tar <<<'0 ../../escaped x'
    members hard.tar <<<'1 stolen ../../../../etc/passwd'
    members inner.tar <<<'0 a/../../b x'
    # What a member is called does not reach the terminal as it is.
    members escape.tar <<<'0 ../\x1b[31mred\x07\xc2\x9b31m\x9b x'
    refused 125 "leads out of its own root: '../../escaped'" --net none dotdot.tar true
    refused 125 "leads out of its own root: '../../../../etc/passwd'" --net none hard.tar true
    refused 125 "leads out of its own root: 'a/../../b'" --net none inner.tar true
    refused 125 "leads out of its own root: '../?[31mred?" --net none escape.tar true
    [[ $output != *$'\x9b'* ]]
    members absolute.tar <<END
0 $outside/file theirs
2 out $outside
0 out/made x
2 up ../../../../../../../..$outside
0 up/made x
2 linked $outside/file
1 hard $outside/file
0 linked theirs
5 out
END
    local users
    for users in auto host; do
        inside --userns $users absolute.tar sh -c "ls /out/ /up/; cat $outside/file"
        assert_output --partial "theirs"
    done
    members into.tar <<END
2 out $outside
5 out
0 out/file theirs
END
    run labs09 run --net none into.tar true
    members stolen.tar <<<"1 stolen $outside/file"
    refused 125 "unpack 'stolen' in 'stolen.tar': ENOENT" --net none stolen.tar true
    assert_equal "$(ls outside)" file
    assert_equal "$(cat outside/file) $(stat -c %a:%h outside/file)" "mine 640:1"
    assert [ ! -e /tmp/escaped ]
}

@test "archives: a signal to who waits for the start of run -d ends the start" {
    local waits status=0
    mkfifo pipe
    sleep 1000 >pipe 3>&- &
    BACKGROUND+=($!)
    on_host_meanwhile sh -c 'exec "$0" run -d -n never --net none - true <pipe' "$LABS/09_full_container"
    waits=${BACKGROUND[-1]}
    eventually eval '[ -e "$CONTAINER_LABS_STATE/+bases/never" ]'
    kill -TERM "$waits"
    wait "$waits" || status=$?
    assert_equal "$status" 143
    run -0 labs09 run -n never --net none "$ROOTFS" true
    rm pipe
}

@test "archives: the process that unpacks has the rights of a container and no others" {
    needs_own_users
    local pid bounding
    tar -C "$ROOTFS" -cf root.tar bin
    mkfifo pipe
    (head -c 100000 root.tar && exec sleep 1000) >pipe 3>&- &
    BACKGROUND+=($!)
    on_host_meanwhile sh -c 'exec "$0" run -n unpacks --net none - true <pipe' "$LABS/09_full_container"
    eventually eval '[ -e "$CONTAINER_LABS_STATE/+bases/unpacks/bin" ]'
    pid=$(pgrep -P "$(container_runtimes)")
    run -0 cat "/proc/$pid/status"
    assert_line --regexp '^NoNewPrivs:.1$'
    assert_line --regexp '^Seccomp:.2$'
    assert_line --regexp '^Uid:.1879048192.1879048192'
    bounding=$(sed -n 's/^CapBnd:.//p' <<<"$output")
    assert_equal "$bounding" 00000000800405fb
    assert_equal "$(sed -n 's/^CapEff:.//p' <<<"$output")" "$bounding"
    for name in mnt user pid net ipc uts; do
        assert_not_equal "$(readlink "/proc/$pid/ns/$name")" "$(readlink "/proc/$HOST_PID/ns/$name")"
    done
    assert_equal "$(wc -l <"/proc/$pid/mountinfo")" 1
    assert_equal "$(ls "/proc/$pid/root")" bin
    # Descriptors: the archive, twice a pipe that cannot be written to, the socket, the file that is written.
    run -0 ls -l "/proc/$pid/fd"
    assert_equal "$(grep -c 'pipe' <<<"$output")" 3
    assert_equal "$(grep -c ' -> ' <<<"$output")" 5
    kill -9 "$(container_runtimes)"
    eventually eval '[ ! -e /proc/$pid/ns ]'
    labs09 prune
}

@test "archives: without the library, one line names it and its package" {
    tar -C "$ROOTFS" -cf root.tar .
    # An overlay that hides it, in the mount namespace of the test's machine.
    local library
    library=$(find /usr/lib/ -name 'libarchive.so.13' | head -n 1)
    mkdir upper work
    mknod "upper/${library##*/}" c 0 0
    mount -t overlay -o "lowerdir=${library%/*},upperdir=$PWD/upper,workdir=$PWD/work" overlay "${library%/*}"
    run labs09 run --net none root.tar true
    local without=$status:$output
    run labs09 run --net none "$ROOTFS" true
    umount --lazy "${library%/*}"
    assert_equal "$status:$output" 0:
    [[ $without == "125:"*"an archive needs libarchive.so.13: ENOENT (No such file or directory); install the package libarchive13, or"* ]]
    inside root.tar true
}

# --- images --------------------------------------------------------------------------------------------

# make_layers: three layers, of a root file system, what changes it, and what hides in it.
make_layers() {
    mkdir -p l1/data l2/opaque/sub l2/lib l2/to-data l3
    cp -a "$ROOTFS/." l1/
    mkdir -p l1/gone l1/opaque l1/usr/lib
    echo 1 | tee l1/gone/file l1/opaque/old l1/removed l1/over l1/usr/lib/kept >l1/kept
    ln -s usr/lib l1/linked
    ln -s data l1/to-data
    echo 1 | tee l1/data/here >l1/.hidden
    echo 2 | tee l2/opaque/sub/new l2/to-data/new l2/over l2/third >l2/back
    touch l2/.wh.gone l2/.wh.removed l2/opaque/.wh..wh..opq l2/.wh..wh.plnk l2/.wh..hidden l2/to-data/.wh..wh..opq
    mkdir -p l3/linked l3/gone
    echo 3 | tee l3/linked/through >l3/gone/again
    touch l3/.wh.third
    tar -C l1 -cf l1.tar .
    # The mark of an opaque directory counts wherever it is in the layer.
    tar -C l2 -cf - --exclude='.wh..wh..opq' . >l2.tar
    tar -C l2 -rf l2.tar opaque/.wh..wh..opq to-data/.wh..wh..opq
    tar -C l3 -cf l3.tar linked/through gone .wh.third
}

check_layers() {
    run labs09 run --net none "$@" sh -c 'cd /; ls -a opaque gone; cat over kept usr/lib/through gone/again; ls -d removed third 2>&1;
        ls data to-data; find / -xdev -name ".wh*"; ls -d .hidden blobs manifest.json index.json oci-layout 2>/dev/null; readlink linked'
    assert_output "gone:
.
..
again

opaque:
.
..
sub
2
1
3
3
ls: removed: No such file or directory
ls: third: No such file or directory
data:
here

to-data:
new
usr/lib"
}

@test "archives: docker save, with the layers in directories of their own" {
    make_layers
    local layer layers=()
    for layer in l1 l2 l3; do
        mkdir -p "image/$layer"
        mv $layer.tar "image/$layer/layer.tar"
        layers+=("$layer/layer.tar")
    done
    jq -cn '[{Config: "config.json", RepoTags: ["test:latest"], Layers: $ARGS.positional}]' --args "${layers[@]}" >image/manifest.json
    echo '{}' >image/config.json
    tar -C image -cf image.tar .
    check_layers image.tar
    check_layers - <image.tar
    jq -c '. + .' image/manifest.json >two && cp two image/manifest.json
    tar -C image -cf two.tar .
    refused 125 "the image 'two.tar' is more than one image" --net none two.tar true
    jq -c '[{Layers: ["none/layer.tar"]}]' <<<null >image/manifest.json
    tar -C image -cf lacks.tar .
    refused 125 "layer /none/layer.tar of the image 'lacks.tar': ENOENT" --net none lacks.tar true
}

# blob FILE: put it into the image by its digest, and print a descriptor.
blob() {
    local digest
    digest=$(sha256sum <"$1" | cut -d' ' -f1)
    cp "$1" "image/blobs/sha256/$digest"
    jq -cn --arg digest "sha256:$digest" --argjson size "$(stat -c %s "$1")" '{digest: $digest, size: $size}'
}

@test "archives: an OCI image, its index and its manifests" {
    make_layers
    mkdir -p image/blobs/sha256
    gzip l2.tar && mv l2.tar.gz l2.tar
    zstd -q --rm l3.tar && mv l3.tar.zst l3.tar
    echo '{}' >config
    {
        blob l1.tar
        blob l2.tar
        blob l3.tar
    } | jq -cs --argjson config "$(blob config)" '{schemaVersion: 2, config: $config, layers: .}' >manifest
    echo '{"layers": []}' >other
    jq -cn --argjson ours "$(blob manifest)" --argjson other "$(blob other)" --arg machine "$(uname -m)" '
        {x86_64: "amd64", aarch64: "arm64"} as $names |
        ($names[$machine] // $machine) as $here |
        {manifests: [$other + {platform: {os: "linux", architecture: "m68k"}},
                     $other + {platform: {os: "windows", architecture: $here}},
                     $ours + {platform: {os: "linux", architecture: $here}}]}' >inner
    jq -cn --argjson inner "$(blob inner)" '{manifests: [$inner]}' >image/index.json
    echo '{"imageLayoutVersion": "1.0.0"}' >image/oci-layout
    tar -C image -cf image.tar .
    check_layers image.tar
    sed -i 's/amd64\|arm64/sparc/g' inner
    jq -cn --argjson inner "$(blob inner)" '{manifests: [$inner]}' >image/index.json
    tar -C image -cf sparc.tar .
    refused 125 "has nothing for this machine's architecture" --net none sparc.tar true
    jq -cn '{manifests: [{digest: "sha256:../../../etc/passwd"}]}' >image/index.json
    tar -C image -cf harm.tar .
    refused 125 "has a description without a digest" --net none harm.tar true
    # It is read once, and not from its beginning for each of its manifests: that took minutes.
    jq -cn '{manifests: [range(100000) | {platform: {architecture: "m68k"}}]}' >image/index.json
    tar -C image -cf long.tar .
    refused 125 "has nothing for this machine's architecture" --net none long.tar true
    # A tree that has such a file is a tree, and so is one whose file is larger than one of an image can be.
    cp -a "$ROOTFS" plain && echo '[{"Layers": 5}]' >plain/manifest.json && echo x >plain/index.json
    tar -C plain -cf plain.tar .
    inside plain.tar cat /manifest.json
    head -c 5000000 /dev/zero | tr '\0' ' ' >>plain/manifest.json
    tar -C plain -cf plain.tar .
    inside plain.tar wc -c /manifest.json
}

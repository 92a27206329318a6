#!/usr/bin/env bash
# A throw-away machine: Debian's own kernel in QEMU, with this machine's files as its own.
#
#   tests/vm/vm.sh                 a shell in it; Ctrl-A X ends it
#   tests/vm/vm.sh COMMAND         one command line in it, its output and its status
#
# Variables: CGROUP=v2 (the default) or v1: the control groups that it has. TIMEOUT=SECONDS: end it
# then, with status 124; without, it may run as long as it likes. KERNEL_DEB=FILE: a kernel package
# of Debian that is already here. VM_CPUS, VM_MEMORY (MiB): 2 and 1024. ARCH=arm64 on an x86-64 machine: an
# arm64 machine in emulation.
#
# Nothing on this machine is changed: the kernel package is unpacked, not installed; the root file
# system is this machine's, handed in read-only by 9p with a tmpfs over it; /tmp is a disk of its own,
# a file in build/vm that is gone at the end; there is no network card.
#
# A machine of another architecture cannot run this machine's programs: its root file system is an image that
# tree.sh makes once, the project is handed in by 9p, and the labs are cross-compiled to build/ARCH.
set -euo pipefail
export PATH="$PATH:/usr/sbin:/sbin" # of an ordinary user too, who may not have them in it
here=$(cd "$(dirname "$0")" && pwd)
project=${here%/tests/vm}

say() { echo "vm: $*" >&2; }
give_up() {
    say "$@"
    exit 126
}

# Everything that can be wrong before anything is done.
check_machine() {
    local host groups
    case $(uname -m) in
    x86_64) host=amd64 ;;
    aarch64) host=arm64 ;;
    *) give_up "it is made for x86-64 and arm64, and this machine is $(uname -m)" ;;
    esac
    ARCH=${ARCH:-$host} store=$project/build/vm/${ARCH:-$host} foreign='' groups="vm vm-${ARCH:-$host}"
    case $host:$ARCH in
    "$host:$host") ;;
    amd64:arm64) foreign=yes groups+=" cross-$ARCH" ;;
    *) give_up "ARCH is '$ARCH', and has to be $host$([ $host = arm64 ] || echo ' or arm64') on this machine" ;;
    esac
    # shellcheck disable=SC2086 # words
    "$project/tests/packages.sh" check $groups || exit 126
    case ${CGROUP:=v2} in v1 | v2) ;; *) give_up "CGROUP is '$CGROUP', and has to be v1 or v2" ;; esac
    [[ ${TIMEOUT:=} =~ ^([1-9][0-9]{0,5})?$ ]] || give_up "TIMEOUT is '$TIMEOUT', and has to be a number of seconds"
}

# Download the kernel's package to the directory $1, unless there is one in KERNEL_DEB. linux-image-ARCH
# itself is empty and depends on the one that is meant.
download_kernel() {
    local name
    if [ -n "${KERNEL_DEB:-}" ]; then
        cp "$KERNEL_DEB" "$1/kernel.deb" || exit 126
        return
    fi
    command -v apt-get >/dev/null ||
        give_up "there is no apt-get here; download Debian's linux-image-VERSION-$ARCH and name it in KERNEL_DEB=FILE"
    name=$(apt-cache depends "linux-image-$ARCH" 2>/dev/null | sed -nE 's/.*Depends: (linux-image-[0-9].*)/\1/p' | head -n 1) || true
    [ -n "$name" ] ||
        give_up "apt knows no linux-image-$ARCH; type: sudo apt-get update (or name a Debian kernel package in KERNEL_DEB=FILE)"
    say "downloading $name (70 MB, once; it is unpacked in build/vm and not installed)"
    (cd "$1" && apt-get -q download "$name" >"$1/apt.log" 2>&1) || give_up "apt-get download $name: $(tail -n 1 "$1/apt.log")"
    mv "$1"/linux-image-*.deb "$1/kernel.deb"
}

# The kernel unpacks itself when it starts, which takes seconds in emulation: unpack it here, once. Where
# it is not packed by xz, it has to do it itself. On arm64 it is not packed.
unpack_vmlinux() {
    : >"$2"
    LC_ALL=C grep -aboP '\xfd7zXZ\x00' "$1" | cut -d: -f1 | while read -r offset; do
        tail -c "+$((offset + 1))" "$1" | xz -dc --single-stream >"$2" 2>/dev/null || true
        if head -c 4 "$2" | grep -q ELF; then break; fi
    done
    head -c 4 "$2" | grep -q ELF || cp "$1" "$2"
}

# What the kernel needs before it sees the root file system: busybox and the modules that lead there;
# and two that elsewhere udev loads.
make_initramfs() {
    local tree=$1 version=$2 kernel=$3 path busybox
    mkdir -p "$tree"/{bin,dev,proc,sys,lower,project,upper,root,modules}
    busybox=$(command -v busybox.static || command -v busybox)
    if [ -n "$foreign" ]; then busybox=$kernel/busybox; fi
    cp "$busybox" "$tree/bin/busybox"
    for module in virtio_pci 9pnet_virtio 9p virtio_blk ext4 overlay loop tun; do
        modprobe -C /dev/null -d "$kernel" -S "$version" --show-depends "$module" 2>/dev/null ||
            give_up "$version has no module $module"
    done | sed -nE 's/^insmod (.*\.ko(\.xz)?)( .*)?$/\1/p' | awk '!seen[$0]++' | while read -r path; do
        case $path in
        *.xz) xz -dc "$path" >"$tree/modules/$(basename "${path%.xz}")" ;;
        *) cp "$path" "$tree/modules/" ;;
        esac
        basename "${path%.xz}" >>"$tree/modules/order"
    done
    (cd "$tree" && find . | cpio -o -H newc --quiet)
}

# The programs of a machine of another architecture.
build_project() {
    env -u MAKEFLAGS make -C "$project" --no-print-directory -s -j "$(nproc)" all kit test-programs \
        BUILD="build/$ARCH" BIN="build/$ARCH/bin" OBJCOPY=aarch64-linux-gnu-objcopy \
        CC="aarch64-linux-gnu-gcc --sysroot=build/vm/$ARCH/sysroot" >&2 ||
        give_up "the labs cannot be compiled for $ARCH"
}

# Make the directory of this run, $run, which is locked as long as its machine lives; and take away those that
# kill -9 has left.
make_run() {
    local left
    for left in "$project"/build/vm/run.*; do
        if [ -d "$left" ] && flock -n "$left" true; then rm -rf "$left"; fi
    done
    run=$(mktemp -d "$project/build/vm/run.XXXXXX")
    exec 8<"$run"
    flock 8
}

# What the files of a machine of another architecture are made of, in words. When it changes, so do they.
guest_packages() { "$project/tests/packages.sh" list build container run test vm-guest; }
recipe() {
    cat "$here/tree.sh"
    guest_packages
}

is_filled() {
    [ -e "$store/initramfs" ] || return
    [ -z "$foreign" ] || recipe | cmp -s - "$store/recipe"
}

# Fill the store, and make a place for this run. The store is made under another name and moved, so that what is
# there is whole.
prepare() {
    local version fresh=$store.new
    exec 9>"$project/build/vm.lock"
    flock 9
    if ! is_filled; then
        rm -rf "$fresh" "$store"
        mkdir -p "$fresh/kernel"
        if [ -n "$foreign" ]; then
            say "making a Debian for $ARCH in build/vm (once; 1 GB, of which 250 MB are downloaded)"
            recipe >"$fresh/recipe"
            # shellcheck disable=SC2046 # a package is a word
            "$here/tree.sh" "$fresh" $(guest_packages) >"$fresh/log" 2>&1 || {
                tail -n 20 "$fresh/log" >&2
                give_up "a Debian for $ARCH cannot be made; the words above are those of tests/vm/tree.sh"
            }
        else
            download_kernel "$fresh"
            dpkg-deb -x "$fresh/kernel.deb" "$fresh/kernel"
        fi
        version=$(basename "$fresh"/kernel/boot/vmlinuz-*)
        version=${version#vmlinuz-}
        # On a system whose /lib is a link, modprobe and depmod are told the same by -d.
        depmod -b "$fresh/kernel" "$version"
        unpack_vmlinux "$fresh/kernel/boot/vmlinuz-$version" "$fresh/vmlinux"
        make_initramfs "$fresh/tree" "$version" "$fresh/kernel" >"$fresh/initramfs"
        rm -rf "$fresh/kernel.deb" "$fresh/log" "$fresh/tree" "$fresh/kernel/boot"
        mv "$fresh" "$store"
        say "$version is ready in build/vm"
    fi
    if [ -n "$foreign" ]; then build_project; fi
    make_run
    exec 9>&-
}

# What this run is about goes in as a second archive behind the first: the guest's scripts and what they
# are to do. So it needs no place on the kernel's command line, whatever characters are in it.
pack_job() {
    local directory=$1 rows=24 columns=80
    mkdir "$directory/job"
    cp "$here/init" "$directory/init"
    cp "$here/session" "$directory/job/session"
    if [ -t 0 ]; then read -r rows columns < <(stty size); fi
    {
        printf '%s=%q\n' cgroup "$CGROUP" project "$project" directory "$PWD" slow "$slow" rows "$rows" columns "$columns" \
            term "${TERM:-dumb}" arch "$ARCH" foreign "$foreign" log_tty "${ttys[0]}" console_tty "${ttys[1]}" \
            status_tty "${ttys[2]}"
    } >"$directory/job/settings"
    if [ $# -gt 1 ]; then printf '%s\n' "$2" >"$directory/job/command"; fi
    cat "$store/initramfs"
    (cd "$directory" && find init job | cpio -o -H newc --quiet)
}

# Whether the machine can run on this machine's processor. On x86-64 a /dev/kvm that can be opened proves
# nothing: in a guest that was not given the processor's own help, every instruction of it fails.
has_kvm() {
    [ -z "$foreign" ] && { : <>/dev/kvm; } 2>/dev/null &&
        { [ "$ARCH" != amd64 ] || grep -qE '^flags.* (vmx|svm)( |$)' /proc/cpuinfo; }
}

# Set what differs between the machines: QEMU's options, and the terminals for the kernel's log, the command and
# its status.
choose_machine() {
    local cpu=max
    boot="quiet panic=-1 nokaslr mitigations=off random.trust_cpu=on"
    case $ARCH in
    amd64)
        machine=(qemu-system-x86_64 -M pc) ttys=(ttyS0 ttyS1 ttyS2)
        serial=(-serial chardev:console -serial chardev:status)
        ;;
    arm64)
        # It has one serial port of its own. A processor without pointer authentication, which takes longest to emulate.
        machine=(qemu-system-aarch64 -M virt) ttys=(ttyAMA0 ttyS0 ttyS1) cpu=cortex-a72
        serial=(-device "pci-serial,chardev=console" -device "pci-serial,chardev=status")
        ;;
    esac
    boot+=" console=${ttys[0]}"
    if [ "$CGROUP" = v2 ]; then boot+=" cgroup_no_v1=all"; fi
    if has_kvm; then
        machine+=(-accel kvm -cpu host) slow=1
        if [ "$ARCH" = arm64 ]; then machine+=(-M gic-version=host); fi
    else
        machine+=(-accel "tcg,thread=multi" -cpu "$cpu") slow=10
        # The emulator translates code once for each address it runs at: a program that is always loaded
        # at the same one starts in a third of the time.
        boot+=" norandmaps"
    fi
}

start_machine() {
    local run=${1//,/,,} console=$2 files=() # a comma in an option of QEMU's is written twice
    if [ -n "$foreign" ]; then
        files=(-fsdev "local,id=host,path=${project//,/,,},security_model=none,readonly=on,multidevs=remap"
            -drive "file=${store//,/,,}/root.ext4,if=virtio,format=raw,readonly=on")
    else
        files=(-fsdev "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap")
    fi
    # The machine ends with this script even where that has no time for it (kill -9).
    exec setpriv --pdeathsig TERM ${TIMEOUT:+timeout --foreground -s KILL "$TIMEOUT"} \
        "${machine[@]}" -nodefaults -no-user-config -display none -no-reboot \
        -smp "${VM_CPUS:-2}" -m "${VM_MEMORY:-1024}" \
        -kernel "$store/vmlinux" -initrd "$1/initramfs" -append "$boot" \
        -drive "file=$run/disk,if=virtio,format=raw,cache=unsafe" "${files[@]}" \
        -device virtio-9p-pci,fsdev=host,mount_tag=host \
        -chardev file,id=log,path="$run/log" -serial chardev:log \
        -chardev "stdio,id=console,$console" -chardev file,id=status,path="$run/status" "${serial[@]}"
}

# Whatever ends this script ends the machine.
# shellcheck disable=SC2317 # called by trap
clean_up() {
    if [ -n "$qemu" ]; then
        kill -TERM "$qemu" 2>/dev/null || true # timeout(1) hands it on
        wait "$qemu" 2>/dev/null || true
    fi
    if [ -n "$terminal" ]; then stty "$terminal"; fi
    rm -rf "$run"
}

check_machine
mkdir -p "$project/build"
prepare
choose_machine
qemu='' terminal='' ended=0
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
pack_job "$run" "$@" >"$run/initramfs"
truncate -s 4G "$run/disk"
mkfs.ext4 -q -E root_owner=0:0 -O ^has_journal "$run/disk"
# It is started in the background, so that this script hears signals while it waits.
if [ $# -gt 0 ]; then
    start_machine "$run" signal=on </dev/null &
else
    say "a shell in a machine of its own (cgroup $CGROUP); exit, or Ctrl-A X, ends it"
    if [ -t 0 ]; then terminal=$(stty -g); fi
    start_machine "$run" mux=on,signal=off <&0 &
fi
qemu=$!
wait "$qemu" || ended=$?
qemu=
status=$(tr -dc 0-9 <"$run/status")
if [ -n "$status" ]; then exit "$status"; fi
if [ "$ended" -eq 137 ] && [ -n "$TIMEOUT" ]; then
    say "it was ended because TIMEOUT=$TIMEOUT seconds had passed"
    exit 124
fi
# Without a command, an end without a status and without a complaint is Ctrl-A X.
if [ $# -eq 0 ] && [ "$ended" -eq 0 ] && [ ! -s "$run/log" ]; then exit 0; fi
tail -n 50 "$run/log" >&2 || true
give_up "the machine ended without a status (QEMU's was $ended); above is the end of its kernel's log"

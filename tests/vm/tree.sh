#!/usr/bin/env bash
# The files of an arm64 machine, made on a machine of another architecture without running any of its programs.
#
#   tests/vm/tree.sh DIRECTORY PACKAGE...
#
# In DIRECTORY: root.ext4, a Debian with its essential packages, the packages that are named, and a kernel with its
# modules; sysroot, the headers and libraries of it for a cross compiler; kernel, what was in its /boot, and its
# modules.
#
# The packages are unpacked, not installed: their scripts would need an emulator in this machine's kernel
# (binfmt_misc). What those scripts do that matters here is in `configure`.
set -euo pipefail
architecture=arm64 triplet=aarch64-linux-gnu loader=ld-linux-aarch64.so.1
directory=$1
shift
release=bookworm

# mmdebstrap tells sh the number of a descriptor, and sh reads numbers of one digit only: nothing that was inherited may
# take these. 255 is this script.
for descriptor in /proc/self/fd/*; do
    descriptor=${descriptor##*/}
    if [ "$descriptor" -gt 2 ] && [ "$descriptor" -ne 255 ]; then exec {descriptor}>&-; fi
done

# Run by mmdebstrap's sh, with the tree as $1. Descriptor 8 is the image: as another user (mmdebstrap's unshare
# mode) it cannot be opened by its name.
# shellcheck disable=SC2016 # expanded by that sh
configure='set -e
cd "$1"
for base in passwd group; do cp "usr/share/base-passwd/$base.master" "etc/$base"; done
cp usr/share/libc-bin/nsswitch.conf etc/nsswitch.conf
cp usr/share/base-files/profile etc/profile
echo "127.0.0.1 localhost" >etc/hosts
ln -sf /run var/run
ln -s mawk usr/bin/awk
ln -s gcc usr/bin/cc
ln -s gnuplot-nox usr/bin/gnuplot
for command in iptables iptables-save iptables-restore; do ln -s xtables-nft-multi "usr/sbin/$command"; done
depmod -b "$PWD" "$(ls lib/modules)"
rm -rf usr/share/locale usr/share/man var/lib/apt/lists
mkfs.ext4 -q -O ^has_journal -d "$PWD" /dev/fd/8 2G'

image=$directory/root.ext4
truncate -s 2G "$image"
exec 8<>"$image"
# How packages are reached is known to this machine's configuration of apt.
apt-config dump Acquire >"$directory/apt.conf"
mmdebstrap --quiet --aptopt="$directory/apt.conf" --architectures="$architecture" --variant=extract --format=null --skip=chroot/mount \
    --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
    --hook-directory=/usr/share/mmdebstrap/hooks/merged-usr --extract-hook="$configure" \
    --include='?essential' --include="linux-image-$architecture" "${@/#/--include=}" "$release" -
exec 8<&-
rm "$directory/apt.conf"

# What this machine needs of it is read out of the image, so that it belongs to the caller.
dump() { debugfs -R "rdump $1 \"$2\"" "$image"; }
mkdir -p "$directory/sysroot/usr/lib" "$directory/kernel/lib"
dump /boot "$directory/kernel"
dump /usr/lib/modules "$directory/kernel/lib"
debugfs -R "dump -p /usr/bin/busybox \"$directory/kernel/busybox\"" "$image"
dump /usr/include "$directory/sysroot/usr"
dump /usr/lib/$triplet "$directory/sysroot/usr/lib"
dump /usr/lib/$loader "$directory/sysroot/usr/lib" # libc.so, which is a script of the linker, names it
ln -s usr/lib "$directory/sysroot/lib"
find "$directory/sysroot" -type l -lname '/*' -printf '%l\t%p\n' | while IFS=$'\t' read -r target link; do
    ln -sfr "$directory/sysroot$target" "$link"
done
# debugfs has status 0 whatever happens.
for wanted in "$directory"/{kernel/boot/vmlinuz-*,kernel/busybox,kernel/lib/modules/*,sysroot/usr/include/stdio.h,sysroot/lib/{"$triplet/libc.so","$loader"}}; do
    [ -s "$wanted" ] || { echo "tree.sh: $image has no ${wanted#"$directory"/}"; exit 1; }
done

#!/bin/sh
# What the labs need from the distribution, and which package has it.
#
#   tests/packages.sh check GROUP...    name what is missing; status 1 if anything is
#   tests/packages.sh install [GROUP...]  install what is missing (what runs the labs and `make test`, by default)
#   tests/packages.sh list GROUP...     all packages of Debian that the groups name
#
# A row: group, what is looked for, then the package for apt, dnf, pacman and apk. What is looked
# for is a command, a header <like.h>, a library like.so.1, or a file /like/this.
set -u

table='
build  make                              make            make            make        make
build  cc                                gcc             gcc             gcc         gcc
build  ar                                binutils        binutils        binutils    binutils
build  <stdio.h>                         libc6-dev       glibc-devel     glibc       musl-dev
build  <linux/version.h>                 linux-libc-dev  kernel-headers  linux-api-headers linux-headers
container  <sys/capability.h>            libcap-dev      libcap-devel    libcap      libcap-dev
container  <seccomp.h>                   libseccomp-dev  libseccomp-devel libseccomp libseccomp-dev
container  <libmnl/libmnl.h>             libmnl-dev      libmnl-devel    libmnl      libmnl-dev
run    busybox                           busybox-static  busybox         busybox     busybox-static
run    ldd                               libc-bin        glibc-common    glibc       musl-utils
run    readelf                           binutils        binutils        binutils    binutils
run    chroot                            coreutils       coreutils       coreutils   coreutils
run    unshare                           util-linux      util-linux      util-linux  util-linux
run    bash                              bash            bash            bash        bash
run    ip                                iproute2        iproute         iproute2    iproute2
run    find                              findutils       findutils       findutils   findutils
run    tar                               tar             tar             tar         tar
run    libarchive.so.13                  libarchive13    libarchive      libarchive  libarchive
run    brctl                             bridge-utils    bridge-utils    bridge-utils bridge-utils
run    iptables                          iptables        iptables-nft    iptables    iptables
run    ping                              iputils-ping    iputils         iputils     iputils-ping
run    sysctl                            procps          procps-ng       procps      procps
run    mount                             mount           util-linux      util-linux  util-linux
run    ipcmk                             util-linux      util-linux      util-linux  util-linux-misc
run    ps                                procps          procps-ng       procps-ng   procps
run    hostname                          hostname        hostname        inetutils   busybox
test   bats                              bats            bats            bats        bats
test   /usr/lib/bats/bats-assert/load.bash   bats-assert  bats-assert    bats-assert bats-assert
test   /usr/lib/bats/bats-support/load.bash  bats-support bats-support   bats-support bats-support
test   nsenter                           util-linux      util-linux      util-linux  util-linux-misc
test   setpriv                           util-linux      util-linux      util-linux  setpriv
test   script                            bsdutils        util-linux      util-linux  util-linux-misc
test   nft                               nftables        nftables        nftables    nftables
test   findmnt                           mount           util-linux      util-linux  findmnt
test   gnuplot                           gnuplot-nox     gnuplot         gnuplot     gnuplot
test   strace                            strace          strace          strace      strace
test   newuidmap                         uidmap          shadow-utils    shadow      shadow-subids
test   chrt                              util-linux      util-linux      util-linux  util-linux-misc
test   taskset                           util-linux      util-linux      util-linux  util-linux-misc
test   jq                                jq              jq              jq          jq
test   xz                                xz-utils        xz              xz          xz
test   bzip2                             bzip2           bzip2           bzip2       bzip2
test   zstd                              zstd            zstd            zstd        zstd
test   nm                                binutils        binutils        binutils    binutils
test   pgrep                             procps          procps-ng       procps      procps
test   python3                           python3         python3         python      python3
lint   clang                             clang           clang           clang       clang
lint   clang-format                      clang-format    clang-tools-extra clang     clang-extra-tools
lint   clang-tidy                        clang-tidy      clang-tools-extra clang     clang-extra-tools
lint   cppcheck                          cppcheck        cppcheck        cppcheck    cppcheck
lint   shellcheck                        shellcheck      ShellCheck      shellcheck  shellcheck
compilers clang                          clang           clang           clang       clang
compilers ccache                         ccache          ccache          ccache      ccache
compilers i686-linux-gnu-gcc             gcc-i686-linux-gnu gcc-i686-linux-gnu gcc-i686-linux-gnu gcc-i686-linux-gnu
compilers /usr/i686-linux-gnu/include/stdio.h libc6-dev-i386-cross gcc-i686-linux-gnu gcc-i686-linux-gnu gcc-i686-linux-gnu
compilers musl-gcc                       musl-tools      musl-gcc        musl        musl-dev
compilers /usr/share/i18n/locales/de_DE  locales         glibc-locale-source glibc     musl-locales
fuzz   clang                             clang           clang           clang       clang
vm-amd64  qemu-system-x86_64             qemu-system-x86 qemu-system-x86-core qemu-system-x86 qemu-system-x86_64
vm-arm64  qemu-system-aarch64            qemu-system-arm qemu-system-aarch64-core qemu-system-aarch64 qemu-system-aarch64
vm     depmod                            kmod            kmod            kmod        kmod
vm     mkfs.ext4                         e2fsprogs       e2fsprogs       e2fsprogs   e2fsprogs
vm     cpio                              cpio            cpio            cpio        cpio
vm     busybox                           busybox-static  busybox         busybox     busybox-static
vm     xz                                xz-utils        xz              xz          xz
vm     dpkg-deb                          dpkg            dpkg            dpkg        dpkg
vm     flock                             util-linux      util-linux      util-linux  util-linux-misc
vm-guest  depmod                         kmod            kmod            kmod        kmod
vm-guest  mkfs.ext4                      e2fsprogs       e2fsprogs       e2fsprogs   e2fsprogs
cross-arm64  aarch64-linux-gnu-gcc       gcc-aarch64-linux-gnu gcc-aarch64-linux-gnu aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
cross-arm64  mmdebstrap                  mmdebstrap      mmdebstrap      mmdebstrap  mmdebstrap
cross-arm64  /usr/share/keyrings/debian-archive-keyring.gpg debian-archive-keyring debian-keyring debian-archive-keyring debian-archive-keyring
check  bats                              bats            bats            bats        bats
check  nsenter                           util-linux      util-linux      util-linux  util-linux-misc
check  setpriv                           util-linux      util-linux      util-linux  setpriv
exercise-07 <libmnl/libmnl.h>            libmnl-dev      libmnl-devel    libmnl      libmnl-dev
exercise-08 nft                          nftables        nftables        nftables    nftables
exercise-09 <sys/capability.h>           libcap-dev      libcap-devel    libcap      libcap-dev
exercise-09 <seccomp.h>                  libseccomp-dev  libseccomp-devel libseccomp libseccomp-dev
grade  jq                                jq              jq              jq          jq
optional  tcpdump                        tcpdump         tcpdump         tcpdump     tcpdump
optional  pasta                          passt           passt           passt       passt
optional  slirp4netns                    slirp4netns     slirp4netns     slirp4netns slirp4netns
gates  git                               git             git             git         git
gates  setfacl                           acl             acl             acl         acl
gates  xmllint                           libxml2-utils   libxml2         libxml2     libxml2-utils
bench  bwrap                             bubblewrap      bubblewrap      bubblewrap  bubblewrap
bench  runc                              runc            runc            runc        runc
bench  crun                              crun            crun            crun        crun
fresh  mmdebstrap                        mmdebstrap      mmdebstrap      mmdebstrap  mmdebstrap
fresh  /usr/share/distro-info/ubuntu.csv distro-info-data distro-info-data distro-info-data distro-info-data
'

have() { command -v "$1" >/dev/null 2>&1; }

# CC may have options, and the compiler after a program like ccache.
have_compiler() {
    for word in ${CC:-cc}; do
        case $word in
        -*) ;;
        *) have "$word" || return ;;
        esac
    done
}

# shellcheck disable=SC2086 # both may be several words
has_header() { echo "#include $1" | ${CC:-cc} ${CPPFLAGS:-} -E - >/dev/null 2>&1; }

has_library() {
    for directory in /lib /lib64 /usr/lib /usr/lib64 /usr/lib/*-linux-*; do
        [ ! -e "$directory/$1" ] || return 0
    done
    return 1
}

found() {
    case $1 in
    '<'*) has_header "$1" ;;
    *.so.*) has_library "$1" ;;
    /*) [ -e "$1" ] ;;
    cc) have_compiler ;;
    *) have "$1" || PATH="$PATH:/usr/sbin:/sbin" have "$1" ;;
    esac
}

# The manager of this machine and the column of its packages.
manager=none column=3
for candidate in apt-get:3 dnf:4 pacman:5 apk:6; do
    if have "${candidate%:*}"; then
        manager=${candidate%:*} column=${candidate#*:}
        break
    fi
done

# The rows of the wanted groups whose object is not there, as "object package".
missing() {
    for group in "$@"; do
        echo "$table" | awk -v group="$group" -v column="$column" '$1 == group {print $2, $column}'
    done | while read -r object package; do
        found "$object" || echo "$object $package"
    done
}

install_packages() {
    as_root=
    [ "$(id -u)" = 0 ] || as_root=sudo
    # shellcheck disable=SC2086 # the words of $as_root and of the list are meant to be split
    case $manager in
    apt-get) $as_root apt-get update -q &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" ;;
    dnf) $as_root dnf install -y "$@" ;;
    pacman) $as_root pacman -Sy --needed --noconfirm "$@" ;;
    apk) $as_root apk add "$@" ;;
    *) echo "packages.sh: no apt-get, dnf, pacman or apk here; install yourself: $*" >&2; return 1 ;;
    esac
}

verb=${1:-}
[ $# -gt 0 ] && shift
case $verb in
check)
    how="make deps installs it"
    case $* in
    *cross-arm64) how="make deps-vm ARCH=arm64 installs it" ;;
    optional) how="tests/packages.sh install optional installs it" ;;
    vm* | bench) how="make deps-$1 installs it" ;;
    *coverage) how="make deps-coverage installs it" ;;
    esac
    missing "$@" | {
        status=0
        while read -r object package; do
            echo "$object is missing: it is in the package $package ($how)" >&2
            status=1
        done
        exit $status
    }
    ;;
install)
    [ $# -gt 0 ] || set -- build container run test
    packages=$(missing "$@" | awk '{print $2}' | sort -u)
    if [ -z "$packages" ]; then
        echo "Everything is installed."
        exit 0
    fi
    # shellcheck disable=SC2086
    install_packages $packages && exec "$0" check "$@"
    ;;
list)
    for group in "$@"; do
        echo "$table" | awk -v group="$group" '$1 == group {print $3}'
    done | sort -u
    ;;
*)
    echo "usage: tests/packages.sh check GROUP... | install [GROUP...] | list GROUP..." >&2
    exit 2
    ;;
esac

#!/usr/bin/env bash
# The README's commands on a bare machine: a tree with nothing but a release's base system is made in a temporary
# directory, and the commands run there as they are written. Needs root and mmdebstrap. Nothing of it stays.
#
#   tests/fresh.sh                 Variables: RELEASE=NAME, a release of Debian or Ubuntu (bookworm by default);
#                                  RUN='COMMAND', which runs in the place of the README's commands;
#                                  MIRROR='deb http://... NAME main', for packages from another place.
#
# The packages of this machine's own release come from where this machine has its own.
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
[ "$(id -u)" = 0 ] || { echo "fresh.sh: needs root; type: make test-fresh" >&2; exit 77; }
"$repository/tests/packages.sh" check fresh

# Everything below happens in a mount namespace of our own: no mount outlives it.
if [ "${1:-}" != inside ]; then
    directory=$(mktemp -d "${TMPDIR:-/tmp}/container-labs-fresh.XXXXXX")
    trap 'rm -rf --one-file-system "$directory"' EXIT
    chmod 755 "$directory"
    unshare --mount --pid --fork --kill-child "$0" inside "$directory"
    exit
fi
root=$2/root
release=${RELEASE:-bookworm}
MIRROR=${MIRROR:-}
# shellcheck disable=SC1091 # a file of the distribution
here=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
# The package distro-info-data, on which mmdebstrap depends, knows the releases of Ubuntu.
components=main
if cut -d, -f3 /usr/share/distro-info/ubuntu.csv | grep -qx "$release"; then
    components=main,universe
    keys=/usr/share/keyrings/ubuntu-archive-keyring.gpg
    [ -n "$MIRROR" ] || [ -e "$keys" ] || {
        echo "fresh.sh: $keys is missing; without it, the packages cannot be verified. To take them as they are:" \
            "MIRROR='deb [trusted=yes] http://archive.ubuntu.com/ubuntu $release main universe'" >&2
        exit 1
    }
fi

mkdir "$root"
mount -t tmpfs -o size=3g tmpfs "$root"
echo "=== a bare $release"
# How packages are reached is known to this machine's configuration of apt.
apt-config dump Acquire >"$2/apt.conf"
mmdebstrap --quiet --mode=root --variant=minbase --include=apt --components="$components" --aptopt="$2/apt.conf" \
    --skip=cleanup/apt "$release" "$root" ${MIRROR:+"$MIRROR"}
parts=(trusted.gpg.d keyrings)
if [ "$release" = "$here" ] && [ -z "$MIRROR" ]; then
    rm -rf "$root/etc/apt/sources.list" "$root/etc/apt/sources.list.d"
    parts+=(sources.list sources.list.d)
fi
for part in "${parts[@]}"; do
    if [ -e "/etc/apt/$part" ]; then cp -a "/etc/apt/$part" "$root/etc/apt/"; fi
done
for file in /etc/resolv.conf /etc/hosts; do cp -L "$file" "$root$file"; done
for keys in /usr/share/keyrings /usr/local/share/ca-certificates /etc/ssl/certs; do
    if [ -d "$keys" ]; then mkdir -p "$root$keys" && cp -a "$keys/." "$root$keys/"; fi
done

mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mkdir -p "$root/home/labs"
git -C "$repository" ls-files -z --cached --others --exclude-standard |
    tar -C "$repository" --null --files-from=- -cf - | tar -C "$root/home/labs" -xf -

# The commands are those of the README, from the block that follows its heading.
sed -n '/^## Two commands/,/^## /p' "$repository/README.md" | sed -n '/^```/,/^```/p' | sed '/^```/d' >"$2/commands"
[ "$(grep -c . "$2/commands")" -eq 2 ] || { echo "fresh.sh: README.md does not have two commands" >&2; exit 1; }
if [ -n "${RUN:-}" ]; then printf '%s\n' "$RUN" >"$2/commands"; fi
# Entered by pivot_root, as a machine of its own: below a chroot, lab 01 would rightly find a way out.
cp "$2/commands" "$root/run/commands"
mkdir "$root/old"
cd "$root"
pivot_root . old
exec </dev/null
umount -l /old
rmdir /old
while read -r command; do
    echo "=== \$ $command"
    /usr/bin/env -i HOME=/root TERM=dumb PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        bash -c "cd /home/labs && $command" </dev/null
done </run/commands
echo "=== passed on a bare $release"

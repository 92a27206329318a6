#!/usr/bin/env bash
# How long a container takes from start to exit of /bin/true, side by side with other programs that make
# containers, in one run (ROUNDS=N of each, 100): lab 09 without a network, with its bridge, and the others
# with the namespaces, the mounts and the filter that can be made the same. A runtime that is not installed, or does not
# run on this machine, is named and left out.
#
# It is a measurement, not a test: it wants an idle machine. All happens in mount and network namespaces of
# its own; the status is 1 where a target is missed.
set -euo pipefail
labs=${LABS:-$(cd "$(dirname "$0")/../.." && pwd)/labs}
tools=${BENCH:-$(cd "$(dirname "$0")/../.." && pwd)/build/tests/bench}
make_filter=$tools/../../make_filter
rounds=${ROUNDS:-100}

if [ "${1:-}" != inside ]; then
    directory=$(mktemp -d "${TMPDIR:-/tmp}/container-labs-bench.XXXXXX")
    trap 'rm -rf --one-file-system "$directory"' EXIT
    chmod 755 "$directory"
    unshare --mount --propagation private --net "$0" inside "$directory"
    exit
fi
directory=$2
rootfs=$directory/bundle/rootfs
# Where lab 09, runc and crun keep what they know, in memory as on any machine.
mount -t tmpfs tmpfs /run
ip link set lo up
mkdir "$directory/bundle"
"$labs/02_rootfs" "$rootfs" >/dev/null
# crun takes a machine with both versions of cgroups for one with v2 alone.
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi

# What runc and crun are told: their own default, and the command.
if command -v runc >/dev/null; then
    runc spec --bundle "$directory/bundle"
    sed -i 's/"terminal": true/"terminal": false/; s/"sh"$/"\/bin\/true"/' "$directory/bundle/config.json"
fi

runs() { # runs COMMAND...: whether it runs here
    command -v "$1" >/dev/null || { echo "$1 is not installed (make deps-bench)" >&2 && return 1; }
    local said
    said=$("$@" 2>&1) || { echo "$1 does not run here: $said" >&2 && return 1; }
}

lab09=$labs/09_full_container

# The container's filter as the bytes that bwrap reads: struct sock_filter of seccomp(2).
write_filter() {
    local code jt jf k bytes
    "$make_filter" | tr -d '{},' | while read -r code jt jf k; do
        printf -v bytes '\\x%02x' $((code & 255)) $((code >> 8)) "$jt" "$jf" \
            $((k & 255)) $((k >> 8 & 255)) $((k >> 16 & 255)) $((k >> 24))
        printf '%b' "$bytes"
    done
}

# What is covered in a container's /proc and /sys, as it is seen in there, in bwrap's words.
covers() {
    local type place
    echo --ro-bind /sys /sys
    "$lab09" run --net none "$rootfs" mount | while read -r type _ place _; do
        case $type:$place in
        tmpfs:/proc/* | tmpfs:/sys/*)
            if [ -d "$place" ]; then echo --tmpfs "$place" --remount-ro "$place"; else echo --ro-bind /dev/null "$place"; fi
            ;;
        proc:/proc/*) echo --ro-bind "$place" "$place" ;;
        esac
    done
}

commands=(-- 'bare clone3 and execve' "$tools/bare" "$rootfs" /bin/true
    -- 'lab 09 --net none' "$lab09" run --net none "$rootfs" /bin/true
    -- 'lab 09 --net none --userns host' "$lab09" run --net none --userns host "$rootfs" /bin/true
    -- 'lab 09, bridge made and removed' "$lab09" run "$rootfs" /bin/true
    -- 'unshare | chroot' unshare --user --map-root-user --mount --pid --fork --net --uts --ipc --cgroup
    chroot "$rootfs" /bin/true)
bwrap=(bwrap --unshare-all --unshare-user --die-with-parent --bind "$rootfs" / --proc /proc --dev /dev
    --tmpfs /dev/shm --mqueue /dev/mqueue --hostname bench --cap-drop ALL --new-session)
write_filter >"$directory/filter"
exec 3<"$directory/filter"
# The same work, as far as bwrap can: it has no overlay, no control group, and nothing to list or to join.
# shellcheck disable=SC2207 # words without spaces
same_work=($(covers) --seccomp 3)
runc=(runc run --bundle "$directory/bundle" bench-$$)
crun=(crun run --bundle "$directory/bundle" bench-$$)
if runs "${bwrap[@]}" "${same_work[@]}" /bin/true; then
    commands+=(-- 'bwrap, with that filter and covers' "${bwrap[@]}" "${same_work[@]}" /bin/true
        -- 'bwrap, with neither' "${bwrap[@]}" /bin/true)
fi
if runs "${runc[@]}"; then commands+=(-- runc "${runc[@]}"); fi
if runs "${crun[@]}"; then commands+=(-- crun "${crun[@]}"); fi

"$tools/start" "$rounds" "${commands[@]}" | tee "$directory/table"

# A second table: a bridge that is there already, as another container has it.
"$lab09" run -d -n neighbour "$rootfs" sleep 1000 >/dev/null
echo
"$tools/start" "$rounds" -- 'bare clone3 and execve' "$tools/bare" "$rootfs" /bin/true \
    -- 'lab 09, bridge there already' "$lab09" run "$rootfs" /bin/true | tee -a "$directory/table"
sleep 2 # after a second the runtime gives back what it does not need while it waits
memory=$(awk '/^VmRSS/ {print $2}' "/proc/$("$lab09" inspect neighbour | sed -n 's/.*"runtime_pid": \([0-9]*\),/\1/p')/status")
"$lab09" kill neighbour

echo
awk -v memory="$memory" '
    function judge(what, held) { printf "%-66s %s\n", what, held ? "yes" : "NO"; missed = missed || !held }
    NF >= 5 && $NF + 0 > 0 { name = $0; sub(/ +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9.]+$/, "", name)
        median[name] = $(NF - 3); multiple[name] = $NF }
    END {
        none = median["lab 09 --net none"]; bridge = median["lab 09, bridge made and removed"]
        judge(sprintf("without a network: %.2f times bare, at most 2", multiple["lab 09 --net none"]),
            multiple["lab 09 --net none"] <= 2)
        # With neither, bwrap does less; and unshare and chroot hold nobody.
        for (other in median)
            if (other ~ /^bwrap, with that/ || other == "runc" || other == "crun")
                judge(sprintf("without a network: faster than %s (%.1f times)", other, median[other] / none),
                    none < median[other])
        if ("runc" in median)
            judge(sprintf("with the bridge: faster than runc without one (%.1f times)", median["runc"] / bridge),
                bridge < median["runc"])
        judge(sprintf("memory of a running container'\''s runtime: %d kB, at most 1000", memory), memory + 0 <= 1000)
        exit missed
    }' "$directory/table"

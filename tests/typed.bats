#!/usr/bin/env bats
# The lines with $ are true: typed as root in an empty directory, in that order, they work and print the same.

load helpers

setup() {
    machine_before
    mkdir "$TMPDIR/empty"
    export LAB_MEASURE=20 # how exactly is of no importance here
}
teardown() {
    # What a script has left running goes with its PID namespace; its groups are of this test.
    find /sys/fs/cgroup -depth -path '*/container-labs/*' -type d -exec rmdir {} + 2>/dev/null || true
    find /sys/fs/cgroup -maxdepth 2 -name container-labs -exec rmdir {} + 2>/dev/null || true
    rm -rf "$TMPDIR/empty" "$TMPDIR"/typed*
    machine_after
}

# The lines that experiment $1 shows, as a shell script. Before each, a line "@ LINE"; behind each, its exit status.
# A person types slowly: a moment passes in between.
script_of() {
    sed -nE 's/^    \$ (.*)/\1/p' "$1" | while IFS= read -r line; do
        printf "printf '%%s\\\\n' '@ %s'\n" "${line//\'/\'\\\'\'}"
        printf '%s\necho "= $?"; sleep 0.1\n' "$line"
    done
}

# The same form for what the experiment itself has printed: "@ LINE", then the output that it shows directly below.
# What comes later, or is typed inside a sandbox (box$), is not the output of that line.
shown_by() {
    awk '/^    \$ / { directly = 1; print "@ " substr($0, 7); next }
         directly && /^    \| / { print substr($0, 7); next }
         { directly = 0 }' "$1" | grep -vx '(nothing)'
}

# Numbers, addresses of hardware, and the PID in a path vary; so do the widths of columns that hold them.
steady() {
    sed -E -e 's/([0-9a-f]{2}:){5}[0-9a-f]{2}/MAC/g' -e 's#[^ =:]*container-labs/[^ /]*#GROUP#g' \
        -e 's/[0-9a-f]{12,}/ID/g' -e 's/[0-9]+([.][0-9]+)?/N/g' -e 's/[ \t]+/ /g' -e 's/ $//' -e 's/^ ?-?N /N /' \
        -e 's/^N_chroot: /chroot: /' # page 01 does itself what chroot(1) does
}

# typed LAB [WORD]: play LAB; type its lines, as `WORD... sh script`; compare. A line whose output the experiment shows
# must print the same; one whose output it does not show must succeed. UNTYPED: a sed script that takes lines out of
# what LAB prints; STAND_IN: one that changes the script that is typed.
typed() {
    local lab=$1
    shift
    play "$lab" >"$TMPDIR/typed.out"
    sed -i -E "${UNTYPED:-}" "$TMPDIR/typed.out"
    script_of "$TMPDIR/typed.out" | sed -E "${STAND_IN:-}" >"$TMPDIR/typed.sh"
    [ "$(grep -c '^printf' "$TMPDIR/typed.sh")" -ge 3 ] || fail "$lab shows no lines to type"
    # A PID namespace takes with it what a line has left running.
    (cd "$TMPDIR/empty" && timeout -k 1 "$TOO_LONG" env LC_ALL=C unshare --mount --pid --fork --kill-child --mount-proc \
        "$@" sh "$TMPDIR/typed.sh") >"$TMPDIR/typed.now" 2>&1 3>&- </dev/null || true
    shown_by "$TMPDIR/typed.out" | steady >"$TMPDIR/typed.b"
    # What a line prints counts where the experiment shows it; else its status does.
    awk '/^    \$ / { line = substr($0, 7); next }; /^    \| / && line != "" { print line }; { line = "" }' \
        "$TMPDIR/typed.out" >"$TMPDIR/typed.quoted"
    awk -v failed="$TMPDIR/typed.failed" '
        FILENAME == ARGV[1] { quoted[$0] = 1; next }
        /^@ / { line = substr($0, 3); print; next }
        /^= [0-9]+$/ { if ($2 != 0 && !(line in quoted)) print "status " $2 ": " line >failed; next }
        line in quoted' "$TMPDIR/typed.quoted" "$TMPDIR/typed.now" | steady >"$TMPDIR/typed.a"
    [ ! -s "$TMPDIR/typed.failed" ] || fail "$lab: $(cat "$TMPDIR/typed.failed" "$TMPDIR/typed.now")"
    diff "$TMPDIR/typed.b" "$TMPDIR/typed.a" >"$TMPDIR/typed.diff" || fail "$lab (< it shows, > typed): $(cat "$TMPDIR/typed.diff")"
}

# A network of one's own, as an experiment has it; the control groups are shown again below the new /sys.
own_network() {
    # shellcheck disable=SC2016
    printf '%s\n' unshare --net sh -c 'mount -t tmpfs tmpfs /run && mkdir /run/groups && mount --rbind /sys/fs/cgroup /run/groups && mount -t sysfs sysfs /sys && mount --rbind /run/groups /sys/fs/cgroup && umount -l /run/groups && rmdir /run/groups && ip link set lo up && exec "$@"' -
}

@test "typed: 01" { typed 01_chroot; }

@test "typed: 02" {
    mapfile -t own < <(own_network)
    typed 02_rootfs "${own[@]}"
}

@test "typed: 07" {
    mapfile -t own < <(own_network)
    typed 07_veth_bridge "${own[@]}"
}

@test "typed: 08" {
    mapfile -t own < <(own_network)
    typed 08_nat "${own[@]}"
}

@test "typed: 03" { typed 03_unshare; }

@test "typed: 04" { typed 04_setns; }

@test "typed: 05" { typed 05_cgroup_cpu; }

@test "typed: 06" { typed 06_cpu_shares; }

# Page 09 makes its child by clone3(2), which no shell has: BOX is a child of unshare(1) here, in the same namespaces.
# What that child then does to itself is not typed, so three lines cannot be, either: nsenter -u shows its host name,
# stat its user, grep its privileges.
@test "typed: 09" {
    mapfile -t own < <(own_network)
    # shellcheck disable=SC2016
    UNTYPED='/^    \$ (nsenter -t \$BOX -u|ls .*\$BOX\/fd|stat .*\$BOX|grep .*\$BOX\/status)/,/^  ok/d' \
        STAND_IN='s/^BOX=[0-9]+$/unshare -Umpniu --fork --kill-child sleep 60 \& sleep 1; BOX=$(pgrep -P $!)/' \
        typed 09_full_container "${own[@]}"
}

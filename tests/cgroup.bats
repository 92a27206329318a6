#!/usr/bin/env bats
# What labs 05 and 06 read from the kernel, on trees that were recorded on other machines, and what they
# compute. tests/unit.c calls the functions of common/ and prints what they say.

load helpers

setup() {
    machine_before
    TREES=${BATS_TEST_FILENAME%/*}/cgroup
}

teardown() { machine_after; }

# in_tree NAME LINE...: what is found in the recorded tree NAME.
in_tree() {
    local tree=$1
    shift
    run -0 "$UNIT" hierarchies "$TREES/$tree"
    assert_output "$(printf '%s\n' "$@")"
}

copy() {
    rm -rf "$TMPDIR/tree"
    cp -r "$TREES/$1" "$TMPDIR/tree"
}

@test "cgroup: v2 as systemd sets it up" {
    in_tree systemd-v2 'cgroup v2; v1: -; v2: cpuset cpu io memory hugetlb pids rdma misc' \
        'cpu: v2 /sys/fs/cgroup root / rw' 'cpuacct: v2 /sys/fs/cgroup root / rw' \
        'memory: v2 /sys/fs/cgroup root / rw' 'pids: v2 /sys/fs/cgroup root / rw'
}

@test "cgroup: v1 with cpu and cpuacct in one hierarchy; named hierarchies are ignored" {
    in_tree v1-comounted 'cgroup v1; v1: cpuacct cpu pids memory net_prio net_cls; v2: -' \
        'cpu: v1 /sys/fs/cgroup/cpu,cpuacct root / rw' 'cpuacct: v1 /sys/fs/cgroup/cpu,cpuacct root / rw' \
        'memory: v1 /sys/fs/cgroup/memory root / rw' 'pids: v1 /sys/fs/cgroup/pids root / rw'
}

@test "cgroup: hybrid, with cpu and cpuacct in two hierarchies of v1 and a v2 that has neither" {
    in_tree hybrid \
        'hybrid (v1 beside v2); v1: cpu cpuacct cpuset memory devices freezer blkio pids; v2: hugetlb' \
        'cpu: v1 /sys/fs/cgroup/cpu root / rw' 'cpuacct: v1 /sys/fs/cgroup/cpuacct root / rw' \
        'memory: v1 /sys/fs/cgroup/memory root / rw' 'pids: v1 /sys/fs/cgroup/pids root / rw'
}

@test "cgroup: hybrid, each controller taken from where it is" {
    in_tree mixed 'hybrid (v1 beside v2); v1: memory; v2: cpuset cpu io pids' \
        'cpu: v2 /sys/fs/cgroup/unified root / rw' 'cpuacct: v2 /sys/fs/cgroup/unified root / rw' \
        'memory: v1 /sys/fs/cgroup/memory root / rw' 'pids: v2 /sys/fs/cgroup/unified root / rw'
}

@test "cgroup: a container in its cgroup namespace, v2, read-only" {
    in_tree container-v2 'cgroup v2; v1: -; v2: cpuset cpu io memory hugetlb pids rdma misc' \
        'cpu: v2 /sys/fs/cgroup root / ro' 'cpuacct: v2 /sys/fs/cgroup root / ro' \
        'memory: v2 /sys/fs/cgroup root / ro' 'pids: v2 /sys/fs/cgroup root / ro'
}

@test "cgroup: a container without a cgroup namespace, v1: its own group is the root that it has" {
    in_tree container-v1 'cgroup v1; v1: cpu cpuacct memory; v2: -' \
        'cpu: v1 /sys/fs/cgroup/cpu,cpuacct root /docker/5f0e ro' \
        'cpuacct: v1 /sys/fs/cgroup/cpu,cpuacct root /docker/5f0e ro' \
        'memory: v1 /sys/fs/cgroup/memory root /docker/5f0e ro' 'pids: nowhere'
}

@test "cgroup: a mount from outside the cgroup namespace is not used" {
    in_tree outside-namespace 'no cgroup file system; v1: -; v2: -' \
        'cpu: nowhere' 'cpuacct: nowhere' 'memory: nowhere' 'pids: nowhere'
    copy outside-namespace
    run -1 "$UNIT" create "$TMPDIR/tree" none
    assert_output "unit: find the controller cpu: EXDEV (Invalid cross-device link); the cgroup file system was mounted outside of this cgroup namespace: mount it again in here, or leave the namespace"
    rm -r "$TMPDIR/tree"
}

@test "cgroup: what statfs does not call a cgroup file system is none, whatever mountinfo says" {
    in_tree covered 'cgroup v1; v1: cpuacct; v2: -' \
        'cpu: nowhere' 'cpuacct: v1 /sys/fs/cgroup/cpuacct root / rw' 'memory: nowhere' 'pids: nowhere'
}

@test "cgroup: of several mounts the one that shows most of what is above us; blanks in its path" {
    in_tree several-mounts 'cgroup v1; v1: cpu cpuacct; v2: -' \
        'cpu: v1 /mnt/all of it root / rw' 'cpuacct: v1 /mnt/all of it root / rw' \
        'memory: nowhere' 'pids: nowhere'
}

@test "cgroup: no cgroup at all, and lines that are no mounts" {
    in_tree none 'no cgroup file system; v1: -; v2: -' \
        'cpu: nowhere' 'cpuacct: nowhere' 'memory: nowhere' 'pids: nowhere'
    copy none
    run -77 env -u LAB_MUST_RUN "$UNIT" create "$TMPDIR/tree" none
    assert_line --regexp '^unit: find the controller cpu: ENODEV \(No such device\); no hierarchy of this machine has it: '
    assert_equal "${#lines[@]}" 1
    rm -r "$TMPDIR/tree"
}

@test "cgroup: the group of a process, from its /proc/PID/cgroup" {
    printf '4:memory:/system.slice/x\n1:name=cpu:/wrong\n0::/system.slice/a:b.service\n' >"$TMPDIR/mixed"
    run -0 "$UNIT" directory "$TREES/mixed" "$TMPDIR/mixed"
    assert_output "$(printf '%s\n' 'cpu: /sys/fs/cgroup/unified/system.slice/a:b.service' \
        'cpuacct: /sys/fs/cgroup/unified/system.slice/a:b.service' \
        'memory: /sys/fs/cgroup/memory/system.slice/x' \
        'pids: /sys/fs/cgroup/unified/system.slice/a:b.service')"
    # Below the part of the hierarchy that is mounted, at it, beside it, and outside of our namespace.
    printf '9:cpu,cpuacct:/docker/5f0e/inner\n5:memory:/docker/5f0e\n' >"$TMPDIR/v1"
    run -0 "$UNIT" directory "$TREES/container-v1" "$TMPDIR/v1"
    assert_line 'cpu: /sys/fs/cgroup/cpu,cpuacct/inner'
    assert_line 'memory: /sys/fs/cgroup/memory'
    printf '9:cpu,cpuacct:/docker/5f0e1\n5:memory:/../x\n' >"$TMPDIR/v1"
    run -0 "$UNIT" directory "$TREES/container-v1" "$TMPDIR/v1"
    assert_line 'cpu: /docker/5f0e1, not to be seen'
    assert_line 'memory: /../x, not to be seen'
    rm "$TMPDIR/v1" "$TMPDIR/mixed"
}

@test "cgroup: a limit and shares are written in the words of the dialect" {
    copy systemd-v2
    run -0 "$UNIT" limit "$TMPDIR/tree" A 50000 100000
    assert_equal "$(cat "$TMPDIR/tree/sys/fs/cgroup/A/cpu.max")" '50000 100000'
    run -0 "$UNIT" shares "$TMPDIR/tree" A 2048
    assert_equal "$(cat "$TMPDIR/tree/sys/fs/cgroup/A/cpu.weight")" 174
    copy v1-comounted
    run -0 "$UNIT" limit "$TMPDIR/tree" A 50000 100000
    assert_equal "$(cat "$TMPDIR/tree/sys/fs/cgroup/cpu,cpuacct/A/cpu.cfs_quota_us")" 50000
    assert_equal "$(cat "$TMPDIR/tree/sys/fs/cgroup/cpu,cpuacct/A/cpu.cfs_period_us")" 100000
    run -0 "$UNIT" shares "$TMPDIR/tree" A 2048
    assert_equal "$(cat "$TMPDIR/tree/sys/fs/cgroup/cpu,cpuacct/A/cpu.shares")" 2048
    # A file that is not there is not created.
    rm "$TMPDIR/tree/sys/fs/cgroup/cpu,cpuacct/A/cpu.shares"
    run -1 "$UNIT" shares "$TMPDIR/tree" A 2048
    assert_output --partial "/A/cpu.shares: ENOENT (No such file or directory); the kernel was built without this, or the group has gone"
    [ ! -e "$TMPDIR/tree/sys/fs/cgroup/cpu,cpuacct/A/cpu.shares" ]
    rm -r "$TMPDIR/tree"
}

# refused TREE ERRNO REMEDY: the kernel refuses +cpu; one line with the remedy, status 77, nothing left.
refused() {
    copy "$1"
    run -77 env -u LAB_MUST_RUN "$UNIT" create "$TMPDIR/tree" "$2"
    assert_equal "${#lines[@]}" 1
    assert_output --regexp "^unit: write '\+cpu' to .*/sys/fs/cgroup/cgroup.subtree_control: $2 \(.*\); .*$3"
    diff -r "$TREES/$1" "$TMPDIR/tree"
    rm -r "$TMPDIR/tree"
}

@test "cgroup: +cpu refused, each reason with its remedy and nothing left behind" {
    refused realtime-threads EINVAL 'realtime threads outside the root group'
    refused systemd-v2 EBUSY 'move them into a child group first'
    refused systemd-v2 EOPNOTSUPP 'the group is threaded'
    refused systemd-v2 EROFS 'read-only'
}

@test "cgroup: a group with processes is left alone before the kernel makes a threaded one of it" {
    # "none": the kernel would take the write, as it does, and the container's group would turn threaded.
    refused_by_us() { refused container-v2 EBUSY 'with processes of its own'; }
    copy container-v2
    run -77 env -u LAB_MUST_RUN "$UNIT" create "$TMPDIR/tree" none
    assert_output --regexp '^unit: write .\+cpu. to .*: EBUSY \(.*\); a group of v2 with processes of its own'
    diff -r "$TREES/container-v2" "$TMPDIR/tree"
    rm -r "$TMPDIR/tree"
}

@test "cgroup: on v2 controllers are handed on from the root downwards" {
    copy systemd-v2
    # In a recorded tree no files appear in a new directory: the second level has none to write to.
    run -1 "$UNIT" create "$TMPDIR/tree" none
    assert_output --partial '/sys/fs/cgroup/container-labs/cgroup.subtree_control: ENOENT'
    assert_output --partial 'the group above does not hand this controller on'
    [ ! -e "$TMPDIR/tree/sys/fs/cgroup/container-labs" ]
    rm -r "$TMPDIR/tree"
}

@test "cgroup: cpu.stat of both dialects, cpu.max, numbers and /proc/stat" {
    printf 'usage_usec 3950899\nuser_usec 3650607\nnr_periods 23\nnr_throttled 22\nthrottled_usec 2016750\n' >"$TMPDIR/v2"
    run -0 "$UNIT" stat 2 "$TMPDIR/v2"
    assert_output 'yes usage 3950899 periods 23 throttled 22 for 2016750 us'
    printf 'nr_periods 25\nnr_throttled 9\nthrottled_time 369479851\nnr_bursts 0\n' >"$TMPDIR/v1"
    run -0 "$UNIT" stat 1 "$TMPDIR/v1"
    assert_output 'yes usage 0 periods 25 throttled 9 for 369479 us'
    printf 'usage_usecs 1\nnr_periods x\nthrottled_usec 99999999999999999999\n' >"$TMPDIR/bad"
    run -0 "$UNIT" stat 2 "$TMPDIR/bad"
    assert_output --regexp '^no usage 0 '
    local text
    for text in 'max 100000:-1 of 100000' '50000 100000:50000 of 100000' 'max:no' '50000:no' '50000 100000 1:no' \
        '-x 100000:no' '50000 0:no'; do
        run -0 "$UNIT" max "${text%:*}"
        assert_output "${text##*:}"
    done
    run -0 "$UNIT" number $'low 0\nmax 7\noom_kill 2' max
    assert_output 7
    run -0 "$UNIT" number max ''
    assert_output -- -1
    run -0 "$UNIT" number $'oom 3\noom_kill 2' oom_kill
    assert_output 2
    run -0 "$UNIT" number '' ''
    assert_output no
    printf 'cpu  9 9 9 999 9\ncpu0 1 2 3 100 5 0 0 0 0 0\ncpu1 1 2 3 200 6 0 0 0 0 0\ncpu12 1 1 1 1000 0\nintr 1\n' >"$TMPDIR/stat"
    run -0 "$UNIT" idle "$TMPDIR/stat" 0 1
    assert_output 311
    run -0 "$UNIT" idle "$TMPDIR/stat" 12
    assert_output 1000
    rm "$TMPDIR/v1" "$TMPDIR/v2" "$TMPDIR/bad" "$TMPDIR/stat"
}

@test "cgroup: the ends and the defaults of shares and weights are converted to each other" {
    local row
    copy systemd-v2
    for row in 2:1 512:59 1024:100 2048:174 262144:10000; do
        : >"$TMPDIR/tree/sys/fs/cgroup/A/cpu.weight" # an ordinary file keeps what is behind a write
        run -0 "$UNIT" shares "$TMPDIR/tree" A "${row%:*}"
        assert_equal "$(cat "$TMPDIR/tree/sys/fs/cgroup/A/cpu.weight")" "${row#*:}"
    done
    rm -r "$TMPDIR/tree"
}

# fair EXPECTED CPUS[/CAPACITY] GROUP...: percent of a CPU that each group (PARENT:WEIGHT:THREADS) gets.
fair() {
    local expected=$1
    shift
    run -0 "$UNIT" fair "$@"
    assert_output "$expected"
}

@test "cgroup: the prediction shares by weight, is work conserving and knows groups in groups" {
    fair '66.7 133.3' 2 -1:512:12 -1:1024:4
    fair '800.0 400.0' 12 -1:512:12 -1:1024:4
    fair '200.0 0.0' 2 -1:512:12 -1:1024:0
    fair '28.6 57.1 114.3' 2 -1:512:4 -1:1024:4 -1:2048:4
    # A, A/X, A/Y, B
    fair '100.0 25.0 75.0 100.0' 2 -1:1024:0 0:1024:4 0:3072:4 -1:1024:4
    # What X cannot use goes to Y first, and only then to B.
    fair '200.0 50.0 150.0 200.0' 4 -1:1024:0 0:1024:4 0:3072:4 -1:1024:4
    fair '200.0 100.0 100.0 200.0' 4 -1:1024:0 0:1024:1 0:1024:1 -1:1024:4
    fair '100.0 100.0 300.0' 4 -1:9999:0 0:1:1 -1:1:4
    # Served in the second round only: B leaves so much that A wants no more than its part of the rest.
    fair '200.0 100.0 100.0' 4 -1:300:2 -1:500:1 -1:200:1
    fair '100.0 100.0' 12 -1:2:1 -1:262144:1
    # What others leave of two CPUs: as long as that is enough, one thread has a whole one.
    fair '60.0 100.0' 2/1.6 -1:512:4 -1:1024:1
    fair '40.0 80.0' 2/1.2 -1:512:4 -1:1024:1
}

@test "cgroup: decimal numbers of CPUs" {
    local row
    for row in '0.5:500000' '1:1000000' '1.5:1500000' '.25:250000' '1.:1000000' '0.000001:1' '100:100000000'; do
        run -0 "$UNIT" decimal "${row%:*}" 100
        assert_output "${row#*:}"
    done
    for row in '' . 1.1234567 -1 +1 ' 1' 1.5x 1.2.3 1e3 0x1 nan 99999999999999999999 100.000001 1,5; do
        run -0 "$UNIT" decimal "$row" 100
        assert_output no
    done
}

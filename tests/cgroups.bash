# For the tests of labs 05 and 06: where this machine has its cpu controller, found without the labs.
#
# VERSION is 1 or 2, CPU the directory where the cpu hierarchy is mounted, QUOTA, SHARES and PERIOD_FILE
# the names of the files in its dialect.

find_cpu() {
    CPU=$(awk '/ - cgroup / && $NF ~ /(^|,)cpu(,|$)/ { print $5; exit }' /proc/self/mountinfo)
    VERSION=1
    if [ -z "$CPU" ]; then
        CPU=$(awk '/ - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
        VERSION=2
    fi
    [ -n "$CPU" ] || fail "this machine has no cgroup file system"
}

# The group of process $1 in the cpu hierarchy, as a path from its root.
group_of() {
    if [ "$VERSION" = 1 ]; then
        sed -nE 's/^[0-9]+:([a-z_,]*,)?cpu(,[a-z_,]*)?:(.*)/\3/p' "/proc/$1/cgroup"
    else
        sed -nE 's/^0:://p' "/proc/$1/cgroup"
    fi
}

# All groups of process $1, in all hierarchies.
groups_of() { sort "/proc/$1/cgroup"; }

# The quota in the directory $1, "max" or a number, and the period.
limit_of() {
    if [ "$VERSION" = 1 ]; then
        sed 's/^-1$/max/' "$1/cpu.cfs_quota_us" | tr '\n' ' ' && cat "$1/cpu.cfs_period_us"
    else
        cat "$1/cpu.max"
    fi
}

is_gone() { [ ! -e "$1" ]; }
is_there() { [ -e "$1" ]; }

# Start a command in the background; its PID is $started.
start() {
    env --default-signal=INT,QUIT "$@" 3>&- &
    started=$!
    STARTED="${STARTED:-} $started"
}

# What a test that failed half-way has left running.
end_started() {
    local pid
    for pid in ${STARTED:-}; do kill -KILL "$pid" 2>/dev/null || true; done
}

# refuses STATUS LINE ARGUMENT...: one clear line of $TOOL on stderr, nothing on stdout.
refuses() {
    local status=$1 line=$2
    shift 2
    run "-$status" --separate-stderr env -u LAB_MUST_RUN "$TOOL" "$@"
    assert_equal "$output" ""
    assert_equal "$stderr" "${TOOL##*/}: $line"
}

# Give the user $STUDENT a control group, as an administrator does: $GROUP, and $GROUP/shell for the user's processes.
delegate() {
    GROUP=/sys/fs/cgroup/student
    mkdir -p "$GROUP/shell"
    chown -R "$STUDENT:$STUDENT" "$GROUP"
}

take_back() { rmdir "$GROUP"/*/ "$GROUP"; }

# COMMAND... with the rest of this process in the group of the user's shell.
in_shell_group() { (echo "$BASHPID" >"$GROUP/shell/cgroup.procs" && exec "$@"); }

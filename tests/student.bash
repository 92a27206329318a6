# Loaded by the tests that play as ordinary users.
#
#     as_student WAY COMMAND [ARGUMENT]...      in the place of this shell: for `run`, or in a subshell

# The user, whom the machine's own /etc does not have.
STUDENT=4242

# In the place of the present process, run a command as STUDENT, with what a login gives: WAY is `one` for a user
# without further IDs, `range` for one with 65536 of them. /etc shows it to this command alone.
as_student() {
    local way=$1
    shift
    # shellcheck disable=SC2016 # the inner shell replaces it
    exec unshare --mount --propagation private bash -c '
        way=$1 user=$2 own=$(mktemp -d)
        shift 2
        mount -n -t tmpfs -o mode=755 tmpfs "$own"
        { cat /etc/passwd; echo "student$user:x:$user:$user::/:/bin/sh"; } >"$own/passwd"
        : >"$own/none"
        echo "student$user:$((user * 65536)):65536" >"$own/range"
        mount -n --bind "$own/passwd" /etc/passwd
        for file in subuid subgid; do
            [ ! -e /etc/$file ] || mount -n --bind "$own/${way/one/none}" /etc/$file
        done
        umount -l "$own" && rmdir "$own"
        exec setpriv --reuid="$user" --regid="$user" --clear-groups \
            env -u XDG_RUNTIME_DIR -u TMPDIR HOME=/ PATH=/usr/local/bin:/usr/bin:/bin "$@"
    ' student "$way" "$STUDENT" "$@"
}

#!/usr/bin/env bats
# Wrong answers that look right: each is the solution with one slip, and a check of that TODO sees it.

load ../helpers

setup() { machine_before; }
teardown() { machine_after; }

REPO=${BATS_TEST_FILENAME%/tests/*}

# slip N.M SED-SCRIPT: the answer of that TODO with the slip fails, tried by an ordinary user where that can be.
slip() {
    local todo=$1 name place=$BATS_TEST_TMPDIR/$1
    local -a as
    name=$(basename "$REPO"/solutions/0"${todo%.*}"_*.c .c)
    rm -rf "$place" && mkdir "$place"
    sed -e "$2" "$REPO/solutions/$name.c" >"$place/$name.c"
    run -1 cmp -s "$REPO/solutions/$name.c" "$place/$name.c"
    "$REPO/tests/kit/exercise.sh" build "0${todo%.*}" "$place/$name.c" "$place/$name" 2>/dev/null 3>&-
    case $todo in
    5.*) as=() ;; # in a group
    *) as=("$REPO/tests/student" range) ;;
    esac
    run "${as[@]}" env ONLY="^$todo " "$REPO/tests/kit/exercise.sh" try "0${todo%.*}" "$place/$name" 3>&-
    assert_success
    assert_line --regexp "^not ok [0-9]+ $todo "
}

@test "wrong: exercise 01" {
    slip 1.1 's|loader = image->bytes + .*|loader = "/lib64/ld-linux-x86-64.so.2";|'
    slip 1.2 's|at_address(image, entry->d_un.d_ptr)|image->bytes + entry->d_un.d_ptr|'
    slip 1.4 's/ || mount(NULL, "\/", NULL, MS_REC | MS_PRIVATE, NULL) == -1//'
}

@test "wrong: exercise 02" {
    slip 2.2 's/syscall(SYS_pivot_root, "\.", "\.")/chroot(".")/; s/umount2("\.", MNT_DETACH) == -1 || //'
}

@test "wrong: exercise 03" {
    slip 3.1 's/geteuid()/getegid()/'
    slip 3.2 's/getegid()/geteuid()/'
    slip 3.3 's/strlen(hostname)/sizeof(hostname)/'
}

@test "wrong: exercise 04" {
    slip 4.2 's/geteuid() == 0/false/'
    slip 4.2 's/^ *join(i);/if (strcmp(kinds[i], "time")) join(i);/'
}

@test "wrong: exercise 05" {
    slip 5.3 's/"nr_periods"/"nr_throttled"/'
    slip 5.3 's/"nr_throttled"/"nr_periods"/'
    slip 5.4 's/SIGKILL/SIGTERM/'
}

@test "wrong: exercise 06" {
    slip 6.2 's/9999/10000/'
}

@test "wrong: exercise 08" {
    slip 8.2 's/"!", "-o", bridge,//'
    slip 8.2 's/"POSTROUTING", "-s", subnet,/"POSTROUTING",/'
}

@test "wrong: exercise 09" {
    slip 9.2 's/cap_drop_bound(each)/each < 32 \&\& cap_drop_bound(each)/'
    slip 9.3 's/SCMP_SYS(open_tree), *//'
    slip 9.3 's/SCMP_SYS(move_mount), *//'
    slip 9.4 's/^ *return errno;/return EPERM;/'
}

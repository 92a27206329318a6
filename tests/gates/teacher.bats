#!/usr/bin/env bats
# What a teacher meets: grades, the handout, the workflow, many students at once.

load ../helpers

setup() {
    machine_before
    WORK=$BATS_TEST_TMPDIR/work
    mkdir "$WORK"
}

teardown() { machine_after; }

REPO=${BATS_TEST_FILENAME%/tests/*}

# make without the marks of bats, and with files of our own to work on.
teacher() { make -s -C "$REPO" "$@" WORK="$WORK" 3>&-; }

@test "grade: a table, JSON and JUnit say the same; status 0 whatever the points" {
    local all
    all=$(awk '/^[0-9]/ { sum += $2 } END { print sum }' "$REPO/tests/kit/points")
    cp "$REPO/solutions/01_chroot.c" "$WORK"
    cp "$REPO/build/starters/02_rootfs.c" "$WORK"
    awk -f "$REPO/tests/kit/cut.awk" -v todo=6.2 "$REPO/solutions/06_cpu_shares.c" >"$WORK/06_cpu_shares.c"
    echo 'int main(void) { return <&"missing"; }' >"$WORK/03_unshare.c"
    run -0 teacher grade
    assert_line --regexp '^01_chroot +4/4 +7/7 *$'
    assert_line --regexp '^02_rootfs +0/4 +0/6 *$'
    assert_line --regexp '^03_unshare +0/4 +0/7 +does not build: .*error: '
    assert_line --regexp '^04_setns +0/4 +0/7 +not begun$'
    assert_line --regexp '^06_cpu_shares +4/5 +6/7 *$'
    assert_line --regexp "^all +13/$all\$"

    run -0 jq -r '"\(.points) of \(.of)", (.exercises[] | .exercise + " \(.points)/\(.of)"),
        (.exercises[].todos[] | select(.holds) | .todo)' "$REPO/build/grade.json"
    assert_line "13 of $all"
    assert_line "06 6/7"
    assert_line "1.4"
    assert_line "6.1"
    refute_line "6.2"
    run -0 jq -e --argjson all "$all" '([.exercises[].of] | add) == $all and ([.exercises[].todos[].of] | add) == $all and
        ([.exercises[].todos[].points] | add) == .points' "$REPO/build/grade.json"

    run -0 xmllint --xpath 'concat(count(//testsuite), " ", count(//testcase), " ", count(//testcase[not(failure)]), " ",
        sum(//testsuite/@tests), " ", sum(//testsuite/@failures))' "$REPO/build/grade.xml"
    local todos
    todos=$(grep -c '^[0-9]' "$REPO/tests/kit/points")
    assert_output "9 $todos 8 $todos $((todos - 8))"
    run -0 xmllint --xpath 'string(//testcase[contains(@name, "6.2 ")]/failure)' "$REPO/build/grade.xml"
    assert_output --partial "TODO 6.2 is not written yet"

    cd "$REPO"
    run -0 tests/kit/grade.sh holds 6.1
    run -1 tests/kit/grade.sh holds 6.2
    run -1 tests/kit/grade.sh holds 6.9
}

@test "grade: where grading itself does not work, the status says so" {
    cp "$REPO/solutions/01_chroot.c" "$WORK"
    mkdir "$TMPDIR/bin"
    printf '#!/bin/sh\nexit 1\n' >"$TMPDIR/bin/bats"
    chmod +x "$TMPDIR/bin/bats"
    PATH="$TMPDIR/bin:$PATH" run -2 teacher grade
    rm "$TMPDIR/bin/bats" && rmdir "$TMPDIR/bin"
    assert_line --partial "the checks of 01_chroot did not come to an end"
    # Where no sandbox can be had, no student has failed; the same for a slip in WORK.
    run -2 setpriv --bounding-set=-sys_admin make -C "$REPO" -s grade WORK="$WORK" 3>&-
    assert_line --regexp '^nothing can be tried on this machine: sandbox: .*: EPERM'
    run -2 setpriv --bounding-set=-sys_admin make -C "$REPO" -s check-01 WORK="$WORK" 3>&-
    assert_line --regexp '^nothing can be tried on this machine: sandbox: .*: EPERM'
    run -2 make -C "$REPO" -s grade WORK="$TMPDIR/slip" 3>&-
    assert_line "there is no directory $TMPDIR/slip"
    assert [ ! -e "$TMPDIR/slip" ]
}

@test "workflow: a step and a test for each TODO, with its points" {
    cd "$REPO"
    run -0 tests/kit/exercise.sh workflow
    local todos
    todos=$(grep -c '^[0-9]' tests/kit/points)
    assert_equal "$(grep -c 'uses: classroom-resources/autograding-command-grader@v1' <<<"$output")" "$todos"
    assert_equal "$(awk '/max-score:/ { sum += $2 } END { print sum }' <<<"$output")" \
        "$(awk '/^[0-9]/ { sum += $2 } END { print sum }' tests/kit/points)"
    assert_line "          command: tests/kit/grade.sh holds 9.4"
    assert_line '          TODO-9-4_RESULTS: "${{steps.todo-9-4.outputs.result}}"'
    # Every runner that the reporter asks for is the id of a step.
    local runner
    for runner in $(sed -n 's/^ *runners: //p' <<<"$output" | tr , ' '); do
        assert_line "        id: $runner"
    done
}

@test "handout: it has no answers, builds, and its checks work" {
    local place=$BATS_TEST_TMPDIR/handout solution copy=$BATS_TEST_TMPDIR/copy
    # What lies about is not handed out: not in a clone, not in a copy without git.
    (cd "$REPO" && tar --exclude=./build -cf - .) | (mkdir "$copy" && tar -C "$copy" -xf -)
    mkdir -p "$copy/students/alice" "$copy/mine"
    cp "$copy/solutions/01_chroot.c" "$copy/students/alice/"
    cp "$copy/solutions/01_chroot.c" "$copy/mine/"
    if [ -e "$copy/.git" ]; then
        run -0 make -s -C "$copy" handout WORK="$copy/mine" 3>&-
        run -1 bash -c 'tar -tzf "$1" | grep -E "/(alice|mine|solutions|build)/|/labs/[^/.]+$"' - "$copy/build/container-labs.tar.gz"
        rm -rf "$copy/.git"
    fi
    rm -r "$copy/students"
    : >"$copy/labs/01_chroot"
    run -0 make -s -C "$copy" handout WORK="$copy/mine" BUILD="$copy/build" 3>&-
    run -1 bash -c 'tar -tzf "$1" | grep -E "/(alice|mine|solutions|build)/|/labs/[^/.]+$"' - "$copy/build/container-labs.tar.gz"
    rm -r "$copy"
    run -0 teacher handout
    mkdir "$place"
    tar -C "$place" -xzf "$REPO/build/container-labs.tar.gz"
    cd "$place/container-labs"
    [ ! -e solutions ] && [ ! -e tests/gates ] && [ -e .github/workflows/classroom.yml ]
    run -1 grep -e 'solution' -e 'tests/gates' README.md
    # Not a line of an answer that is long enough to be one, neither in its starter nor in a hint.
    for solution in "$REPO"/solutions/*.c; do
        sed -n '/BEGIN SOLUTION/,/END SOLUTION/p' "$solution" | grep -v SOLUTION | grep -E '.{60}' >"$TMPDIR/lines"
        [ -s "$TMPDIR/lines" ]
        run grep -rFf "$TMPDIR/lines" "starters/$(basename "$solution")" tests/kit tests/exercises
        rm "$TMPDIR/lines"
        assert_equal "$status $output" "1 "
    done
    run -0 git -c init.defaultBranch=main init -q .
    run -1 git check-ignore work/04_setns.c
    run -0 git check-ignore work/.state/04.tap build/grade.json
    run -0 make -s -j2 all 3>&-
    run -0 make -s exercise-04 3>&-
    run -2 make -s check-04 3>&-
    assert_line "0 of 4 TODOs hold: 0 of 7 points"
    cp "$REPO/solutions/04_setns.c" work/04_setns.c
    run -0 make -s check-04 3>&-
    assert_line "4 of 4 TODOs hold: 7 of 7 points"
    run -2 make -s solution-04 3>&-
    assert_line --partial "handed out without solutions"
    run -0 make -s hint-01 3>&-
}

@test "many: twenty students check at once, and it is as if each were alone" {
    local student number name status failures=0
    local -a processes=()
    cd "$REPO"
    for student in $(seq 20); do
        number=0$((student % 9 + 1))
        name=$(basename solutions/"$number"_*.c .c)
        mkdir "$WORK/$student"
        # Every fifth has left out the first region, and must be told so.
        if [ $((student % 5)) -eq 0 ]; then
            awk -f tests/kit/cut.awk -v todo=$((student % 9 + 1)).1 "solutions/$name.c" >"$WORK/$student/$name.c"
        else
            cp "solutions/$name.c" "$WORK/$student"
        fi
        make -s "check-$number" WORK="$WORK/$student" >"$WORK/$student/report" 2>&1 3>&- &
        processes+=($!)
    done
    for student in $(seq 20); do
        status=0
        wait "${processes[student - 1]}" || status=$?
        if [ $((student % 5)) -eq 0 ]; then
            [ "$status" -eq 2 ] && grep -q "TODO $((student % 9 + 1)).1 is not written yet" "$WORK/$student/report"
        else
            [ "$status" -eq 0 ]
        fi || {
            failures=$((failures + 1))
            echo "student $student: status $status"
            cat "$WORK/$student/report"
        }
    done
    [ "$failures" -eq 0 ]
}

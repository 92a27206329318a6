#!/usr/bin/env bats
# cut.awk: what it cuts, and what it refuses.

load ../helpers

setup() {
    machine_before
    FILE=$TMPDIR/05_example.c
    cat >"$FILE" <<'C'
#include <stdio.h>
#include <stdlib.h>

#include "exercise.h"

int main(void)
{
    // BEGIN SOLUTION 5.1 say hello
    puts("hello");
    // END SOLUTION
    if (1) {
        // BEGIN SOLUTION 5.2 say goodbye
        puts("goodbye");

        puts("for ever");
        // END SOLUTION
    }
}
C
}

teardown() {
    rm -f "$TMPDIR"/*
    machine_after
}

REPO=${BATS_TEST_FILENAME%/tests/*}

cut_out() { awk -f "$REPO/tests/kit/cut.awk" "$@" "$FILE"; }

# refused LINE MESSAGE: the cutter fails and says where and why, in one line.
refused() {
    run -1 --separate-stderr cut_out
    assert_equal "$stderr" "$FILE:$1: $2"
}

@test "cutter: every region becomes a TODO, the rest stays" {
    run -0 cut_out
    assert_output - <<'C'
#include <stdio.h>
#include <stdlib.h>

#include "exercise.h"

int main(void)
{
    // TODO 5.1: say hello
    lab_todo("5.1");
    if (1) {
        // TODO 5.2: say goodbye
        lab_todo("5.2");
    }
}
C
}

@test "cutter: one region alone as a TODO; one left out; the list" {
    run -0 cut_out -v todo=5.2
    assert_line '    puts("hello");'
    assert_line '        lab_todo("5.2");'
    refute_line --partial goodbye\"
    run -0 cut_out -v drop=5.1
    refute_line --partial 5.1
    refute_line --partial hello
    refute_line --partial lab_todo
    assert_line '        puts("goodbye");'
    run -0 cut_out -v list=1
    assert_output $'5.1 say hello\n5.2 say goodbye'
}

@test "cutter: an unclosed, a nested, an unopened region is refused" {
    sed -i '$d' "$FILE" && sed -i '16d' "$FILE"
    refused 12 "region 5.2 is not closed"
    sed -i '10d' "$FILE"
    refused 11 "region 5.1 is not closed, and another one begins in it"
    sed -i '8d' "$FILE"
    sed -i '5a // END SOLUTION' "$FILE"
    refused 6 "a region ends that has not begun"
}

@test "cutter: malformed markers, numbers out of order, empty regions, no region, another's number" {
    local good marker
    good=$(cat "$FILE")
    for marker in '//BEGIN SOLUTION 5.1 say hello' '// BEGIN SOLUTION 5.1' '// BEGIN SOLUTION say hello' \
        '// BEGIN SOLUTION 5 say hello' '/* BEGIN SOLUTION 5.1 say hello */' '// BEGIN  SOLUTION 5.1 say hello' \
        'puts(""); // BEGIN SOLUTION 5.1 say hello' '// END SOLUTION 5.1' '// END  SOLUTION'; do
        awk -v marker="    $marker" 'NR == 8 { print marker; next } { print }' <<<"$good" >"$FILE"
        refused 8 "not a marker: write '// BEGIN SOLUTION N.M title' or '// END SOLUTION'"
    done
    sed '8s/5.1/5.2/' <<<"$good" >"$FILE"
    refused 8 "region 5.2 where 5.1 is expected"
    sed '12s/5.2/5.1/' <<<"$good" >"$FILE"
    refused 12 "region 5.1 where 5.2 is expected"
    sed '8s/5.1/4.1/' <<<"$good" >"$FILE"
    refused 8 "region 4.1 where 5.1 is expected"
    sed '9s/.*//' <<<"$good" >"$FILE"
    refused 10 "region 5.1 has no lines"
    sed '/SOLUTION/d' <<<"$good" >"$FILE"
    run -1 cut_out
    assert_line --partial "no region"
}

@test "cutter: a malformed region stops the build and leaves no starter" {
    local copy=$BATS_TEST_TMPDIR/copy
    mkdir "$copy"
    cp -r "$REPO"/{Makefile,common,labs,solutions,tests} "$copy"
    # The programs need not be built again for this.
    sed -i '0,/END SOLUTION/s/END SOLUTION/END/' "$copy/solutions/01_chroot.c"
    run -2 make -C "$copy" build/starters/01_chroot.c
    assert_line --partial "is not closed, and another one begins in it"
    [ ! -e "$copy/build/starters/01_chroot.c" ]
    run -0 make -C "$copy" -n all
    assert_line --partial "awk -f tests/kit/cut.awk solutions/01_chroot.c"
    rm -r "$copy"
}

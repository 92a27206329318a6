#!/usr/bin/env bats
# What the documents say is true: transcripts are what the commands print, links lead to files, and
# what is named is there.

load helpers

setup() {
    machine_before
    export LAB_MEASURE=40 # how exactly is of no importance here
}
teardown() { machine_after; }

REPO=${BATS_TEST_FILENAME%/tests/*}

# Print the transcripts of a document as "command<TAB>line" for the lines that do not vary: steps,
# commands, facts, checks and the summary of experiments. A transcript is a block that begins with
# ```console and a command that plays a whole experiment: "$ sudo ./labs/NN_name". Where it goes on with
# "# on cgroup v1" (or v2) it is one for machines that have the cpu controller there.
transcript_lines() {
    awk -v here="$(grep -qE ' - cgroup .*[ ,]cpu(,|$)' /proc/self/mountinfo && echo v1 || echo v2)" '
         /^```console/ { inside = 1; command = ""; next }
         /^```/ { inside = 0 }
         inside && command == "" && /^\$ (sudo )?\.\/labs\/[0-9a-z_]+( +# on cgroup v[12])?$/ {
             if (!/#/ || $NF == here) command = /#/ ? $(NF - 4) : $NF
             next
         }
         inside && command != "" && /^(\[|  (ok|FAIL)  |    \$ |    [^ |]+ = )/ { print command "\t" $0 }' "$1"
}

# What varies from run to run and from machine to machine in those lines: of a fact the value, unless it is
# a status or an errno; numbers, unless they are those of steps.
steady() {
    sed -E -e '/^\[[0-9]+\] step /b' -e '/^    [^ ]*(exit_status|errno) = /b' -e 's/^(    [^ |]+ = ).*/\1/' \
        -e 's#/sys/fs/cgroup[^ ]*/container-labs#CGROUP#g; s/[0-9]+([.][0-9]+)?/N/g; s#/(lib|usr/lib)[^ ]*#LIBRARY#g'
}

@test "docs: the transcripts of experiments are what the experiments print" {
    local document command found=0
    for document in "$REPO"/README.md "$REPO"/docs/*.md; do
        for command in $(transcript_lines "$document" | cut -f1 | sort -u); do
            found=$((found + 1))
            play "${command##*/}" >"$TMPDIR/all"
            grep -E '^(\[|  (ok|FAIL)  |    \$ |    [^ |]+ = )' "$TMPDIR/all" | steady >"$TMPDIR/now"
            transcript_lines "$document" | grep -F "$command	" | cut -f2- | steady >"$TMPDIR/then"
            # On a busy machine a limit may not be seen at work; the experiment prints that in place of its check.
            if grep -q '^    NOT SHOWN: no quota' "$TMPDIR/all"; then
                sed -i '/^  ok    .* or what a busy machine leaves of it$/d' "$TMPDIR/then"
            fi
            # A document may leave out lines, but not have any that are not printed.
            diff "$TMPDIR/then" "$TMPDIR/now" | grep '^<' && fail "$document: $command prints it no more"
            rm "$TMPDIR/all" "$TMPDIR/now" "$TMPDIR/then"
        done
    done
    [ "$found" -ge 1 ] || fail "no transcript was found"
}

@test "docs: every lab has its chapter with a transcript, and the README names both" {
    local lab name
    for lab in "$REPO"/labs/[0-9][0-9]_*.c; do
        name=$(basename "$lab" .c)
        grep -q "docs/$name.md" "$REPO/README.md" || fail "README.md does not name docs/$name.md"
        [ -n "$(transcript_lines "$REPO/docs/$name.md")" ] || fail "docs/$name.md has no transcript"
    done
}

@test "docs: every relative link leads to a file" {
    local document link
    for document in "$REPO"/*.md "$REPO"/docs/*.md; do
        while read -r link; do
            [ -e "$(dirname "$document")/${link%%#*}" ] || fail "$document: $link"
        done < <(grep -oE '\]\([^)]+\)' "$document" | sed -E 's/^\]\(|\)$//g' | grep -vE '^(https?:|#)')
    done
}

# Names in backquotes with an underscore are functions, but for these, which are files and what is in them.
NO_FUNCTIONS='gid_map|my_root|nr_throttled|ping_group_range|runtime_pid|st_blocks|uid_map'

@test "docs: the functions that a chapter names, from its walk through the code on, are in the code" {
    local document name found=0
    for document in "$REPO"/docs/[0-9]*.md; do
        while read -r name; do
            found=$((found + 1))
            grep -qE "(^|[ *])$name\(" "$REPO"/labs/*.c "$REPO"/labs/tools/*.c "$REPO"/labs/container/*.[ch] "$REPO"/common/*.[ch] ||
                fail "$document: there is no function $name"
        done < <(sed -n '/^## The walk/,$p' "$document" | grep -oE '`[a-z]+(_[a-z0-9]+)+(\([^`]*)?`' |
            tr -d '`' | sed 's/(.*//' | grep -vxE "$NO_FUNCTIONS" | sort -u)
    done
    [ "$found" -ge 40 ] || fail "only $found functions were found"
}

# Print the numbers of the items at the left margin, with their marks: "- - -" or "1. 2.".
marks() { grep -oE '^(-|[0-9]+\.) ' | tr -d '\n'; }

@test "docs: each chapter begins with three goals, and ends with five questions and their answers in a fold-out" {
    local chapter name found=0
    for chapter in "$REPO"/docs/[0-9]*.md; do
        name=${chapter##*/}
        found=$((found + 1))
        run -0 sed '/^## /,$d' "$chapter"
        assert_equal "$name: $(sed '1,/^\*\*After this lab you can:\*\*$/d' <<<"$output" | marks)" "$name: - - - "
        run -0 sed '1,/^## Questions$/d; /^Next: /,$d' "$chapter"
        refute_line --regexp '^## '
        assert_equal "$name: $(sed '/^<details>$/,$d' <<<"$output" | marks)" "$name: 1. 2. 3. 4. 5. "
        assert_equal "$name: $(sed '1,/^<summary>Answers<\/summary>$/d; /^<\/details>$/,$d' <<<"$output" | marks)" \
            "$name: 1. 2. 3. 4. 5. "
        assert_equal "$name: $(tail -n 1 <<<"$output")" "$name: </details>"
    done
    assert_equal "$found" 9
}

@test "docs: where a chapter first speaks of the article, a link tells which one that is" {
    local chapter line
    for chapter in "$REPO"/docs/[0-9]*.md; do
        run sed -e '/^```/,/^```/d' -e '/^    /d' "$chapter"
        if line=$(grep -m 1 -E '\b[Tt]he article\b' <<<"$output"); then
            grep -q '\[[Tt]he article\](../README.md#the-labs)' <<<"$line" || fail "${chapter##*/}: $line"
        fi
    done
    grep -qx '## The labs' "$REPO/README.md"
}

@test "docs: every make target that is named exists" {
    local target
    while read -r target; do
        make -C "$REPO" -n "$target" >/dev/null 2>&1 || fail "make $target does not exist"
    done < <(grep -hoE '`make [a-z][a-zA-Z0-9-]*' "$REPO"/*.md "$REPO"/docs/*.md | awk '{print $2}' |
        sed 's/-NN$/-01/' | sort -u)
}

@test "docs: the workflow runs the README's two commands; the workflow and the devcontainer can be read" {
    local commands command
    commands=$(sed -n '/^## Two commands/,/^## /p' "$REPO/README.md" | sed -n '/^```/,/^```/p' | sed '/^```/d')
    assert_equal "$(wc -l <<<"$commands")" 2
    while read -r command; do
        run -0 grep -xF "      - run: $command" "$REPO/.github/workflows/labs.yml"
    done <<<"$commands"
    run -0 python3 -c 'import json, sys; print(json.load(sys.stdin)["onCreateCommand"])' <"$REPO/.devcontainer/devcontainer.json"
    assert_output --partial "$(head -n 1 <<<"$commands" | sed 's/ && .*//')"
}

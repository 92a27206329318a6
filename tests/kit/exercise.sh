#!/usr/bin/env bash
# The exercises, for make: what make exercise-05, check-05 and the others call.
#
#   exercise.sh start|check|hint|solution NN      progress|grade|handout|workflow
#   exercise.sh try NN PROGRAM                    the checks alone (ONLY=PATTERN: those with such a
#                                                 name), TAP on stdout: for the gates
#   exercise.sh holds N.M                         status 0 where the last grade says so
#
# From make: MAKE, SUDO, BUILD (sandbox, starters, grade), WORK (the student's files; what is known
# about them lies in WORK/.state), FORCE.
set -euo pipefail
cd "$(dirname "$0")/../.."
: "${MAKE:=make}" "${SUDO:=}" "${BUILD:=build}" "${WORK:=work}" "${FORCE:=}"
state=$WORK/.state
points=tests/kit/points

complain() {
    echo "$*" >&2
    exit 1
}

# The name of exercise $1 (01), as 01_chroot: that of its checks.
name_of() {
    local file
    for file in tests/exercises/"$1"_*.bats; do
        if [ -e "$file" ]; then basename "$file" .bats && return; fi
    done
    complain "there is no exercise $1"
}

numbers() { sed -nE 's#.*/([0-9][0-9])_.*\.bats#\1#p' <<<"$(printf '%s\n' tests/exercises/*.bats)"; }

# Where the starter of exercise $1 is: cut by make, or handed out.
starter_of() {
    local name
    name=$(name_of "$1")
    if [ -e "solutions/$name.c" ]; then
        "$MAKE" -s "$BUILD/starters/$name.c" && echo "$BUILD/starters/$name.c"
    else
        echo "starters/$name.c"
    fi
}

report() {
    local mode=$1 number=$2
    shift 2
    awk -f tests/kit/report.awk -v mode="$mode" -v exercise="$number" "$@"
}

start() {
    local number=$1 name target starter kept=1
    name=$(name_of "$number")
    target=$WORK/$name.c
    starter=$(starter_of "$number")
    mkdir -p "$WORK"
    if [ -e "$target" ] && [ -n "$FORCE" ]; then
        # A name that is not taken: ln(1) refuses one that is.
        until ln "$target" "$target.~$kept~" 2>/dev/null; do
            [ -e "$target.~$kept~" ] || complain "cannot make $target.~$kept~; nothing was changed"
            kept=$((kept + 1))
        done
        rm "$target"
        echo "Your file is kept as $target.~$kept~"
    fi
    # Made under another name and linked: a file of that name is not overwritten, whoever is faster.
    cp "$starter" "$target.new.$$"
    if ln "$target.new.$$" "$target" 2>/dev/null; then
        rm "$target.new.$$"
        echo "$target has $(grep -c '^ *lab_todo(' "$target") TODOs:"
        sed -nE 's,^ *// TODO ([0-9.]+): ,    \1 ,p' "$target"
        echo "Next: make check-$number (tries it), make hint-$number (helps)"
    else
        rm "$target.new.$$"
        [ -e "$target" ] || complain "cannot make $target: a file system without hard links?"
        echo "$target is there already and stays as it is (FORCE=1 begins anew, and keeps yours)"
    fi
}

# What identifies the contents of a student's file.
fingerprint() { cksum <"$1"; }

# Where no program can be tried at all, that is no fault of the student's.
need_sandbox() {
    local said
    "$MAKE" -s "$BUILD/sandbox" BUILD="$BUILD" >&2 || complain "the sandbox for the checks does not build"
    # shellcheck disable=SC2086 # no word, or sudo
    said=$($SUDO "$(realpath "$BUILD/sandbox")" /bin/true true 2>&1 </dev/null) && [ -z "$said" ] ||
        complain "nothing can be tried on this machine: ${said:-no sandbox could be started}"
}

# Build the student's file of exercise NN. The compiler's words go to stderr.
build() { "$MAKE" -s "$state/$(name_of "$1")" WORK="$WORK" BUILD="$BUILD" >&2; }

# The checks of exercise $1 whose names match $3 ("" is all), on PROGRAM $2. Those that come after one
# that had to be stopped for its time are put off; $4 is a file that says so.
try_in_order() (
    # Where a test of ours tries this, it is not part of that test: bats has marked its own.
    unset "${!BATS_@}"
    PATH=$(tr ':' '\n' <<<"$PATH" | grep -v 'libexec/bats-core' | paste -sd :)
    # shellcheck disable=SC2086 # no word, or sudo
    $SUDO env SANDBOX="$(realpath "$BUILD/sandbox")" PROGRAM="$(realpath "$2")" NO_END="$4" \
        bats --tap ${3:+--filter "$3"} "tests/exercises/$(name_of "$1").bats" </dev/null || true
)

# One after the other, as long as each comes to an end. What was put off is tried for all other TODOs at
# the same time; a TODO that has failed needs no second check. So a program that never ends costs the
# time of two checks, not of ten.
try() (
    number=$1 program=$2 later=$(mktemp -d)
    trap 'rm -r "$later"' EXIT
    try_in_order "$number" "$program" "${ONLY:-}" "$later/no-end" >"$later/first"
    while read -r todo; do
        if grep -qE "^not ok [0-9]+ $todo " "$later/first"; then continue; fi
        try_in_order "$number" "$program" "^${todo/./\\.} " "$later/no-end-$todo" >"$later/then-$todo" &
    done < <(sed -nE 's/^ok [0-9]+ ([0-9.]+) .* # skip put off$/\1/p' "$later/first" | sort -u)
    wait
    find "$later" -name 'then-*' -exec cat {} + | awk -f tests/kit/merge.awk - "$later/first"
)

# Build and try exercise NN. The results and what they belong to go to WORK/.state/NN.tap. Status 2:
# it does not build.
results() {
    local number=$1 name
    name=$(name_of "$number")
    mkdir -p "$state"
    rm -f "$state/$number.tap"
    build "$number" || return 2
    {
        echo "# of $(fingerprint "$WORK/$name.c")"
        try "$number" "$state/$name"
    } >"$state/$number.tap.$$"
    mv "$state/$number.tap.$$" "$state/$number.tap"
}

check() {
    local number=$1 name status=0
    name=$(name_of "$number")
    [ -e "$WORK/$name.c" ] || complain "$WORK/$name.c is not there: make exercise-$number makes it"
    need_sandbox
    echo "exercise $number: $WORK/$name.c, built as $state/$name"
    results "$number" || status=$?
    [ "$status" -eq 0 ] || complain "$WORK/$name.c does not build: see what the compiler says above"
    report text "$number" "$points" "$state/$number.tap" || {
        rm "$state/$number.tap" # what is not whole says nothing of the file
        complain "the checks did not come to an end"
    }
    all_hold "$number" || exit 1
    echo "All hold. make solution-$number shows another way to write it."
}

# Whether the last results of exercise NN are those of the present file.
are_present() {
    local file
    file=$WORK/$(name_of "$1").c
    [ -e "$file" ] && [ -e "$state/$1.tap" ] &&
        [ "$(head -n 1 "$state/$1.tap")" = "# of $(fingerprint "$file")" ]
}

all_hold() {
    local held todos
    are_present "$1" || return 1
    read -r held todos _ < <(report summary "$1" "$points" "$state/$1.tap") && [ "$held" = "$todos" ]
}

# The next hint that was not shown yet, for a TODO that does not hold yet as far as is known.
hint() {
    local number=$1 file=tests/kit/hints/$1.md shown last index todo held=" "
    mkdir -p "$state"
    shown=$state/$number.hints
    touch "$shown"
    if are_present "$number"; then
        held=" $(report todos "$number" "$points" "$state/$number.tap" | awk '$2 == "ok" {print $1}' | tr '\n' ' ')"
    fi
    last=$(grep -c '^## ' "$file")
    for index in $(seq "$last"); do
        todo=$(grep '^## ' "$file" | sed -n "${index}s/^## //p")
        if grep -qx "$index" "$shown" || [[ $held == *" $todo "* ]]; then continue; fi
        echo "$index" >>"$shown"
        echo "TODO $todo, hint $index of $last:"
        nth_hint "$index" "$file"
        return
    done
    echo "There are no more hints. They were:"
    cat "$file"
    rm "$shown"
}

nth_hint() { awk -v wanted="$1" '/^## / { n++; next } n == wanted' "$2" | sed -e '/./,$!d'; }

progress() {
    local number name held todos got all words
    for number in $(numbers); do
        name=$(name_of "$number")
        if [ ! -e "$WORK/$name.c" ]; then
            words="not begun"
        elif are_present "$number"; then
            read -r held todos got all < <(report summary "$number" "$points" "$state/$number.tap")
            words="$held of $todos TODOs hold, $got of $all points"
        elif [ -e "$state/$number.tap" ]; then
            words="changed since it was tried: make check-$number"
        else
            words="begun, not tried yet: make check-$number"
        fi
        printf '%-20s %s\n' "$name" "$words"
    done
}

solution() {
    local number=$1 name answer
    name=$(name_of "$number")
    [ -e "solutions/$name.c" ] || complain "this copy of the labs was handed out without solutions"
    if [ -z "$FORCE" ] && ! all_hold "$number"; then
        complain "the answer is for after your own: make check-$number first (FORCE=1 shows it now)"
    fi
    [ -e "$WORK/$name.c" ] || start "$number"
    answer=$(mktemp)
    sed '/^ *\/\/ \(BEGIN\|END\) SOLUTION/d' "solutions/$name.c" >"$answer"
    diff -u --label "$WORK/$name.c (yours)" --label "the answer" "$WORK/$name.c" "$answer" || [ $? -eq 1 ]
    rm "$answer"
}

# Try everything; then the same numbers as a table, as JSON and as JUnit.
grade() {
    local number name missing summary comma="" held todos got all points_got=0 points_all=0
    # The own one need not be there yet; another that is not is a slip.
    [ -d "$WORK" ] || [ "$WORK" = work ] || complain "there is no directory $WORK"
    need_sandbox
    mkdir -p "$BUILD" "$state"
    printf '%-20s %-8s %-8s %s\n' exercise TODOs points ""
    echo '<testsuites name="container-labs">' >"$BUILD/grade.xml.new"
    : >"$BUILD/grade.json.new"
    : >"$BUILD/grade.todos.new"
    for number in $(numbers); do
        name=$(name_of "$number")
        missing=""
        if [ ! -e "$WORK/$name.c" ]; then
            missing="not begun"
        elif ! results "$number" 2>"$state/$number.log"; then
            missing="does not build: $(grep -m 1 'error' "$state/$number.log" || head -n 1 "$state/$number.log")"
        fi
        [ -z "$missing" ] || echo "# nothing" >"$state/$number.tap"
        summary=$(report summary "$number" -v missing="$missing" "$points" "$state/$number.tap") ||
            complain "the checks of $name did not come to an end: see $state/$number.tap"
        read -r held todos got all <<<"$summary"
        report junit "$number" -v missing="$missing" "$points" "$state/$number.tap" >>"$BUILD/grade.xml.new"
        report todos "$number" -v missing="$missing" "$points" "$state/$number.tap" >>"$BUILD/grade.todos.new"
        printf '%s' "$comma" >>"$BUILD/grade.json.new"
        report json "$number" -v missing="$missing" "$points" "$state/$number.tap" >>"$BUILD/grade.json.new"
        comma=$',\n'
        points_got=$((points_got + got)) points_all=$((points_all + all))
        printf '%-20s %-8s %-8s %s\n' "$name" "$held/$todos" "$got/$all" "$missing"
    done
    printf '%-20s %-8s %s\n' all "" "$points_got/$points_all"
    echo '</testsuites>' >>"$BUILD/grade.xml.new"
    {
        printf '{"points": %d, "of": %d, "exercises": [\n' "$points_got" "$points_all"
        cat "$BUILD/grade.json.new"
        printf '\n]}\n'
    } >"$BUILD/grade.json.whole"
    mv "$BUILD/grade.json.whole" "$BUILD/grade.json"
    mv "$BUILD/grade.xml.new" "$BUILD/grade.xml"
    mv "$BUILD/grade.todos.new" "$BUILD/grade.todos"
    rm "$BUILD/grade.json.new"
    echo "also in $BUILD/grade.json and, as JUnit, $BUILD/grade.xml"
}

holds() {
    [ -e "$BUILD/grade.todos" ] || complain "nothing was graded yet: make grade"
    awk -v todo="$1" '$1 == todo { found = 1; print; exit $2 != "ok" } END { if (!found) exit 1 }' "$BUILD/grade.todos"
}

# A step for each TODO of the list of points, as GitHub Classroom wants to have them.
workflow() { awk -f tests/kit/workflow.awk "$points"; }

# The suite without answers: starters instead of solutions, and no gates, which need both.
handout() {
    local number where=$BUILD/handout name=container-labs
    rm -rf "$where"
    mkdir -p "$where/$name/starters" "$where/$name/.github/workflows"
    if git rev-parse --git-dir >/dev/null 2>&1; then
        git ls-files -z # and nothing that lies about
    elif [ -e .git ]; then
        complain "git does not list the files of the labs: $(git rev-parse --git-dir 2>&1)"
    else
        find . -path ./.git -prune -o -path "./$(realpath --relative-to=. "$BUILD")" -prune -o \
            -path "./$(realpath --relative-to=. "$WORK")" -prune -o \
            -type f -path './labs/*' ! -name '*.[ch]' -prune -o -type f -print0
    fi | tar --exclude=solutions --exclude=tests/gates --exclude=.ci --exclude=.github \
        --null --files-from=- -cf - | tar -C "$where/$name" -xf -
    for number in $(numbers); do
        cp "$(starter_of "$number")" "$where/$name/starters/"
    done
    # What a student writes is to be committed there.
    sed -i 's#^/work/$#/work/.state/#' "$where/$name/.gitignore"
    # The README names what was left out on lines of its own.
    sed -i -e '/^make solution-/d' -e '/^| `solutions\/`/d' -e '/^| `tests\/gates\/`/d' "$where/$name/README.md"
    workflow >"$where/$name/.github/workflows/classroom.yml"
    tar -C "$where" -czf "$BUILD/$name.tar.gz" "$name"
    rm -rf "$where"
    echo "$BUILD/$name.tar.gz: the labs with starters, without solutions"
}

verb=${1:-}
[ $# -gt 0 ] && shift
case $verb in
start | check | hint | solution | try | holds) "$verb" "$@" ;;
progress | grade | handout | workflow) "$verb" ;;
*) complain "usage: make exercise-NN, check-NN, hint-NN, solution-NN, progress, grade, handout" ;;
esac

#!/usr/bin/env bash
# The exercises, for make: what make exercise-05, check-05 and the others call.
#
#   exercise.sh start|check|hint|solution|watch NN      progress|handout|submit|workflow
#   exercise.sh build NN FILE PROGRAM [FLAG]...   compile FILE, in the sandbox; for the gates
#   exercise.sh try NN PROGRAM                    the checks alone (ONLY=PATTERN: those with such a
#                                                 name), TAP on stdout: for the gates
#
# From make: what kit.bash takes, FORCE, and ONLY (one TODO, for check). The results of check-NN are kept in WORK/.state, for hint-NN,
# progress and solution-NN.
set -euo pipefail
CDPATH='' cd "$(dirname "$0")/../.."
. tests/kit/kit.bash
: "${FORCE:=}" "${ONLY:=}"
state=$WORK/.state
[[ $state == /* ]] || state=./$state # awk(1) takes a=b/... for an assignment
fresh='' # what is made, and is nothing of the student's or teacher's yet
trap 'rm -rf "$fresh"' EXIT

start() {
    local number=$1 name target starter kept=1
    name=$(name_of "$number")
    target=$WORK/$name.c
    starter=$(starter_of "$number")
    mkdir -p "$WORK"
    # Made under another name and linked: a file of that name is not overwritten, whoever is faster.
    fresh=$target.new.$$
    cp "$starter" "$fresh"
    if [ -e "$target" ] && [ -n "$FORCE" ]; then
        # A name that is not taken: ln(1) refuses one that is.
        until ln "$target" "$target.~$kept~" 2>/dev/null; do
            [ -e "$target.~$kept~" ] || complain "cannot make $target.~$kept~; nothing was changed"
            kept=$((kept + 1))
        done
        rm "$target"
        echo "Your file is kept as $target.~$kept~"
    fi
    if ln "$fresh" "$target" 2>/dev/null; then
        echo "$target has $(grep -c '^ *lab_todo(' "$target") TODOs:"
        sed -nE 's,^ *// TODO ([0-9.]+): ,    \1 ,p' "$target"
        echo "Next: make check-$number (tries it), make hint-$number (helps)"
    else
        [ -e "$target" ] || complain "cannot make $target: a file system without hard links?"
        echo "$target is there already and stays as it is (FORCE=1 begins anew, and keeps yours)"
    fi
    rm "$fresh"
}

check() {
    local number=$1 name status=0
    name=$(name_of "$number")
    [ -e "$WORK/$name.c" ] || complain "$WORK/$name.c is not there: make exercise-$number makes it"
    need_sandbox
    mkdir -p "$state"
    if [ -n "$ONLY" ]; then
        show "$number" "$ONLY"
        return
    fi
    echo "exercise $number: $WORK/$name.c"
    results "$number" "$state/$number.tap" || status=$?
    must_have_results "$status" "$WORK/$name.c"
    report text "$number" "$points" "$state/$number.tap" || {
        rm "$state/$number.tap" # what is not whole says nothing of the file
        complain "the checks did not come to an end"
    }
    none_fails "$number" || exit 1
    if [ "$(count_not_tried "$number")" -gt 0 ]; then
        echo "Nothing fails; what was not tried is open."
        exit 1
    fi
    echo "All hold. make solution-$number shows another way to write it."
}

# What results says of the file $2 by the status $1.
must_have_results() {
    [ "$1" -ne 2 ] || complain "$2 does not build: see what the compiler says above"
    [ "$1" -eq 0 ] || complain "$2 could not be tried, for the reason above, which is no fault of yours"
}

# The checks of TODO $2 of exercise $1 alone, with the commands that they type and all that these print.
show() (
    number=$1 todo=$2 place=$(mktemp -d "$BUILD/try.XXXXXX") status=0
    trap 'rm -rf "$place"' EXIT
    grep -q "^$todo " "$points" && [ "${todo%%.*}" = "${number#0}" ] || complain "exercise $number has no TODO $todo"
    : >"$place/shown"
    ONLY="^${todo/./\\.} " SHOW=$(realpath "$place/shown") results "$number" "$place/tap" || status=$?
    must_have_results "$status" it
    cat "$place/shown"
    cat <<'WORDS'
(In these scripts `it` is your program; `hold COMMAND` starts it and waits until COMMAND runs, as $pid; `fact`
hands on what the script itself has seen.)
WORDS
    report text "$number" -v only="$todo" "$points" "$place/tap"
    report lines "$number" "$points" "$place/tap" | awk -F '\t' -v todo="$todo" '$2 == todo && $3 == "ok" { held = 1 } END { exit !held }'
)

# Whether the last results of exercise NN are those of the present file.
are_present() {
    local file
    file=$WORK/$(name_of "$1").c
    [ -f "$file" ] && [ -f "$state/$1.tap" ] &&
        [ "$(head -n 1 "$state/$1.tap")" = "# of $(fingerprint "$file")" ]
}

# Whether all TODOs hold, but for those that cannot be tried on this machine.
none_fails() {
    local held todos not_tried
    are_present "$1" || return 1
    read -r held todos _ _ not_tried < <(report summary "$1" "$points" "$state/$1.tap") &&
        [ $((held + not_tried)) -eq "$todos" ]
}

count_not_tried() { report summary "$1" "$points" "$state/$1.tap" | cut -d ' ' -f 5; }

# The next hint that was not shown yet, for a TODO that does not hold yet as far as is known.
hint() {
    local number=$1 file=tests/kit/hints/$1.md shown last index todo used='' held=" "
    mkdir -p "$state"
    shown=$state/$number.hints
    # What held at the last check, whatever was written since: check, edit, be stuck, hint is how it goes.
    if [ -e "$state/$number.tap" ]; then
        held=" $(report lines "$number" "$points" "$state/$number.tap" | awk -F '\t' '$3 == "ok" {print $2}' | tr '\n' ' ')"
    fi
    last=$(grep -c '^## ' "$file")
    for index in $(seq "$last"); do
        todo=$(grep '^## ' "$file" | sed -n "${index}s/^## //p")
        if [[ $held == *" $todo "* ]]; then continue; fi
        if grep -qsx "$index" "$shown"; then
            used=${used:-$todo}
            continue
        fi
        # A student's link is replaced, and what it names is not written to.
        fresh=$(mktemp "$state/hints.XXXXXX")
        { cat "$shown" 2>/dev/null || true; echo "$index"; } >"$fresh"
        mv -T "$fresh" "$shown"
        if [ "${used:-$todo}" != "$todo" ]; then echo "There are no more hints for TODO $used; it does not hold yet, as far as is known."; fi
        echo "TODO $todo, hint $index of $last:"
        nth_hint "$index" "$file"
        return
    done
    echo "There are no more hints. They were:"
    cat "$file"
    rm -f "$shown"
}

nth_hint() { awk -v wanted="$1" '/^## / { n++; next } n == wanted' "$2" | sed -e '/./,$!d'; }

progress() {
    local number name held todos got all not_tried words
    for number in "${numbers[@]}"; do
        name=$(name_of "$number")
        if [ ! -e "$WORK/$name.c" ]; then
            words="not begun"
        elif are_present "$number"; then
            read -r held todos got all not_tried < <(report summary "$number" "$points" "$state/$number.tap")
            words="$held of $todos TODOs hold, $got of $all points"
            if [ "$not_tried" -gt 0 ]; then words+=", $not_tried not tried"; fi
        elif [ -e "$state/$number.tap" ]; then
            words="changed since it was tried: make check-$number"
        else
            words="begun, not tried yet: make check-$number"
        fi
        printf '%-20s %s\n' "$name" "$words"
    done
}

solution() {
    local number=$1 name
    name=$(name_of "$number")
    [ -e "solutions/$name.c" ] || complain "this copy of the labs was handed out without solutions"
    if [ -z "$FORCE" ] && ! none_fails "$number"; then
        complain "the answer is for after your own: make check-$number first (FORCE=1 shows it now)"
    fi
    [ -e "$WORK/$name.c" ] || start "$number"
    fresh=$(mktemp)
    sed '/^ *\/\/ \(BEGIN\|END\) SOLUTION/d' "solutions/$name.c" >"$fresh"
    diff -u --label "$WORK/$name.c (yours)" --label "the answer" "$WORK/$name.c" "$fresh" || [ $? -eq 1 ]
}

# Check exercise NN, by default the first that does not hold, again at each save, until it holds.
watch() {
    local number=${1:-} file seen each
    for each in "${numbers[@]}"; do
        if [ -z "$number" ] && ! none_fails "$each"; then number=$each; fi
    done
    [ -n "$number" ] || complain "all exercises hold"
    file=$WORK/$(name_of "$number").c
    [ -e "$file" ] || start "$number"
    until none_fails "$number"; do
        seen=$(fingerprint "$file")
        tests/kit/exercise.sh check "$number" 2>&1 || echo "make hint-$number helps. Waiting for a change of $file (Ctrl-C ends this)"
        # An editor may replace the file, so for a moment it may not be there.
        while ! none_fails "$number" && { [ ! -e "$file" ] || [ "$(fingerprint "$file")" = "$seen" ]; }; do sleep 0.5; done
    done
    if [ "$(count_not_tried "$number")" -gt 0 ]; then
        echo "Exercise $number holds as far as it can be tried here"
    else
        echo "Exercise $number holds. Next: make watch"
    fi
}

# The sources of the exercises, and nothing else that is in WORK.
submit() {
    local number name
    local -a sources=()
    for number in "${numbers[@]}"; do
        name=$(name_of "$number")
        if [ -f "$WORK/$name.c" ]; then sources+=("$name.c"); fi
    done
    [ "${#sources[@]}" -gt 0 ] || complain "$WORK has no exercise: make exercise-01 begins one"
    mkdir -p "$BUILD"
    fresh=$BUILD/submission.tar.new
    tar -C "$WORK" -hcf "$fresh" "${sources[@]}" # -h: the file, where it is a link in WORK
    mv "$fresh" "$BUILD/submission.tar"
    echo "$BUILD/submission.tar has ${sources[*]}"
}

# A step for each TODO of the list of points, as GitHub Classroom wants to have them.
workflow() { awk -f tests/kit/workflow.awk "$points"; }

# The suite without answers: starters instead of solutions, and no gates, which need both.
handout() {
    local number where=$BUILD/handout name=container-labs
    rm -rf "$where"
    fresh=$where
    mkdir -p "$where/$name/starters" "$where/$name/.github/workflows"
    if git ls-files --error-unmatch tests/kit/exercise.sh >/dev/null 2>&1; then
        git ls-files -z # and nothing that lies about
    elif [ -e .git ]; then
        complain "git does not list the files of the labs: $(git ls-files --error-unmatch tests/kit/exercise.sh 2>&1)"
    else
        find . -path ./.git -prune -o -path "./$(realpath --relative-to=. "$BUILD")" -prune -o \
            -path "./$(realpath --relative-to=. "$WORK")" -prune -o \
            -type f -path './labs/*' ! -name '*.[ch]' -prune -o -type f -print0
    fi | tar --exclude=solutions --exclude=tests/gates --exclude=.ci --exclude=.github \
        --null --files-from=- -cf - | tar -C "$where/$name" -xf -
    for number in "${numbers[@]}"; do
        cp "$(starter_of "$number")" "$where/$name/starters/"
    done
    # What a student writes is to be committed there.
    sed -i 's#^/work/$#/work/.state/#' "$where/$name/.gitignore"
    # The README names what was left out on lines of its own.
    sed -i -e '/^make solution-/d' -e '/^| `solutions\/`/d' -e '/^| `tests\/gates\/`/d' "$where/$name/README.md"
    workflow >"$where/$name/.github/workflows/classroom.yml"
    tar -C "$where" -czf "$where/$name.tar.gz" "$name"
    mv "$where/$name.tar.gz" "$BUILD"
    echo "$BUILD/$name.tar.gz: the labs with starters, without solutions"
}

verb=${1:-}
[ $# -gt 0 ] && shift
case $verb in
start | check | hint | solution | watch | progress | submit)
    must_be_ours "$WORK"
    must_be_ours "$state"
    "$verb" "$@"
    ;;
build | try) "$verb" "$@" ;;
handout | workflow) "$verb" ;;
*) complain "usage: make exercise-NN, check-NN, hint-NN, solution-NN, progress, handout" ;;
esac

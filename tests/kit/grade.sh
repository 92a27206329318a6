#!/usr/bin/env bash
# Grading, for make: what make grade calls.
#
#   grade.sh one          WORK: a table, BUILD/grade.json, and as JUnit BUILD/grade.xml
#   grade.sh class DIR    every submission in DIR, a directory or a tar file for each student: BUILD/grades
#   grade.sh holds N.M    status 0 where the last grade.json says so
#
# From make: what kit.bash takes. Nothing that a student has handed in is executed or read outside of the
# sandbox.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/kit/kit.bash
jq=tests/kit/grade.jq

# Try the files of WORK. Into the directory $1: NN.tap, grade.json, grade.xml, report.txt. Prints a table.
grade() {
    local into=$1 number name missing summary held todos got all points_got=0 points_all=0
    printf '%-20s %-8s %-8s %s\n' exercise TODOs points ""
    : >"$into/lines"
    : >"$into/report.txt"
    for number in $(numbers); do
        name=$(name_of "$number")
        missing=""
        if [ ! -e "$WORK/$name.c" ] && [ ! -L "$WORK/$name.c" ]; then
            missing="not begun"
        elif ! results "$number" "$into/$number.tap" 2>"$into/$number.log"; then
            missing="does not build: $(grep -m 1 'error' "$into/$number.log" || head -n 1 "$into/$number.log")"
        fi
        [ -z "$missing" ] || echo "# nothing" >"$into/$number.tap"
        summary=$(report summary "$number" -v missing="$missing" "$points" "$into/$number.tap") ||
            complain "the checks of $name did not come to an end: see $into/$number.tap"
        read -r held todos got all <<<"$summary"
        report lines "$number" -v missing="$missing" "$points" "$into/$number.tap" >>"$into/lines"
        { echo "exercise $number" && report text "$number" -v missing="$missing" "$points" "$into/$number.tap"; } \
            >>"$into/report.txt"
        points_got=$((points_got + got)) points_all=$((points_all + all))
        printf '%-20s %-8s %-8s %s\n' "$name" "$held/$todos" "$got/$all" "$missing"
    done
    printf '%-20s %-8s %s\n' all "" "$points_got/$points_all"
    jq -n -R -f "$jq" "$into/lines" >"$into/grade.json"
    jq -r --arg form junit -f "$jq" "$into/grade.json" >"$into/grade.xml"
    rm "$into/lines"
}

one() {
    local place
    # The own one need not be there yet; another that is not is a slip.
    [ -d "$WORK" ] || [ "$WORK" = work ] || complain "there is no directory $WORK"
    need_sandbox
    place=$(mktemp -d "$BUILD/grade.XXXXXX")
    # shellcheck disable=SC2064 # now
    trap "rm -rf '$place'" EXIT
    grade "$place"
    mv "$place/grade.json" "$place/grade.xml" "$BUILD"
    echo "also in $BUILD/grade.json and, as JUnit, $BUILD/grade.xml"
}

holds() {
    [ -e "$BUILD/grade.json" ] || complain "nothing was graded yet: make grade"
    jq -r --arg todo "$1" '.exercises[].todos[] | select(.todo == $todo) | .title, .seen' "$BUILD/grade.json"
    jq -e --arg todo "$1" 'any(.exercises[].todos[]; .todo == $todo and .holds)' "$BUILD/grade.json" >/dev/null
}

verb=${1:-}
[ $# -gt 0 ] && shift
case $verb in
one | class | holds) "$verb" "$@" ;;
*) complain "usage: make grade [SUBMISSIONS=DIRECTORY]" ;;
esac

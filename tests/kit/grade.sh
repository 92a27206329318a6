#!/usr/bin/env bash
# Grading, for make: what make grade calls.
#
#   grade.sh one          WORK: a table, BUILD/grade.json, and as JUnit BUILD/grade.xml
#   grade.sh class DIR    every submission in DIR, a directory or a tar file for each student: BUILD/grades
#   grade.sh student SUBMISSION DIR, into DIR     one of them, for class
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
    local into=$1 number name missing remark summary held todos got all not_tried points_got=0 points_all=0
    printf '%-20s %-8s %-8s %s\n' exercise TODOs points ""
    : >"$into/lines"
    : >"$into/report.txt"
    for number in $(numbers); do
        name=$(name_of "$number")
        missing=""
        if [ ! -e "$WORK/$name.c" ]; then
            missing="not begun"
        elif ! results "$number" "$into/$number.tap" 2>"$into/$number.log"; then
            missing="does not build: $(grep -m 1 'error' "$into/$number.log" || head -n 1 "$into/$number.log")"
            missing=${missing/"$WORK/"/} # a copy, which goes
        fi
        [ -z "$missing" ] || echo "# nothing" >"$into/$number.tap"
        summary=$(MISSING=$missing report summary "$number" "$points" "$into/$number.tap") ||
            complain "the checks of $name did not come to an end: see $into/$number.tap"
        read -r held todos got all not_tried <<<"$summary"
        remark=$missing
        if [ "$not_tried" -gt 0 ]; then remark="$not_tried not tried here"; fi
        MISSING=$missing report lines "$number" "$points" "$into/$number.tap" >>"$into/lines"
        { echo "exercise $number" && MISSING=$missing report text "$number" "$points" "$into/$number.tap"; } \
            >>"$into/report.txt"
        points_got=$((points_got + got)) points_all=$((points_all + all))
        printf '%-20s %-8s %-8s %s\n' "$name" "$held/$todos" "$got/$all" "$remark"
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
    [ ! -d "$WORK" ] || copy_sources "$WORK" "$place" 1 || complain "$WORK cannot be read with the rights of its owner"
    WORK=$place grade "$place"
    mv "$place/grade.json" "$place/grade.xml" "$BUILD"
    echo "also in $BUILD/grade.json and, as JUnit, $BUILD/grade.xml"
}

# read_as USER COMMAND...: with the rights of USER alone, where he is not trusted with ours: then no link leads to more.
# He may stop or look at what runs as himself, so it has nothing of ours, and 20 seconds.
read_as() {
    local user=$1
    local -a as=()
    shift
    if ! is_ours "$user"; then
        as=(setpriv --reuid="$user" --regid="$(id -g "$user" 2>/dev/null || echo "$user")" --clear-groups)
    fi
    setsid -w timeout -k 1 20 "${as[@]}" env -i PATH="$PATH" LC_ALL=C "$@"
}

# The source NAME.c of the submission $1, up to $3 directories deep. Nothing is unpacked: tar writes to stdout, so the
# names, links and owners in it have no effect. find does not follow links; what is put in the place of a file or
# directory meanwhile is not read: by this path one would have come elsewhere.
source_of() (
    if [ -d "$1" ]; then
        cd -P -- "$1" || exit
        # shellcheck disable=SC2016 # read by that shell
        read_as "$(stat -c %u .)" bash -c '
            base=$(env pwd -P)
            file=$(find . -maxdepth "$2" -type f -name "$1.c" | sort | head -n 1)
            directory=${file%/*}
            if [ -n "$file" ] && cd -- "$directory" && [ "$(env pwd -P)" = "$base${directory#.}" ]; then
                dd if="$1.c" iflag=nofollow,nonblock,fullblock,count_bytes count=1000000 status=none
            fi' - "$2" "$3" </dev/null
    else
        in_archive "$1" --wildcards --no-anchored -xO "$2.c"
    fi | head -c 1000000
)

# in_archive FILE WORD...: tar, which opens it by the name /dev/stdin, to tell how it is compressed.
in_archive() (
    exec <"$1" || exit
    read_as "$(stat -L -c %u /dev/stdin)" tar -f /dev/stdin "${@:2}"
)

# The sources of the submission $1, up to $3 directories deep, into the directory $2. Fails where they cannot be read.
copy_sources() {
    local number exercise
    read_as "$(stat -L -c %u -- "$1")" true </dev/null || return 1
    for number in $(numbers); do
        exercise=$(name_of "$number")
        source_of "$1" "$exercise" "$3" >"$2/$exercise.c" 2>/dev/null || :
        [ -s "$2/$exercise.c" ] || rm "$2/$exercise.c"
    done
}

# One submission, $1; its directory comes into $2. Prints its row of the class's table. Whatever is wrong with it
# stands in the row: the others are not stopped.
student() {
    local path=$1 grades=$2 file name place remark=""
    file=$(basename "$path")
    file=${file//[[:cntrl:]]/?} # a line break would begin another row
    name=$file
    if [ ! -d "$path" ]; then name=${name%%.t*}; fi
    # alice/ and alice.tar are two, and grades.csv is the table.
    for name in "$name" "$file" "$file.of-student"; do
        if [ "$name" != grades.csv ] && mkdir "$grades/$name" 2>/dev/null; then break; fi
        name=''
    done
    [ "$name" ] || complain "no directory for $file"
    place=$(mktemp -d "$BUILD/student.XXXXXX")
    # shellcheck disable=SC2064 # now
    trap "rm -rf '$place'" EXIT
    if [ -L "$path" ] || { [ ! -d "$path" ] && { [ ! -f "$path" ] || ! in_archive "$path" -t >/dev/null 2>&1; }; }; then
        remark="neither a directory nor a tar file"
    elif ! copy_sources "$path" "$place" 5 2>/dev/null; then
        remark="cannot be read with the rights of its owner"
    elif [ -z "$(ls "$place")" ]; then
        remark="no source of an exercise"
    fi
    WORK=$place tests/kit/grade.sh into "$grades/$name" >"$grades/$name/table.txt" 2>"$grades/$name/errors.txt" || {
        jq -rn --arg name "$name" --arg remark "not graded: $(head -n 1 "$grades/$name/errors.txt")" '[$name, "", "", $remark] | @csv'
        return 1
    }
    rm "$grades/$name/errors.txt"
    jq -r --arg form autolab -f "$jq" "$grades/$name/grade.json" >"$grades/$name/autolab.json"
    jq --arg form classroom -f "$jq" "$grades/$name/grade.json" >"$grades/$name/classroom.json"
    jq -r --arg form csv --arg name "$name" --arg remark "$remark" -f "$jq" "$grades/$name/grade.json"
}

class() {
    local grades=$BUILD/grades status=0 first number left rows
    [ -d "$1" ] || complain "there is no directory $1"
    need_sandbox
    rm -rf "$grades"
    mkdir -p "$grades"
    rows=$(mktemp "$BUILD/rows.XXXXXX")
    # shellcheck disable=SC2064 # now
    trap "rm -f '$rows'" EXIT
    find "$(realpath "$1")" -mindepth 1 -maxdepth 1 ! -name '.*' -print0 | sort -z |
        xargs -0 -r -P $(($(nproc) + 1)) -n 1 sh -c 'row=$(tests/kit/grade.sh student "$2" "$1"); status=$?; printf "%s\n" "$row"; exit $status' - "$grades" \
            >"$rows" || status=1
    first=$(find "$grades" -name grade.json -print -quit)
    {
        if [ -n "$first" ]; then jq -r --arg form heading -f "$jq" "$first"; fi
        sort "$rows"
    } >"$grades/grades.csv"
    cut -d , -f 1-3 "$grades/grades.csv"
    echo "$(wc -l <"$rows") submissions: $grades/grades.csv, and a report of each in $grades"
    left=$(for number in $(numbers); do [ -n "$(root_for "$number")" ] || lacks_of "$number"; done | cut -d ' ' -f 1 | sort -u | xargs)
    if [ -n "$left" ]; then echo "not tried here, and so without points (each report has the reason): TODO $left"; fi
    [ "$status" -eq 0 ] || complain "some were not graded: see the last column"
}

holds() {
    [ -e "$BUILD/grade.json" ] || complain "nothing was graded yet: make grade"
    jq -r --arg todo "$1" '.exercises[].todos[] | select(.todo == $todo) | .title, .seen' "$BUILD/grade.json"
    jq -e --arg todo "$1" 'any(.exercises[].todos[]; .todo == $todo and .holds)' "$BUILD/grade.json" >/dev/null
}

verb=${1:-}
[ $# -gt 0 ] && shift
case $verb in
one | class | student | holds) "$verb" "$@" ;;
into) grade "$1" ;;
*) complain "usage: make grade [SUBMISSIONS=DIRECTORY]" ;;
esac

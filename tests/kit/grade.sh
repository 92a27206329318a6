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
CDPATH='' cd "$(dirname "$0")/../.."
. tests/kit/kit.bash
jq=tests/kit/grade.jq

# They choose one TODO for check-NN, and may still be in the environment of the person who grades.
unset ONLY SHOW

# Points are added by the shell.
check_points() {
    local wrong
    wrong=$(awk '!/^#/ && NF && $2 !~ /^[0-9]+$/' "$points")
    [ ! "$wrong" ] || complain "$points: points are whole numbers, and 0 for none: $wrong"
}

# Try the files of WORK. Into the directory $1: NN.tap, grade.json, grade.xml, report.txt. Prints a table.
grade() {
    local into=$1 number name status missing remark summary held todos got all not_tried points_got=0 points_all=0
    printf '%-20s %-8s %-8s %s\n' exercise TODOs points ""
    : >"$into/lines"
    : >"$into/report.txt"
    for number in "${numbers[@]}"; do
        name=$(name_of "$number")
        missing="" status=0
        if [ ! -e "$WORK/$name.c" ]; then
            missing="not begun"
        else
            results "$number" "$into/$number.tap" 2>"$into/$number.log" || status=$?
        fi
        if [ "$status" -eq 2 ]; then
            missing="does not build: $(grep -m 1 'error' "$into/$number.log" || head -n 1 "$into/$number.log")"
            missing=${missing/"$WORK/"/} # a copy, which goes
            missing=${missing:0:500}     # it is handed on in the environment
        elif [ "$status" -ne 0 ]; then
            complain "$name could not be tried: $(tail -n 2 "$into/$number.log" | paste -sd ';')"
        fi
        [ -z "$missing" ] || echo "# nothing" >"$into/$number.tap"
        summary=$(MISSING=$missing report summary "$number" "$points" "$into/$number.tap") ||
            complain "the checks of $name did not come to an end: $(grep -om 1 'the sandbox failed: .*' "$into/$number.tap" ||
                echo "see $into/$number.tap")"
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
    check_points
    need_sandbox
    place=$(mktemp -d "$BUILD/grade.XXXXXX")
    # shellcheck disable=SC2064 # now
    trap "rm -rf '$place'" EXIT
    [ ! -d "$WORK" ] || copy_sources "$WORK" "$place" 1 || complain "$WORK cannot be read with the rights of its owner"
    WORK=$place grade "$place"
    mv "$place/grade.json" "$place/grade.xml" "$BUILD"
    echo "also in $BUILD/grade.json and, as JUnit, $BUILD/grade.xml"
}

# read_as PATH FILE WORD...: what a shell prints that has PATH, or FILE in it, with the rights of its owner (read_as.c)
# and the words of bash -c. He may stop or kill it. In case he reaches more, it has nothing of ours: no file,
# directory, terminal or variable, but a pipe from which at most 1 MB is taken.
read_as() (
    program=$(realpath "$BUILD/read_as")
    path=$1 shared=''
    case $kit_rights in
    d???????w*) shared=all ;;
    d????w*) shared=$kit_group ;;
    esac
    [[ $path == /* ]] || path=$PWD/$path
    cd /
    for fd in /proc/self/fd/*; do
        fd=${fd##*/}
        [ "$fd" -le 2 ] || exec {fd}>&-
    done
    env -i PATH="$PATH" LC_ALL=C setsid -w "$program" "0 ${SUDO_UID:-0}$kit_owners" "$shared" "$path" "$2" \
        bash -c "${@:3}" </dev/null 2>/dev/null | timeout -k 1 25 sh -c 'head -c 1000000 && cat >/dev/null'
)

# From the paths of one name on stdin that which is graded, and then the others: it is in work/, or else as high as can
# be. Where a whole copy of the labs was handed in, none is of the labs themselves.
choose() {
    local theirs='^$'
    if [ "$1" ]; then theirs='(^|/)(labs|starters|solutions|build|tests)/'; fi
    LC_ALL=C sort -u | grep -avE "$theirs" | awk -F / '{ print ($(NF - 1) != "work"), NF, $0 }' | LC_ALL=C sort -s -k 1,2n |
        cut -d ' ' -f 3-
}

# Copy the sources of the submission $1, up to $3 directories deep, into the directory $2. One that is missing was not
# begun, which is no failure, nor is a name with a line break or the like in it, which would be two. Status 1: something cannot be
# read; 2: this is no archive. Nothing is unpacked: tar writes to stdout, so the names, links and owners in an archive have
# no effect. It opens /dev/stdin by this name, to tell how that is compressed.
copy_sources() {
    local number exercise list file others whole=''
    # shellcheck disable=SC2016 # read by that shell
    list=$(read_as "$1" "" '
        echo "$KIND"
        if [ "$KIND" = file ]; then set -o pipefail && tar -f /dev/stdin --quoting-style=literal -t | sed -n "/\.c\$/p"
        else # what may not be read is passed over
            exec 3>&1
            said=$(find . -maxdepth "$1" -type f -name "*.c" ! -path "*[[:cntrl:]]*" 2>&1 >&3 3>&-) ||
                ! printf "%s\n" "$said" | grep -qv ": Permission denied\$"
        fi
        ' - "$3") || return
    if grep -qE '(^|/)tests/kit/guard\.c$' <<<"$list"; then whole=yes; fi
    for number in "${numbers[@]}"; do
        exercise=$(name_of "$number")
        file=$(grep -aE "(^|/)$exercise\.c\$" <<<"$list" | choose "$whole") || continue
        others=$(wc -l <<<"$file")
        file=${file%%$'\n'*}
        if [ "$others" -gt 1 ]; then echo "$exercise is ${file#./}, one of $others" >>"$2/several"; fi
        if [[ $list == file* ]]; then
            # The last of this name, as if it were unpacked.
            read_as "$1" "" 'tar -f /dev/stdin --no-unquote --no-wildcards --occurrence="$2" -xO -- "$1"' - \
                "$file" "$(grep -acFx -e "$file" <<<"$list")"
        else
            read_as "$1" "$file" cat
        fi >"$2/$exercise.c" || return 1
        [ -s "$2/$exercise.c" ] || rm "$2/$exercise.c"
    done
}

# The name of the submission $1, for tables, terminals and spreadsheets: no line break, nothing that cannot be seen, no
# formula.
shown() { jq -rn --arg name "${1##*/}" '$name | gsub("\\p{C}|\\p{Zl}|\\p{Zp}|^[-=+@＝＋－＠]"; "?")'; }

# One submission, $1; its directory comes into $2. Prints its row of the class's table. Whatever is wrong with it
# stands in the row: the others are not stopped.
student() {
    local path=$1 grades=$2 file name stem others place remark="" status=0
    file=$(shown "$path")
    name=$file
    if [ ! -d "$path" ] && [[ $file =~ \.(tar(\.[[:alnum:]]+)?|t[[:alnum:]]*z[[:alnum:]]*)$ ]]; then
        stem=${path%"${BASH_REMATCH[0]}"}
        # Not the name of another submission, nor one to which another could be shortened.
        others=("$stem".*)
        if [ ${#others[@]} -eq 1 ] && [ ! -e "$stem" ] && [ ! -L "$stem" ]; then name=${name%"${BASH_REMATCH[0]}"}; fi
    fi
    # Names that differ only in what is replaced; and grades.csv is the table.
    for name in "$name" "$file.of-student"{,-{2..99}}; do
        if [ "$name" != grades.csv ] && mkdir "$grades/$name" 2>/dev/null; then break; fi
        name=''
    done
    [ "$name" ] || {
        not_graded "$file" "no directory can be made for it"
        return
    }
    place=$(mktemp -d "$BUILD/student.XXXXXX")
    # shellcheck disable=SC2064 # now
    trap "rm -rf '$place'" EXIT
    if [ -L "$path" ] || { [ ! -d "$path" ] && [ ! -f "$path" ]; }; then
        status=2
    else
        copy_sources "$path" "$place" 5 || status=$?
    fi
    if [ "$status" -eq 2 ]; then
        remark="neither a directory nor a tar file"
    elif [ "$status" -ne 0 ]; then
        not_graded "$name" "it cannot be read with the rights of its owner"
        return
    elif [ -z "$(ls "$place")" ]; then
        remark="no source of an exercise"
    elif [ -e "$place/several" ]; then
        remark=$(paste -sd ';' "$place/several" | head -c 500 | printable)
    fi
    WORK=$place tests/kit/grade.sh into "$grades/$name" >"$grades/$name/table.txt" 2>"$grades/$name/errors.txt" || {
        # They are moved when all are there.
        remark=$(head -n 1 "$grades/$name/errors.txt")
        not_graded "$name" "${remark//"$grades"/$BUILD/grades}"
        return
    }
    rm "$grades/$name/errors.txt"
    jq -r --arg form autolab -f "$jq" "$grades/$name/grade.json" >"$grades/$name/autolab.json"
    jq --arg form classroom -f "$jq" "$grades/$name/grade.json" >"$grades/$name/classroom.json"
    jq -r --arg form csv --arg name "$name" --arg remark "$remark" -f "$jq" "$grades/$name/grade.json"
}

not_graded() {
    jq -rn --arg name "$1" --arg remark "not graded: $2" '[$name, "", "", $remark] | @csv'
    return 1
}

class() {
    local grades from=$1 status=0 first number left place rows
    [ -d "$1" ] || complain "there is no directory $1"
    [[ $(realpath "$1")/ != $(realpath "$BUILD")/grades/* ]] || complain "$1 is where the grades go: name another directory"
    check_points
    need_sandbox
    exec {lock}>"$BUILD/.grading"
    flock -n "$lock" || complain "another grading is under way in $BUILD: wait for it, or type BUILD=DIRECTORY"
    place=$(mktemp -d "$BUILD/class.XXXXXX")
    grades=$place/grades
    mkdir -m 700 "$grades" # what others have handed in is for the teacher
    # shellcheck disable=SC2064 # now
    trap "rm -rf '$place'" EXIT
    rows=$place/rows
    # Not by realpath(1), which follows a link of a student's with our rights.
    [[ $from == /* ]] || from=$PWD/$from
    find "$from/" -mindepth 1 -maxdepth 1 ! -name '.*' -print0 | LC_ALL=C sort -z >"$place/all"
    : >"$place/done"
    xargs -0 -r -P $(($(nproc) + 1)) -n 1 sh -c '
        row=$(tests/kit/grade.sh student "$3" "$1")
        status=$?
        [ ! "$row" ] || { printf "%s\n" "$row" && printf "%s\0" "$3" >>"$2"; }
        exit $status' - "$grades" "$place/done" <"$place/all" >"$rows" {lock}>&- || status=1
    # Where a process was killed, for want of memory, or xargs has given up.
    while IFS= read -rd '' left; do
        not_graded "$(shown "$left")" "its grading was broken off" >>"$rows" || status=1
    done < <(LC_ALL=C sort -z "$place/done" | LC_ALL=C comm -z -23 "$place/all" -)
    first=$(find "$grades" -name grade.json -type f -print -quit)
    {
        if [ -n "$first" ]; then jq -r --arg form heading -f "$jq" "$first"; fi
        sort "$rows"
    } >"$grades/grades.csv"
    rm -rf "$BUILD/grades"
    mv "$grades" "$BUILD"
    grades=$BUILD/grades
    # The first three columns: a name is quoted, and may have commas.
    sed -E 's/^("([^"]|"")*"(,[^,]*){2}).*/\1/' "$grades/grades.csv"
    echo "$(wc -l <"$rows") submissions: $grades/grades.csv, and a report of each in $grades"
    left=$(for number in "${numbers[@]}"; do [ -n "$(root_for "$number")" ] || lacks_of "$number"; done | cut -d ' ' -f 1 | sort -u | xargs)
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

#!/usr/bin/env bash
# Take away, or do wrong, one thing that a page teaches, and see its experiment fail: each mutation of
# tests/mutations/NN_name, or of the labs that are given as "03 07", is a test. `make test-mutations` sets COMPILE
# (the compiler with its flags), LINK_NN (what a page is linked with) and LABS.
#
# A mutation is a line "# what is wrong" and a script of sed -E below it, which must change labs/NN_name.c.
# EVERY=N plays the first of N mutations of a page only. Needs root.
set -euo pipefail
cd "$(dirname "$0")/.."
# Not in /tmp: the machine of a test has its own.
mkdir -p "${BUILD:=$PWD/build}"
work=$(mktemp -d "$BUILD/mutations.XXXXXX")
trap 'rm -rf "$work"' EXIT
number=0 failed=0
limit=$((30 * ${LAB_SLOW:-1}))

tell() { # ok|not-ok TITLE [FILE]
    number=$((number + 1))
    if [ "$1" = ok ]; then echo "ok $number $2"; else
        failed=$((failed + 1))
        echo "not ok $number $2"
        sed 's/^/# /' "${3:-/dev/null}"
    fi
}

# Build the page $2 of lab $1 beside the other programs.
build() {
    local link=LINK_${1%%_*}
    # shellcheck disable=SC2086 # words
    $COMPILE -o "$work/bin/$1" "$2" ${!link} >"$work/log" 2>&1
}

play() { timeout -k 1 "$limit" tests/machine "$work/bin/$1" >"$work/log" 2>&1 </dev/null; }

# mutate LAB TITLE SCRIPT
mutate() {
    local lab=$1 title="$1: $2" status=0
    sed -E -e "$3" "labs/$lab.c" >"$work/$lab.c"
    if cmp -s "labs/$lab.c" "$work/$lab.c"; then
        echo "the script changes nothing: $3" >"$work/log"
        tell not-ok "$title" "$work/log"
    elif ! build "$lab" "$work/$lab.c"; then
        tell not-ok "$title (does not compile)" "$work/log"
    else
        play "$lab" || status=$?
        case $status in
        0) tell not-ok "$title: every check held" "$work/log" ;;
        124 | 137) tell not-ok "$title: it did not end within $limit s" "$work/log" ;;
        *) tell ok "$title" ;;
        esac
    fi
}

mutate_all() {
    local lab=$1 line title='' script='' count=0
    while IFS= read -r line; do
        case $line in
        '# '*)
            [ -z "$script" ] || mutations+=("$title" "$script")
            title=${line#\# } script=''
            ;;
        '') ;;
        *) script+=$line$'\n' ;;
        esac
    done < <(cat "tests/mutations/$lab" && echo '# ')
    while [ "${#mutations[@]}" -gt 0 ]; do
        [ $((count % ${EVERY:-1})) -ne 0 ] || mutate "$lab" "${mutations[@]:0:2}"
        count=$((count + 1))
        mutations=("${mutations[@]:2}")
    done
}

mkdir "$work/bin"
for program in "$LABS"/*; do
    if [ -f "$program" ] && [ -x "$program" ]; then ln -s "$(realpath "$program")" "$work/bin/"; fi
done
mutations=()
for file in tests/mutations/*; do
    lab=${file##*/}
    [ $# -eq 0 ] || [[ " $* " = *" ${lab%%_*} "* ]] || continue
    rm -f "$work/bin/$lab"
    if build "$lab" "labs/$lab.c" && play "$lab"; then
        tell ok "$lab: as it is, it holds"
        mutate_all "$lab"
    else
        tell not-ok "$lab: as it is, it holds" "$work/log"
    fi
done
echo "1..$number"
[ "$failed" -eq 0 ]

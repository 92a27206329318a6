#!/usr/bin/env bash
# Take away, or do wrong, one thing that a page teaches, and see its experiment fail: each mutation of
# tests/mutations/NN_name, or of the labs that are given as "03 07", is a test. `make test-mutations` sets COMPILE
# (the compiler with its flags), LINK_NN (what a page is linked with) and LABS.
#
# A mutation is a line "# what is wrong" and a script of sed -E below it, which must change labs/NN_name.c.
# EVERY=N plays the first of N mutations of a page only; JOBS of them play at a time. Needs root.
set -euo pipefail
cd "$(dirname "$0")/.."
# Not in /tmp: the machine of a test has its own.
mkdir -p "${BUILD:=$PWD/build}"
work=$(mktemp -d "$BUILD/mutations.XXXXXX")
trap 'rm -rf "$work"' EXIT
limit=$((30 * ${LAB_SLOW:-1}))
export LAB_MEASURE=40 # how exactly is of no importance here

# outcome LAB SCRIPT PLACE: build the page, changed by SCRIPT, beside the other programs and play it; print its status,
# or why it could not be played. What was printed meanwhile is in PLACE/log.
outcome() {
    local lab=$1 script=$2 place=$3 link=LINK_${1%%_*} status=0
    cp -P "$work"/bin/* "$place/"
    rm "$place/$lab"
    sed -E -e "$script" "labs/$lab.c" >"$place/$lab.c"
    # shellcheck disable=SC2086 # words
    if [ -n "$script" ] && cmp -s "labs/$lab.c" "$place/$lab.c"; then
        echo "the script changes nothing: $script"
    elif ! $COMPILE -o "$place/$lab" "$place/$lab.c" ${!link} >"$place/log" 2>&1; then
        echo "it does not compile"
    else
        timeout -k 1 "$limit" tests/machine "$place/$lab" >"$place/log" 2>&1 </dev/null || status=$?
        echo "$status"
    fi
}

# mutate LAB TITLE SCRIPT: print the result, in one piece. Without a script the experiment has to hold.
mutate() {
    local lab=$1 title="$1: $2" script=$3 place outcome held='not ok'
    place=$(mktemp -d "$work/XXXXXX")
    outcome=$(outcome "$lab" "$script" "$place")
    case $outcome in
    0) [ -n "$script" ] || held=ok ;;
    124 | 137) outcome="it did not end within $limit s" ;;
    [0-9]*) [ -z "$script" ] || held=ok ;;
    esac
    {
        echo "$held $title"
        [ "$held" = ok ] || sed 's/^/# /' <(echo "status, or why there is none: $outcome") "$place/log"
    } >"$place/result"
    cat "$place/result"
    rm -r "$place"
}

# Start one when fewer than JOBS are playing.
start() {
    while [ "$(jobs -rp | wc -l)" -ge "${JOBS:-$(nproc)}" ]; do wait -n; done
    mutate "$@" &
}

mutate_all() {
    local lab=$1 line title='' script='' count=0
    start "$lab" 'as it is, it holds' ''
    while IFS= read -r line; do
        case $line in
        '# '*)
            [ -z "$script" ] || [ $((count++ % ${EVERY:-1})) -ne 0 ] || start "$lab" "$title" "$script"
            title=${line#\# } script=''
            ;;
        '') ;;
        *) script+=$line$'\n' ;;
        esac
    done < <(cat "tests/mutations/$lab" && echo '# ')
}

mkdir "$work/bin"
for program in "$LABS"/*; do
    if [ -f "$program" ] && [ -x "$program" ]; then ln -s "$(realpath "$program")" "$work/bin/"; fi
done
# On a machine with other load, labs 05 and 06 make allowances: they come last, and one at a time.
for file in tests/mutations/0[!56]* tests/mutations/0[56]*; do
    lab=${file##*/}
    case $lab in 0[56]*) JOBS=1 ;; esac
    if [ $# -eq 0 ] || [[ " $* " = *" ${lab%%_*} "* ]]; then mutate_all "$lab"; fi
done | awk -f tests/number.awk

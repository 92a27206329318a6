#!/usr/bin/env bash
# Plant the mistakes of the list into the solutions, and check each as a student would: the first FAIL is at the TODO
# with the mistake, and tells its cause. `make test-mistakes` calls it.
#
#   mistakes.sh [NN]...   those of these exercises, or all; EVERY=N: the Nth, 2Nth, ... only; JOBS at a time
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
export BUILD=${BUILD:-build} CC=${CC:-gcc}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# trim TEXT: without the spaces around it.
trim() { sed -E 's/^ +| +$//g' <<<"$1"; }

# plant LINE: a line of the table, and its result.
plant() {
    local todo cause what script number name place report first held='not ok'
    IFS='|' read -r todo cause what script <<<"${1//\\|/$'\001'}"
    todo=$(trim "$todo") cause=$(trim "$cause") what=$(trim "$what") script=${script# }
    cause=${cause//$'\001'/|} script=${script//$'\001'/\\|}
    number=0${todo%%.*}
    name=$(basename solutions/"$number"_*.c .c)
    place=$(mktemp -d "$work/XXXXXX")
    report=$place/report
    sed -e '/^ *\/\/ .*SOLUTION/b' -e "$script" "solutions/$name.c" >"$place/$name.c"
    if cmp -s "solutions/$name.c" "$place/$name.c"; then
        echo "nothing was planted" >"$report"
    elif ! tests/kit/exercise.sh build "$number" "$place/$name.c" "$place/$name" 2>"$report"; then
        echo "it does not build" >>"$report"
    else
        tests/kit/exercise.sh try "$number" "$place/$name" >"$place/tap"
        awk -f tests/kit/report.awk -v mode=text -v exercise="$number" tests/kit/points "$place/tap" >"$report"
    fi
    first=$(awk '/^  FAIL/ { n++ } n == 1 && /^  (ok|--)/ { exit } n == 1' "$report")
    if grep -q "^  FAIL  TODO $todo " <<<"$first" && grep -qE -- "$cause" <<<"$(tail -n +2 <<<"$first")"; then held=ok; fi
    {
        echo "$held $todo $what"
        [ "$held" = ok ] || sed 's/^/# /' <(echo "the cause that it has to tell: $cause") "$report"
    } >"$place/result"
    cat "$place/result"
}
export -f plant trim
export work

grep -E "^[$([ $# -gt 0 ] && printf %s "${@#0}" || echo 0-9)][.][0-9]" tests/gates/mistakes | sed -n "${EVERY:-1}~${EVERY:-1}p" |
    tr '\n' '\0' | xargs -0 -P "${JOBS:-$(nproc)}" -I LINE bash -c 'plant "$1"' - LINE | awk -f tests/number.awk

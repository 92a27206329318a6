#!/usr/bin/env bash
# The four gates of exercise NN: whether its checks, its starter and its hints are any good.
#
#   gate.sh NN      from the repository; `make kit` has been there
#
#   1. With the solution every check passes.
#   2. The starter builds, without a warning, and every check that fails names a TODO; where one
#      region alone is a TODO, its own checks fail, and with that TODO.
#   3. With a region left out silently, some check of its own fails. Printed: a table, region x check.
#   4. Every region has a hint, and stands in the list of points under the same title.
#
# Prints what does not hold; the status is 1 then.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
export BUILD=${BUILD:-build} CC=${CC:-gcc}
number=$1
solution=$(echo solutions/"$number"_*.c)
name=$(basename "$solution" .c)
checks=tests/exercises/$name.bats
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

fail() {
    echo "exercise $number: $*"
    failures=$((failures + 1))
}

cut_out() { awk -f tests/kit/cut.awk "$@" "$solution"; }

# build VARIANT FLAG...: the file $work/VARIANT/name.c as a program beside it.
build() {
    local variant=$1
    shift
    tests/kit/exercise.sh build "$number" "$work/$variant/$name.c" "$work/$variant/$name" "$@" \
        2>"$work/$variant/compiler" || {
        fail "$variant does not build:"
        head -n 5 "$work/$variant/compiler"
        return 1
    }
}

# Where a region alone is a TODO, its own checks are enough.
try() {
    local only=""
    case $1 in todo-*) only="^${1#todo-} " ;; esac
    ONLY=$only tests/kit/exercise.sh try "$number" "$work/$1/$name" >"$work/$1/tap" 2>"$work/$1/errors"
}

# Status 2 where the report says nothing of the TODO.
holds() {
    awk -f tests/kit/report.awk -v mode=lines -v exercise="$number" tests/kit/points "$work/$1/tap" |
        awk -F '\t' -v todo="$2" '$2 == todo { known = 1; held = $3 == "ok" } END { exit known ? !held : 2 }'
}

# fails VARIANT TODO: it is known not to hold.
fails() { local status=0; holds "$@" || status=$?; [ "$status" -eq 1 ]; }

# The results of a variant as marks, one for each check; "-" is one that blames another TODO.
marks() { sed -nE -e 's/^ok .* # skip .*/-/p;t' -e 's/^ok .*/./p' -e 's/^not ok .*/x/p' "$work/$1/tap" | tr '\n' ' '; }

# The failures of a variant that do not name a TODO of the pattern $2.
without_todo() {
    awk -v pattern="^# TODO $2 is not written yet$" '
        function close_check() { if (name != "" && !named) print name }
        /^(not )?ok / { close_check(); name = ""; named = 0 }
        /^not ok / { name = $0 }
        $0 ~ pattern { named = 1 }
        END { close_check() }' "$work/$1/tap"
}

declare -a regions=() titles=()
while read -r region title; do
    regions+=("$region")
    titles+=("$title")
done < <(cut_out -v list=1)
[ "${#regions[@]}" -gt 0 ] || fail "$solution has no regions"

mkdir "$work/solution" "$work/starter"
cut_out -v todo=none >"$work/solution/$name.c" || fail "the solution cannot be cut"
cut_out >"$work/starter/$name.c" || fail "the starter cannot be cut"
build solution -Werror -Wunused -Wunused-parameter
build starter -Werror
for region in "${regions[@]}"; do
    mkdir "$work/todo-$region" "$work/left-out-$region"
    cut_out -v todo="$region" >"$work/todo-$region/$name.c"
    cut_out -v drop="$region" >"$work/left-out-$region/$name.c"
    build "todo-$region" -Werror
    # Silently, but not by a program whose behaviour is undefined: that would prove nothing.
    build "left-out-$region" -Werror=return-type -Werror=uninitialized -Werror=maybe-uninitialized
done
[ "$failures" -eq 0 ] || exit 1

# 1
try solution
if grep -q '^not ok' "$work/solution/tap" || ! grep -q '^ok' "$work/solution/tap"; then
    fail "the solution does not pass"
    cat "$work/solution/tap" "$work/solution/errors"
    exit 1
fi

export -f try
export number work name SUDO=""
find "$work" -mindepth 1 -maxdepth 1 -type d ! -name solution -printf '%f\n' | sort | xargs -P 2 -I VARIANT bash -c 'try VARIANT'

count=$(grep -c '^@test' "$checks")
for directory in "$work"/*/; do
    variant=$(basename "$directory")
    expected=$count
    case $variant in todo-*) expected=$(grep -c "^@test \"${variant#todo-} " "$checks") ;; esac
    [ "$(grep -cE '^(not )?ok ' "$directory/tap")" -eq "$expected" ] && [ "$expected" -gt 0 ] || {
        fail "$variant: not all $expected checks were made"
        cat "$directory/errors" "$directory/tap"
    }
done

# 2
for region in "${regions[@]}"; do
    fails starter "$region" || fail "TODO $region holds in the starter"
    fails "todo-$region" "$region" || fail "with TODO $region alone, TODO $region holds"
    other=$(without_todo "todo-$region" "$region")
    [ -z "$other" ] || fail "with TODO $region alone, these fail without naming it:"$'\n'"$other"
done
other=$(without_todo starter '[0-9.]+')
[ -z "$other" ] || fail "in the starter these fail without naming a TODO:"$'\n'"$other"
# 3
echo "exercise $number, region left out x check (x: fails, -: blames another TODO)"
printf '%6s  %s\n' "" "$(sed -nE 's/^@test "([0-9]+\.([0-9]+)) .*/\2/p' "$checks" | tr '\n' ' ')"
for region in "${regions[@]}"; do
    printf '%6s  %s\n' "$region" "$(marks "left-out-$region")"
    fails "left-out-$region" "$region" || fail "with $region left out, all its checks pass"
done
# 4
for index in "${!regions[@]}"; do
    region=${regions[index]}
    grep -qx "## $region" "tests/kit/hints/$number.md" || fail "$region has no hint"
    grep -qE "^$region [1-9][0-9]* " tests/kit/points || fail "$region has no points"
    [ "$(sed -nE "s/^$region [0-9]+ //p" tests/kit/points)" = "${titles[index]}" ] ||
        fail "$region has another title in tests/kit/points"
done
listed=$(grep -c "^$((10#$number))\." tests/kit/points)
[ "$listed" -eq "${#regions[@]}" ] || fail "$listed TODOs in the list of points, ${#regions[@]} regions"
[ "$(wc -l <"$solution")" -lt 200 ] || fail "$solution has 200 lines or more"

echo "exercise $number: ${#regions[@]} regions, $count checks, $failures failures"
[ "$failures" -eq 0 ]

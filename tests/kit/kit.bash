# Loaded by exercise.sh and grade.sh: compile and try a student's file.
#
# From make: MAKE, CC, SUDO, BUILD (the sandbox, what is built), WORK (the student's files). SUDO is what makes root of
# an ordinary user, where that is there; it is used for what needs it.
: "${MAKE:=make}" "${CC:=cc}" "${SUDO:=}" "${BUILD:=build}" "${WORK:=work}"
# shellcheck disable=SC2034 # they use it
points=tests/kit/points

# Bash leaves out what is to be done at EXIT where SIGHUP ends it, as when a terminal is closed.
trap 'exit 129' HUP

# What a student or a program has printed, or has named, made safe for a terminal and for reports.
printable() { LC_ALL=C tr -c '\n\t -~' '?'; }

complain() {
    printable <<<"$*" >&2
    exit 1
}

# walk PATH COMMAND: calls COMMAND RIGHTS OWNER GROUP FILE for all that is on the way to PATH, from / down: a link as
# itself, and then what is on the way where it leads. What is not there has no rights, and ends it. Meanwhile rest is what
# comes after FILE.
walk() {
    local rest=$1/ at='' name file said target rights owner group links=0
    [[ $rest == /* ]] || rest=$PWD/$rest
    rest=../$rest # with / itself
    while [ "$rest" ]; do
        name=${rest%%/*} rest=${rest#*/}
        case $name in
        '' | .) continue ;;
        ..) at=${at%/*} file=${at:-/} ;;
        *) file=$at/$name ;;
        esac
        # A + after the rights is an access control list, which stat(1) does not tell.
        said=$(LC_ALL=C ls -ldn -- "$file" 2>&1) || {
            [[ $said =~ (No such file or|Not a)\ directory$ ]] || complain "cannot look at what is on the way to $1: $said"
            said=''
        }
        read -r rights _ owner group _ <<<"$said"
        "$2" "$rights" "$owner" "$group" "$file"
        if [[ $rights == l* ]]; then
            ((++links <= 40)) || complain "there are too many links on the way to $1"
            target=$(readlink -n -- "$file" && echo .)
            rest=${target%.}/$rest
            if [[ $target == /* ]]; then at='' rest=../$rest; fi
        elif [ ! "$rights" ]; then
            return
        elif [ "$name" != .. ]; then
            at=$file
        fi
    done
}

# Who can change these files, and so could do with our rights what he likes.
kit_owners=''
note_owner() { kit_owners+=" $2"; }
[ "$EUID" -ne 0 ] || walk tests/kit note_owner
read -r kit_group kit_rights < <(stat -c '%g %A' tests/kit)

# Whether the user $1 may be trusted with our rights. Without root, everybody may. Else root, the user who called sudo,
# and who can change these files.
is_ours() { [ "$EUID" -ne 0 ] || [[ " 0 ${SUDO_UID:-0} $kit_owners " == *" $1 "* ]]; }

# Another user who can replace a directory of the path $1 by a link, or make it before we do, decides where root writes.
# So root refuses such a path, and a directory in which others can make files, such as /tmp, unless $2 is sticky: then
# only files with new names are made in it. Root of a user namespace has no more rights than the user who made it.
must_be_ours() {
    local count open=''
    read -r _ _ count </proc/self/uid_map
    if [ "$EUID" -eq 0 ] && [ "$count" -eq 4294967295 ]; then
        walk "$1" must_be_closed
        [[ ! $open || ${2:-} == sticky ]] || complain "$open can write to $1: root does not; name another directory"
    fi
}

must_be_closed() {
    local rights=$1 owner=$2 group=$3 file=$4 others=''
    if [ ! "$rights" ]; then
        [ ! "$open" ] || complain "$open could make $file before root does: mkdir $file"
        return
    fi
    # /proc/self is another process for make than for this script.
    [[ $file != /proc/* ]] || complain "root does not write below /proc: name another directory"
    is_ours "$owner" ||
        complain "$file belongs to $(id -nu "$owner" 2>/dev/null || echo "user $owner"): root does not write there; type the command as that user"
    [[ $rights != d????w????+ ]] || complain "others can write to $file (getfacl shows who): root does not; name another directory"
    # On a shared folder of a virtual machine everything is open to all, or to a group: these files included. A group of
    # the owner's own has nobody else in it.
    if [[ $rights == d???????w* && $kit_rights != d???????w* ]]; then
        others="everybody"
    elif [[ $rights == d????w* && $group -ne 0 && "$kit_rights $kit_group" != d????w????" $group" &&
        $(getent group "$group") != "$(id -nu "$owner" 2>/dev/null || echo "?"):"*: ]]; then
        others="the group $(getent group "$group" | cut -d : -f 1 | grep . || echo "$group")"
    fi
    [[ ! $others || $rights == d????????[tT]* ]] || complain "$others can write to $file: root does not; name another directory"
    # A default access control list is one of what is made there, too.
    if [[ $rights == d*+ && $(getfacl -cdpn -- "$file" 2>/dev/null || echo "cannot tell") ]]; then
        others="others, by an access control list (getfacl shows it),"
    fi
    # In a sticky directory they replace nothing of ours, but may make what is not there yet.
    [[ $rights == l* ]] || open=$others
}
must_be_ours "$BUILD"
must_be_ours "${TMPDIR:-/tmp}" sticky

# Says yes where make may write to BUILD and to $1 as root, in rules and commands which have these names as they are.
for_make() {
    local name
    must_be_ours "$1"
    for name in "$BUILD" "$1"; do
        [[ $name != -* && $name != *[][\'\"\`\\\;\&\|\<\>\(\)*?{}!#~:%=,]* ]] ||
            complain "make cannot write to ${name@Q}: type the whole path, without quotes and the like"
    done
    echo yes
}

# The name of exercise $1 (01), as 01_chroot: that of its checks.
name_of() {
    local file
    for file in tests/exercises/"$1"_*.bats; do
        if [ -e "$file" ]; then basename "$file" .bats && return; fi
    done
    complain "there is no exercise $1"
}

numbers=() # of all exercises
for exercise in tests/exercises/[0-9][0-9]_*.bats; do
    exercise=${exercise##*/}
    numbers+=("${exercise%%_*}")
done

# Where the starter of exercise $1 is: cut by make kit, or handed out.
starter_of() {
    local name
    name=$(name_of "$1")
    if [ -e "solutions/$name.c" ]; then echo "$BUILD/starters/$name.c"; else echo "starters/$name.c"; fi
}

# The function in which each TODO of exercise $1 is: function=N.M ...
functions() {
    awk '/^[a-z].*\(/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
        /^ *\/\/ TODO [0-9.]+:/ { sub(/:/, "", $3); printf "%s=%s ", name, $3 }' "$(starter_of "$1")"
}

report() {
    local mode=$1 number=$2
    shift 2
    awk -f tests/kit/report.awk -v mode="$mode" -v exercise="$number" "$@"
}

# What identifies the contents of a student's file.
fingerprint() { cksum <"$1"; }

# Where no program can be tried at all, that is not a fault of the student's. Else LACKS is what checks cannot have
# here: lines of a word and what would help. Where nothing can be tried without root, ROOT_FOR_ALL is yes.
need_sandbox() {
    local said told sandbox
    mkdir -p "$BUILD"
    flock "$BUILD/.kit" "$MAKE" -s kit BUILD="$BUILD" >&2 || complain "the sandbox for the checks does not build"
    sandbox=$(realpath "$BUILD/sandbox")
    export LACKS='' ROOT_FOR_ALL=''
    told=$(mktemp)
    # A warning, such as newuidmap's, does not keep programs from being tried.
    if said=$("$sandbox" --lacks true 2>"$told" </dev/null); then
        LACKS=$said
        cat "$told" >&2
    elif [ -n "$SUDO" ] && $SUDO "$sandbox" true; then
        ROOT_FOR_ALL=yes
    else
        said+=$(cat "$told")
        rm -f "$told"
        complain "nothing can be tried on this machine: ${said:-no sandbox could be started}"
    fi
    rm -f "$told"
}

# What the checks of exercise $1 need and cannot have: lines of a TODO and the word.
lacks_of() {
    local word
    while read -r word _; do
        awk -v word="$word" '/^@test / { todo = substr($2, 2) } $1 == "needs" && $2 == word { print todo, word }' \
            "tests/exercises/$(name_of "$1").bats"
    done <<<"${LACKS:-}" | sort -u
}

# sudo, where exercise $1 needs it and it is there.
root_for() {
    if [ -n "$SUDO" ] && { [ -n "${ROOT_FOR_ALL:-}" ] || [ -n "$(lacks_of "$1")" ]; }; then echo "$SUDO"; fi
}

libraries() {
    case $1 in
    07) echo -lmnl ;;
    09) echo -lcap -lseccomp ;;
    esac
}

# Compile FILE of exercise NN to PROGRAM: as an ordinary user in the sandbox, where no other file of the
# student's or of the labs is. Where lines are missing, variables and functions wait for them. Functions stay
# functions, so that the guard names the one in which a program ends. Status 2: it does not build; 1: that cannot be
# told.
build() {
    local number=$1 file=$2 program=$3 ended=$3.ended inside status=0
    shift 3
    rm -f "$ended" || return 1
    inside=/run/exercise/$(basename "$file")
    # shellcheck disable=SC2086,SC2046 # words
    $(root_for "$number") "$BUILD/sandbox" --user --seconds=20 --ended="$ended" --result="$program" \
        --file="$file" --file=tests/kit/include/exercise.h --file=common/compat.h --file="$BUILD/exercise-$number.o" \
        $CC -std=gnu11 -D_GNU_SOURCE -DEXERCISE="${number#0}" -Wall -Wextra -Wshadow -Wstrict-prototypes \
        -Wno-unused -Wno-unused-parameter -Og -fno-inline -fno-optimize-sibling-calls -I/run/exercise -include compat.h "$@" \
        -o /tmp/result "$inside" "/run/exercise/exercise-$number.o" $(libraries "$number") 2>&1 </dev/null |
        printable | INSIDE=$inside FILE=$file awk '{
            for (; at = index($0, ENVIRON["INSIDE"]); $0 = substr($0, at + length(ENVIRON["INSIDE"])))
                printf "%s%s", substr($0, 1, at - 1), ENVIRON["FILE"]
            print
        }' >&2 || status=$?
    rm "$ended" 2>/dev/null || {
        echo "the sandbox failed (status $status)" >&2
        return 1
    }
    [ "$status" -eq 0 ] || return 2
}

# The checks of exercise $1 whose names match $3 ("" is all), on PROGRAM $2. Those that come after one
# that had to be stopped for its time are put off; $4 is a file that says so. In the directory $5 are the
# TODOs that have failed.
try_in_order() (
    # Where a test of ours tries this, it is not part of that test: bats has marked its own.
    unset "${!BATS_@}"
    PATH=$(tr ':' '\n' <<<"$PATH" | grep -v 'libexec/bats-core' | paste -sd :)
    root=$(root_for "$1") lacks=${LACKS:-}
    if [ -n "$root" ]; then lacks=''; fi
    # shellcheck disable=SC2086 # no word, or sudo
    $root env LACKS="$lacks" SANDBOX="$(realpath "$BUILD/sandbox")" PROGRAM="$(realpath "$2")" NO_END="$4" FAILED="$5" \
        FUNCTIONS="$(functions "$1")" SHOW="${SHOW:-}" \
        bats --tap ${3:+--filter "$3"} "tests/exercises/$(name_of "$1").bats" </dev/null || true
)

# One after the other, as long as each comes to an end. What was put off is tried for all other TODOs at
# the same time; a TODO that has failed needs no second check. So a program that never ends costs the
# time of two checks, not of ten.
try() (
    number=$1 program=$2
    later=$(mktemp -d) || exit
    trap 'rm -r "$later"' EXIT
    mkdir "$later/failed" || exit
    try_in_order "$number" "$program" "${ONLY:-}" "$later/no-end" "$later/failed" >"$later/first" || exit
    while read -r todo; do
        if grep -qE "^not ok [0-9]+ $todo " "$later/first"; then continue; fi
        : >"$later/then-$todo" || exit
        try_in_order "$number" "$program" "^${todo/./\\.} " "$later/no-end-$todo" "$later/failed" \
            >"$later/then-$todo" &
    done < <(sed -nE 's/^ok [0-9]+ ([0-9.]+) .* # skip put off$/\1/p' "$later/first" | sort -u)
    wait
    for todo in "$later"/then-*; do
        [ ! -e "$todo" ] || grep -q '^1\.\.' "$todo" || exit # it has not even begun
    done
    find "$later" -name 'then-*' -exec cat {} + | awk -f tests/kit/merge.awk - "$later/first"
)

# Build and try exercise NN of WORK: always anew, for what a student hands in is never executed before.
# The results and what they belong to go to the file $2. Status 2: it does not build; 1: it cannot be tried, which is no
# fault of it. Those who ask for the status have switched set -e off in here.
results() (
    number=$1 tap=$2
    name=$(name_of "$1") || exit 1
    place=$(mktemp -d "$BUILD/try.XXXXXX") || exit 1
    trap 'rm -rf "$place"' EXIT
    rm -f "$tap" || exit 1
    # A student's link or pipe is not opened.
    [ -f "$WORK/$name.c" ] && [ ! -L "$WORK/$name.c" ] || {
        echo "error: $WORK/$name.c is not a file" >&2
        exit 2
    }
    fingerprint=$(fingerprint "$WORK/$name.c") || exit 1
    build "$number" "$WORK/$name.c" "$place/$name" || exit
    { echo "# of $fingerprint" && try "$number" "$place/$name"; } >"$place/tap" || exit 1
    mv -T "$place/tap" "$tap" || {
        rm -f "$tap" # where it is on another file system, a part of it may be there
        exit 1
    }
)

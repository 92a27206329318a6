#!/usr/bin/env bats
# A class: every submission has its row and its report, whatever the others have handed in.

load ../helpers

setup() {
    machine_before
    export BUILD=$TMPDIR/build CLASS=$TMPDIR/class
    mkdir "$CLASS"
    SECRET=$(mktemp /etc/secret-XXXXXX) # machines share /etc, and have the same PIDs
    echo "secret-of-root:x" >"$SECRET"
}

teardown() {
    rm -rf "$SECRET" "$BUILD" "$CLASS"
    machine_after
}

REPO=${BATS_TEST_FILENAME%/tests/*}

# row STUDENT: the row of a student in the class's table.
row() { grep "^\"$1\"," "$BUILD/grades/grades.csv"; }

@test "class: directories and tar files; a bad submission does not stop the others" {
    local hostile=$CLASS/hostile
    mkdir -p "$CLASS/alice/work" "$CLASS/links" "$hostile" "$CLASS/grades.csv" "$CLASS/a, \"b\" (c)" "$CLASS/"$'=1+2\xe2\x80\xae\xc2\x9b\nü'
    cp "$REPO/solutions/06_cpu_shares.c" "$CLASS/alice/work/"
    awk -f "$REPO/tests/kit/cut.awk" -v todo=6.2 "$REPO/solutions/06_cpu_shares.c" >"$CLASS/a, \"b\" (c)/06_cpu_shares.c"
    make -s -C "$REPO" submit WORK="$CLASS/alice/work" 3>&-
    mv "$BUILD/submission.tar" "$CLASS/bob.tar"
    # What is no archive, links to a file of root, and an archive whose names lead out of it.
    echo "not a tar file" >"$CLASS/noise.tar.gz"
    ln -s "$SECRET" "$CLASS/links/06_cpu_shares.c"
    mkfifo "$CLASS/links/05_cgroup_cpu.c"
    ln -s "$SECRET" "$hostile/01_chroot.c"
    echo 'int main(void) { return 0; }' >"$hostile/06_cpu_shares.c"
    tar -C "$hostile" -P --transform="s|^06|$TMPDIR/06|" -cf "$CLASS/mallory.tar" 01_chroot.c 06_cpu_shares.c
    rm -r "$hostile"

    run -0 make -s -C "$REPO" grade SUBMISSIONS="$CLASS" 3>&-
    assert_line --regexp "^8 submissions: "
    assert_line --regexp '^"a, ""b"" \(c\)",6,[0-9]+$'
    assert [ "$(wc -l <"$BUILD/grades/grades.csv")" -eq 9 ]
    run -0 row alice
    assert_output --regexp '^"alice",7,[0-9]+,.*,1,1,1,2,2,.*,""$'
    run -0 row bob
    assert_output --regexp '^"bob",7,'
    run -0 row 'a, ""b"" (c)'
    assert_output --regexp ',6,[0-9]+,.*,1,0,1,2,2,'
    run -0 row noise
    assert_output --regexp '^"noise",0,.*,"neither a directory nor a tar file"$'
    run -0 row grades.csv.of-student
    assert_output --regexp '^"grades.csv.of-student",0,.*,"no source of an exercise"$'
    run -0 row '?1+2???ü'
    run -0 row links
    assert_output --regexp '^"links",0,'
    run -0 row mallory
    assert_output --regexp '^"mallory",0,'
    assert [ ! -e "$TMPDIR/06_cpu_shares.c" ]
    run -1 grep -r secret-of-root "$BUILD/grades"

    run -0 jq -e '.scores | .["exercise 06"] == 7 and length == 9' "$BUILD/grades/alice/autolab.json"
    run -0 jq -e '.max_score > 7 and ([.tests[] | select(.status == "pass")] | length) == 5' "$BUILD/grades/bob/classroom.json"
    run -0 xmllint --xpath 'count(//testcase[not(failure)])' "$BUILD/grades/alice/grade.xml"
    assert_output 5
    run -0 grep -c '^  ok    TODO 6' "$BUILD/grades/alice/report.txt"
    assert_output 5
}

@test "class: a submission that has the name of what grading writes" {
    mkdir -p "$CLASS/grade.json"
    run -0 make -s -C "$REPO" grade SUBMISSIONS="$CLASS" 3>&-
    assert_line --regexp '^"grade.json",0,'
    assert [ "$(wc -l <"$BUILD/grades/grades.csv")" -eq 2 ]
}

@test "class: of a whole copy of the labs, what the student has written is graded; of several files it is told which" {
    local labs=$CLASS/alice solution=$REPO/solutions/06_cpu_shares.c
    mkdir -p "$labs"/{labs/tools,starters,tests/kit,work/old} "$CLASS/john.thompson"
    touch "$labs/tests/kit/guard.c" "$labs"/{labs,labs/tools,starters,work/old}/06_cpu_shares.c "$labs/labs/01_chroot.c"
    cp "$solution" "$labs/work/"
    tar -C "$labs" -cf "$CLASS/bob.tar" .
    # A file that was mended and added: the last one counts, as for who unpacks it.
    mkdir "$TMPDIR/Ü ü"
    : >"$TMPDIR/Ü ü/06_cpu_shares.c"
    tar -C "$TMPDIR" -cf "$CLASS/anna.toth.tar" "Ü ü"
    cp "$solution" "$TMPDIR/Ü ü/"
    tar -C "$TMPDIR" -rf "$CLASS/anna.toth.tar" "Ü ü"
    rm -r "${TMPDIR:?}/Ü ü"
    ONLY=1.1 run -0 make -s -C "$REPO" grade SUBMISSIONS="$CLASS" ONLY=1.1 3>&-
    run -0 row alice
    assert_output --regexp '^"alice",7,.*"06_cpu_shares is work/06_cpu_shares.c, one of 2"$'
    run -0 row bob
    assert_output --regexp '^"bob",7,.*"06_cpu_shares is work/06_cpu_shares.c, one of 2"$'
    run -0 row anna.toth
    assert_output --regexp '^"anna.toth",7,.*,""$'
    run -0 row john.thompson
}

@test "class: the grades of the last time stay until there are new ones; what was handed in stays" {
    mkdir "$CLASS/alice"
    run -0 make -s -C "$REPO" grade SUBMISSIONS="$CLASS" 3>&-
    mkdir "$BUILD/grades/monday"
    run -2 make -s -C "$REPO" grade SUBMISSIONS="$BUILD/grades/monday" 3>&-
    assert_line --partial "is where the grades go"
    assert [ -d "$BUILD/grades/monday" ]
    exec 7>"$BUILD/.grading"
    flock 7
    run -2 make -s -C "$REPO" grade SUBMISSIONS="$CLASS" 3>&- 7>&-
    assert_line --partial "another grading is under way"
    exec 7>&-
    run -0 row alice
}

@test "class: a terminal that is closed while it grades leaves nothing that was made for that" {
    local grading
    mkdir "$CLASS/alice"
    cp "$REPO/solutions/06_cpu_shares.c" "$CLASS/alice/"
    env --default-signal=HUP setsid make -s -C "$REPO" grade SUBMISSIONS="$CLASS" >"$TMPDIR/said" 2>&1 3>&- &
    grading=$!
    wait_until eval 'compgen -G "$BUILD/*.??????" >/dev/null && pgrep -x sandbox >/dev/null'
    kill -HUP -- "-$grading"
    wait "$grading" || true
    eventually eval '[ -z "$(find "$BUILD" -maxdepth 1 -name "*.??????")" ]' || fail "$(ls "$BUILD")"
    eventually eval '! pgrep -x sandbox >/dev/null'
    rm "$TMPDIR/said"
}

@test "class: no submission takes the row of another one, whatever its name is" {
    mkdir "$CLASS/alice" "$CLASS/alice.of-student" "$CLASS"/$'x\001y' "$CLASS"/$'x\002y' "$CLASS"/$'x\003y'
    cp "$REPO/solutions/06_cpu_shares.c" "$CLASS/alice/"
    tar -cf "$CLASS/bob.tar" -C "$REPO/solutions" 06_cpu_shares.c
    touch "$CLASS/alice.t0" "$CLASS/bob.tgz" "$CLASS/$(printf '\377%.0s' {1..255})"
    run -2 make -s -C "$REPO" grade SUBMISSIONS="$CLASS" 3>&-
    run -0 cut -d , -f 1-2 "$BUILD/grades/grades.csv"
    run -0 env LC_ALL=C sed -e 1d -e 's/^"[^a-z].*/no directory has this name/' <<<"$output"
    assert_equal "$(sort <<<"$output")" '"alice",7
"alice.of-student",0
"alice.t0",0
"bob.tar",7
"bob.tgz",0
"x?y",0
"x?y.of-student",0
"x?y.of-student-2",0
no directory has this name'
}

@test "class: what its owner exchanges for a link while it is graded is not read" {
    local students="alice bob carol dave erin frank grace" student untouched=$CLASS/heidi closed=$CLASS/.closed
    mkdir -p "$CLASS/bob/work" "$TMPDIR/bin"
    for student in $students; do
        mkdir -p "$CLASS/$student"
        touch "$CLASS/$student/06_cpu_shares.c"
    done
    mv "$CLASS/bob/06_cpu_shares.c" "$CLASS/bob/work"
    # Nobody's folder is frank's; grace's archive is root's. Everybody can put something there.
    mkdir -m 700 "$closed"
    cp "$REPO/solutions/06_cpu_shares.c" "$closed"
    rm -r "$CLASS/grace"
    (umask 077 && tar -cf "$CLASS/grace" -C "$REPO/solutions" 06_cpu_shares.c)
    chown -R nobody "$CLASS"/{dave,erin,frank}
    mkdir "$untouched"
    cp "$REPO/solutions/06_cpu_shares.c" "$untouched"
    chmod 1777 "$CLASS"
    # Between the search and the reading.
    cat >"$TMPDIR/bin/find" <<END
#!/bin/sh
$(command -v find) "\$@"
case \$PWD in
*/alice) ln -sf "$REPO/solutions/06_cpu_shares.c" . ;;
*/bob) mv work old && ln -s "$REPO/solutions" work ;;
*/carol) rm 06_cpu_shares.c && mkfifo 06_cpu_shares.c ;;
*/dave) cd .. && mv dave .dave && ln -s .closed dave ;;
*/erin) cd .. && mv erin .erin ;;
*/frank) rm 06_cpu_shares.c && ln "$closed/06_cpu_shares.c" . ;;
esac
END
    chmod +x "$TMPDIR/bin/find"
    PATH=$TMPDIR/bin:$PATH run -2 make -s -C "$REPO" grade SUBMISSIONS="$CLASS" 3>&-
    rm -r "${TMPDIR:?}/bin"
    for student in $students; do
        run -0 row "$student"
        assert_output "\"$student\",\"\",\"\",\"not graded: it cannot be read with the rights of its owner\""
    done
    run -0 row heidi
    assert_output --regexp '^"heidi",7,'
}

@test "class: the name of a directory does not lead to the file of another student" {
    local up=$CLASS/mallory/x$'\n'..
    mkdir -p "$CLASS/bob" "$up/bob"
    cp "$REPO/solutions/06_cpu_shares.c" "$CLASS/bob"
    echo 'int main(void) { return 0; }' >"$up/bob/06_cpu_shares.c"
    run -0 make -s -C "$REPO" grade SUBMISSIONS="$CLASS" 3>&-
    run -0 row bob
    assert_output --regexp '^"bob",7,'
    run -0 row mallory
    assert_output --regexp '^"mallory",0,.*,"no source of an exercise"$'
    for up in .. ../bob/06_cpu_shares.c x/../../bob/06_cpu_shares.c; do
        run -1 "$REPO/build/read_as" 0 "" "$CLASS/mallory" "$up" cat
        assert_output "read_as: $up leads out of the directory"
    done
    for up in "" x ..x/...; do
        mkdir -p "$CLASS/alice/$up"
        run -0 "$REPO/build/read_as" 0 "" "$CLASS/alice" "$up" pwd
    done
}

@test "class: what reads a submission as its owner has nothing of the teacher's" {
    mkdir -p "$CLASS/nobody" "$TMPDIR/bin" "$TMPDIR/seen"
    tar -cf "$CLASS/archive.tar" -C "$REPO/solutions" 01_chroot.c
    chown nobody "$CLASS/nobody" "$CLASS/archive.tar" "$TMPDIR/seen"
    chmod 700 "$CLASS"
    chmod 711 "$TMPDIR"
    local command
    for command in find tar; do
        cat >"$TMPDIR/bin/$command" <<END
#!/bin/sh
me=\$(awk '/^PPid/ { print \$2 }' /proc/self/status) # not in its PID namespace
if [ "\$(id -u)" -ne 0 ]; then
    { readlink /proc/\$me/fd/* /proc/\$me/cwd; env; true </dev/tty && echo terminal; } >"$TMPDIR/seen/$command" 2>&1
fi
exec $(command -v "$command") "\$@"
END
        chmod +x "$TMPDIR/bin/$command"
    done
    export SECRET_OF_TEACHER=1
    PATH=$TMPDIR/bin:$PATH run -0 make -s -C "$REPO" grade SUBMISSIONS="$CLASS" 3>&-
    run -0 row archive
    assert_output --regexp '^"archive",[1-9]'
    # The directory and the descriptors, but those of this script.
    local own='s/:.*//; /^(PATH|PWD|OLDPWD|SHLVL|_)=/d; /(seen|bin).(find|tar)$/d'
    run -0 sed -E "$own" "$TMPDIR/seen/find"
    assert_output "/dev/null
pipe
pipe
$CLASS/nobody
KIND=directory
LC_ALL=C"
    run -0 sed -E "$own" "$TMPDIR/seen/tar"
    assert_output "$CLASS/archive.tar
pipe
/dev/null
/
KIND=file
LC_ALL=C"
    rm -r "${TMPDIR:?}/bin" "$TMPDIR/seen"
}

@test "class: what reads a submission is not traced by who handed it in, and its end is not waited for" {
    local nobody=(setpriv --reuid=nobody --regid=nogroup --clear-groups) of_root of_nobody holder pid status
    local read_as=(timeout 60 "$REPO/build/read_as" 0 "" "$CLASS/nobody" "" sleep)
    # Where Yama is on, nobody may trace anyhow.
    if [ "$(cat /proc/sys/kernel/yama/ptrace_scope 2>/dev/null || echo 0)" != 0 ]; then skip "Yama forbids ptrace(2) (kernel.yama.ptrace_scope)"; fi
    mkdir "$CLASS/nobody"
    chown nobody "$CLASS/nobody"
    chmod 711 "$TMPDIR"
    "${read_as[@]}" 61 3>&- &
    of_root=$!
    "${nobody[@]}" "${read_as[@]}" 62 3>&- &
    of_nobody=$!
    # PTRACE_SEIZE with PTRACE_O_TRACEEXIT: it stops before it ends, also when it is killed.
    PATH=/usr/bin:/bin "${nobody[@]}" python3 - >"$TMPDIR/held" 3>&- <<'END' &
import ctypes, os, subprocess, time
trace = ctypes.CDLL(None, use_errno=True).ptrace
for seconds in "61", "62":
    while not (pid := subprocess.run(["pgrep", "-fx", "sleep " + seconds], stdout=subprocess.PIPE).stdout):
        time.sleep(0.02)
    print("held" if trace(0x4206, int(pid), None, 0x40) == 0 else os.strerror(ctypes.get_errno()), flush=True)
time.sleep(60)
END
    holder=$!
    for pid in "$of_root" "$of_nobody"; do
        status=0
        wait "$pid" || status=$?
        assert_equal "$status" 1
    done
    kill "$holder"
    run -0 cat "$TMPDIR/held"
    assert_output "Operation not permitted
held"
    rm "$TMPDIR/held"
}

@test "class: where it cannot be told whether others can write, a submission is read as nobody" {
    local look=("$REPO/build/read_as" 0 "" "$CLASS/of-root" "" bash -c 'id -u')
    mkdir "$CLASS/of-root"
    run -0 "${look[@]}" 3>&-
    assert_output 0
    run -0 strace -f -qq -o /dev/null -e inject=getxattr:error=EIO "${look[@]}" 3>&-
    assert_output 65534
    rmdir "$CLASS/of-root"
}

@test "class: a submission that could not be graded is named, and the others are graded" {
    mkdir -p "$CLASS/alice" "$CLASS/bob" "$TMPDIR/bin"
    cp "$REPO/solutions/06_cpu_shares.c" "$CLASS/alice/"
    # The checks of one exercise end without results.
    printf '#!/bin/sh\ncase "$*" in *04_setns*) exit 1 ;; esac\nexec %s "$@"\n' "$(type -aP bats | grep -v -m 1 libexec)" >"$TMPDIR/bin/bats"
    chmod +x "$TMPDIR/bin/bats"
    cp "$REPO/solutions/04_setns.c" "$CLASS/bob/"
    PATH=$TMPDIR/bin:$PATH run -2 make -s -C "$REPO" grade SUBMISSIONS="$CLASS" 3>&-
    rm -r "${TMPDIR:?}/bin"
    run -0 row alice
    assert_output --regexp '^"alice",7,'
    run -0 row bob
    assert_output --partial "not graded: the checks of 04_setns did not come to an end"
}

@test "class: a submission whose grading is killed is named, whoever is left" {
    local victim
    mkdir -p "$CLASS/alice" "$CLASS/bob" "$TMPDIR/bin"
    for victim in '$PPID' '$(ps -o ppid= $PPID)'; do
        # The first that asks for the name of bob.
        printf '#!/bin/bash\ncase "$*" in "-rn --arg name bob "*) mkdir %s 2>/dev/null && kill -KILL %s ;; esac\nexec %s "$@"\n' \
            "$TMPDIR/bin/once" "$victim" "$(type -P jq)" >"$TMPDIR/bin/jq"
        chmod +x "$TMPDIR/bin/jq"
        PATH=$TMPDIR/bin:$PATH run -2 make -s -C "$REPO" grade SUBMISSIONS="$CLASS" 3>&-
        assert_line --partial "2 submissions: "
        rmdir "$TMPDIR/bin/once"
        run -0 row bob
        assert_output '"bob","","","not graded: its grading was broken off"'
    done
    rm -r "${TMPDIR:?}/bin"
}

@test "class: what may not be read is passed over, another failure to read is told" {
    local error
    mkdir -p "$CLASS/alice" "$TMPDIR/bin"
    cp "$REPO/solutions/06_cpu_shares.c" "$CLASS/alice/"
    chmod -R a+rX "$TMPDIR/bin"
    for error in "Permission denied" "Input/output error" ""; do
        printf '#!/bin/sh\ncase "$*" in ". -maxdepth "*) %s "$@"; %s; exit 1 ;; esac\nexec %s "$@"\n' \
            "$(type -P find)" "${error:+echo "\"find: './x': $error\" >&2"}" "$(type -P find)" >"$TMPDIR/bin/find"
        sed -i 's/; ;/;/' "$TMPDIR/bin/find"
        chmod 755 "$TMPDIR/bin/find"
        PATH=$TMPDIR/bin:$PATH run make -s -C "$REPO" grade SUBMISSIONS="$CLASS" 3>&-
        run -0 row alice
        if [ "$error" = "Permission denied" ]; then
            assert_output --regexp '^"alice",7,'
        else
            assert_output '"alice","","","not graded: it cannot be read with the rights of its owner"'
        fi
    done
    rm -r "${TMPDIR:?}/bin"
}

# What each of three accounts types, in a copy of the project of its own; $1 is an empty directory, the rest is the
# project. useradd(8) has an /etc of its own here, and gives each account a range of further IDs.
# shellcheck disable=SC2016 # another shell expands it
CLASSROOM='
set -e
mount -t tmpfs -o mode=755 tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/home" "$1/class"
for name in alice bob teacher; do
    mkdir "$1/home/$name"
    tar -C "$2" --exclude=./build/vm --exclude=./work --exclude=.git -cf - . | tar -C "$1/home/$name" -xf -
done
mount -t overlay -o "lowerdir=/etc,upperdir=$1/upper,workdir=$1/work" overlay /etc
mount --bind "$1/home" /home
if [ -e /usr/bin/sudo ]; then mount --bind /dev/null /usr/bin/sudo; fi
as() { setpriv --reuid="$1" --regid="$1" --init-groups --reset-env make -s -C "/home/$1" "${@:2}" </dev/null; }
for name in alice bob teacher; do
    useradd --no-create-home --home-dir "/home/$name" "$name"
    chown -R "$name:$name" "/home/$name"
done
as alice run-01
as alice exercise-01
cp "/home/alice/solutions/01_chroot.c" /home/alice/work/
as alice check-01
as bob exercise-01
cp "/home/bob/solutions/02_rootfs.c" /home/bob/work/
as bob grade
for name in alice bob; do
    as $name submit
    cp "/home/$name/build/submission.tar" "$1/class/$name.tar"
done
as teacher grade SUBMISSIONS="$1/class"
cat /home/teacher/build/grades/grades.csv
'

@test "class: three accounts without sudo, from the first experiment to the grades" {
    mkdir "$TMPDIR/server"
    run -0 unshare --mount --propagation private bash -c "$CLASSROOM" - "$TMPDIR/server" "$REPO" 3>&-
    assert_line --regexp '^\[01\] [0-9]+ checks held, 0 failed$'
    assert_line "4 of 4 TODOs hold: 7 of 7 points"
    assert_line --regexp '^01_chroot +0/4 +0/7 *$'
    # What is not tried without root has no points.
    assert_line --regexp '^02_rootfs +2/4 +3/6 +2 not tried here$'
    assert_line --regexp '^not tried here, .*: TODO 2\.3 2\.4( |$)'
    assert_line --regexp '^"alice",7,'
    assert_line --regexp '^"bob",3,'
    rmdir "$TMPDIR/server"
}

@test "submit: the sources, and nothing else" {
    mkdir -p "$CLASS/work/.state"
    run -2 make -s -C "$REPO" submit WORK="$CLASS/work" 3>&-
    assert_line "$CLASS/work has no exercise: make exercise-01 begins one"
    touch "$CLASS/mine.c"
    ln -s ../mine.c "$CLASS/work/03_unshare.c"
    touch "$CLASS/work/03_unshare.c.~1~" "$CLASS/work/a.out" "$CLASS/work/.state/03.tap"
    run -0 make -s -C "$REPO" submit WORK="$CLASS/work" 3>&-
    run -0 tar -tvf "$BUILD/submission.tar"
    assert_output --regexp '^-.* 03_unshare.c$'
    # Where it cannot be made, the last one stays.
    ln -s /dev/full "$BUILD/submission.tar.new"
    run -2 make -s -C "$REPO" submit WORK="$CLASS/work" 3>&-
    run -0 tar -tf "$BUILD/submission.tar"
    assert_output "03_unshare.c"
    [ ! -L "$BUILD/submission.tar.new" ]
}

#!/usr/bin/env bats
# Lab 01: chroot(1) as a tool, and the experiment.

load helpers

setup() {
    machine_before
    JAIL=$BATS_TEST_TMPDIR/jail
    mkdir -p "$JAIL"/{bin,etc,dir}
    cp "$(command -v busybox)" "$JAIL/bin/busybox"
    for applet in sh ls id pwd echo cat kill true false env; do
        ln -s busybox "$JAIL/bin/$applet"
    done
    printf 'root:x:0:0::/:/bin/sh\ninsider:x:4242:4343::/:/bin/sh\ngames:x:5:60::/:/bin/sh\n' >"$JAIL/etc/passwd"
    printf 'root:x:0:\ncrew:x:4343:\nextra:x:4444:insider\nnumber:x:77:\n' >"$JAIL/etc/group"
    echo "not a program" >"$JAIL/bin/plain"
    echo "garbage" >"$JAIL/bin/garbage"
    chmod +x "$JAIL/bin/garbage"
    export JAIL
    chmod 755 "$BATS_TEST_TMPDIR" "$JAIL"
}

teardown() { machine_after; }

@test "01 tool: same status, stdout and kind of stderr as chroot(1)" {
    FILE=$BATS_TEST_TMPDIR/file && : >"$FILE"
    compare_rows chroot "$LABS/01_chroot" <<'ROWS'
"$JAIL" /bin/true
"$JAIL" /bin/false
"$JAIL" /bin/echo a 'b c' d
"$JAIL" sh -c 'exit 42'
"$JAIL" sh -c 'kill -TERM $$'
"$JAIL" sh -c 'kill -KILL $$'
"$JAIL" pwd
"$JAIL" ls /
"$JAIL" ls -l /bin/no
"$JAIL" /bin/missing
"$JAIL" missing
"$JAIL" /bin/plain
"$JAIL" /bin/garbage
"$JAIL" /dir
"$JAIL" ''
env SHELL=/bin/echo -- "$JAIL"
env SHELL=/bin/missing -- "$JAIL"
env SHELL= -- "$JAIL"
env -u SHELL -- "$JAIL"
env PATH=/nowhere -- "$JAIL" ls
env A=1 -i PATH=/bin -- "$JAIL" env
"$JAIL" -- echo x
-- "$JAIL" echo x
"$JAIL" echo --help --version -x

--skip-chdir
--skip-chdir "$JAIL" true
--skip-chdir / pwd
--skip-chdir /../ pwd
/ true
"$JAIL/missing" true
"$FILE" true
'' true
"$JAIL/dir" /bin/true
--no-such-option
--user "$JAIL" true
--userspec
--userspec= "$JAIL" id
--userspec=0:0 "$JAIL" id
--userspec=insider "$JAIL" id
--userspec=insider: "$JAIL" id
--userspec=insider:crew "$JAIL" id
--userspec=insider:4444 "$JAIL" id
--userspec=:crew "$JAIL" id
--userspec=:4343 "$JAIL" id
--userspec=4242 "$JAIL" id
--userspec=4242: "$JAIL" id
--userspec=5 "$JAIL" id
--userspec=games "$JAIL" id
--userspec=daemon "$JAIL" id
--userspec=31337 "$JAIL" id
--userspec=31337:31337 "$JAIL" id
--userspec=nobody-at-all "$JAIL" id
--userspec=insider:nobody-at-all "$JAIL" id
--userspec=12x:0 "$JAIL" id
--userspec=-1:0 "$JAIL" id
--userspec=4294967295:0 "$JAIL" id
--userspec=99999999999999999999:0 "$JAIL" id
--groups=crew,extra "$JAIL" id
--groups=4343,4444 "$JAIL" id
--groups=number,77 "$JAIL" id
--groups= "$JAIL" id
--groups=, "$JAIL" id
--groups=no-group "$JAIL" id
--groups=crew,no-group "$JAIL" id
--groups=games "$JAIL" id
--groups=12x "$JAIL" id
--userspec=insider --groups= "$JAIL" id
--userspec=insider --groups=77 "$JAIL" id
--userspec=1000:1000 --groups=1,2,3 "$JAIL" id
user:"$JAIL" /bin/true
user:/ true
user:"$JAIL/missing" true
ROWS
}

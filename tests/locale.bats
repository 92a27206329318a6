#!/usr/bin/env bats
# The labs in other languages: locales that are installed, with translations, and those that are not.

load helpers

setup() {
    machine_before
    export LAB_MEASURE=20 # how exactly is of no importance here
}
teardown() { machine_after; }

# Make the locales $@ where programs look for them.
make_locales() {
    local name
    [ -e /usr/share/i18n/locales/de_DE ] || skip "no locales can be made (make deps-lint installs locales)"
    export LOCPATH=$BATS_TEST_TMPDIR/locales
    mkdir -p "$LOCPATH"
    for name in "$@"; do localedef -i "${name%.*}" -f UTF-8 "$LOCPATH/$name"; done
}

# All experiments hold.
play_all() {
    local pages=("${BATS_TEST_DIRNAME%/tests}"/labs/0[1-9]_*.c)
    pages=("${pages[@]##*/}")
    at_once holds "${pages[@]%.c}"
}

@test "locale: all experiments hold in German, which is installed" {
    make_locales de_DE.UTF-8
    export LC_ALL=de_DE.UTF-8
    run -2 ls /nowhere
    refute_output --partial 'cannot access' # it is German indeed
    play_all
}

@test "locale: all experiments hold in Chinese, which is not installed" {
    export LC_ALL=zh_CN.UTF-8 LOCPATH=$BATS_TEST_TMPDIR
    run -0 bash -c true
    assert_line --partial 'cannot change locale (zh_CN.UTF-8)' # it is not indeed
    play_all
}

@test "locale: where the letter i has another capital, named by LANG or LC_CTYPE" {
    make_locales tr_TR.UTF-8
    unset LC_ALL
    for variable in LANG LC_CTYPE; do
        export "$variable=tr_TR.UTF-8"
        at_once holds 01_chroot 05_cgroup_cpu 09_full_container
        unset "$variable"
    done
}

@test "locale: the tools hold; a command has the locale of its caller, and so has a shell of --shell" {
    local locale
    for locale in de_DE.UTF-8 zh_CN.UTF-8 tr_TR.UTF-8 C.UTF-8; do
        rm -rf "$TMPDIR/root" && mkdir "$TMPDIR/root"
        run -0 env LC_ALL="$locale" "$LABS/01_chroot" --with sh --with env "$TMPDIR/root" env
        assert_line "LC_ALL=$locale"
        run -0 env LC_ALL="$locale" "$LABS/02_rootfs" "$TMPDIR/tree"
        rm -rf "$TMPDIR/tree"
        run -0 env LC_ALL="$locale" "$LABS/03_unshare" --uts env
        assert_line "LC_ALL=$locale"
        run -0 env LC_ALL="$locale" "$LABS/07_veth_bridge" up
        run -0 env LC_ALL="$locale" "$LABS/07_veth_bridge" down
        run -0 env LC_ALL="$locale" "$LABS/doctor"
        refute_output --partial setlocale
    done
    rm -rf "$TMPDIR/root"
    run -0 bash -c "echo 'echo \"it has \$LC_ALL\"' | SHELL=/bin/sh '$LABS/05_cgroup_cpu' --shell"
    assert_line --partial "it has C.UTF-8"
    run -0 bash -c "unset LC_ALL; echo 'echo \"it has \${LC_ALL-none}\"' | SHELL=/bin/sh '$LABS/05_cgroup_cpu' --shell"
    assert_line --partial "it has none"
}

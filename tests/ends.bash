# Loaded by the tests that end experiments after each of their steps. The file has a function `experiments`, which prints
# the names of those of a kind; KINDS are `heavy light` by default, AS words before an experiment, RUNS the directory
# of their runs.

# The number of steps of an experiment, from its own first step.
steps_of() {
    local steps
    steps=$("$LABS/$1" --step </dev/null 3>&- | sed -nE 's/.* step 1 of ([0-9]+): .*/\1/p')
    [ "$steps" -ge 1 ] || fail "$1 does not say how many steps it has"
    echo "$steps"
}

# The steps of $1 after which it is ended: each; with ENDS=few, in emulation, where all that comes before takes ten
# times as long, and with sanitizers, to which an end after one step is as new as after another, the first, one in the
# middle, the last.
ends_of() {
    local steps
    steps=$(steps_of "$1")
    if [ "$SLOW" -eq 1 ] && [ -z "${SANITIZED:-}${ENDS:-}" ]; then seq "$steps"; else printf '%s\n' 1 $((steps / 2 + 1)) "$steps"; fi
}

# Start each experiment of a kind once for each of its steps after which it is to be ended, all at the same time, the
# first steps first. What belongs to one of them has the same index in these: lab, step, supervisors.
start_at_each_step() {
    local labs one end ends=''
    lab=() step=() supervisors=()
    labs=$(experiments "$1")
    for one in $labs; do ends+=$(ends_of "$one" | sed "s/$/ $one/")$'\n'; done
    while read -r end one; do
        LAB_MEASURE=1 start_at_step "$one" "$end" "$one-$end-" # which is as short as can be
        lab+=("$one") step+=("$end") supervisors+=("$supervisor")
    done < <(sort -n <<<"${ends%$'\n'}")
}

# end_each HOW: end each of them by the function HOW as soon as it is at its step: the load of a heavy one goes on until
# then, and the others have to wait for it. The processes of the experiments are in processes.
end_each() {
    local i supervisor experiment
    processes=()
    for i in "${!lab[@]}"; do
        supervisor=${supervisors[i]}
        wait_for_step "${lab[i]}" "${step[i]}" "${lab[i]}-${step[i]}-"
        processes+=("$experiment")
        "$1"
    done
}

# The ways to be ended, and the status of one that is ended so.
press_control_c() { kill -INT -- "-$supervisor"; }
terminate() { kill -TERM "$supervisor"; }
kill_experiment() { kill -KILL "$experiment"; }
kill_supervisor() { kill -KILL "$supervisor"; }
declare -gA STATUS=([press_control_c]=130 [terminate]=143 [kill_experiment]=137 [kill_supervisor]=137)

# The directory of run $1.
directory_of() { echo "${RUNS:-/run/container-labs}/${lab[$1]%%_*}-${supervisors[$1]}$PID_SUFFIX"; }

# end_at_each_step HOW: end every experiment after each of its steps so, and see that nothing is left; where the
# supervisor was killed, at most a name, which the next run sweeps. `swept` counts those.
end_at_each_step() {
    local kind i status name
    swept=0
    for kind in ${KINDS:-heavy light}; do
        start_at_each_step "$kind"
        end_each "$1"
        for i in "${!lab[@]}"; do
            name="${lab[i]}, step ${step[i]}"
            status=0
            wait "${supervisors[i]}" || status=$?
            [ "$status" -eq "${STATUS[$1]}" ] || fail "$name: status $status"
            [ ! -e "/proc/${processes[i]}" ] || wait_until_gone "${processes[i]}"
            if [ "$1" = kill_experiment ]; then
                run tail -n 1 "$BATS_TEST_TMPDIR/${lab[i]}-${step[i]}-out"
                assert_output --partial 'the experiment was ended by SIGKILL; nothing of it is left'
            fi
            # A run with a control group has a guardian, which takes away even the name.
            if [ ! -e "$(directory_of "$i")" ]; then continue; fi
            [ "$1" = kill_supervisor ] || fail "$name: it left its directory"
            swept=$((swept + 1))
        done
        "${AS[@]}" "$LABS/01_chroot" >/dev/null 3>&-
        for i in "${!lab[@]}"; do [ ! -e "$(directory_of "$i")" ] || fail "$(directory_of "$i") was not swept"; done
    done
}

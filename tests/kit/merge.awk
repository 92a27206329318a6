# Put the results of checks that were tried later in the place where they were put off.
#
#   cat LATER... | awk -f merge.awk - FIRST
#
# All of them are TAP, as bats writes it. A check that was put off and is in none of LATER, or put off
# there as well, was not needed any more: it fails, or is not tried where its TODO waits for another one.
# Status 1 where one of LATER does not have all the results that it has planned.

/^(not )?ok [0-9]+ / {
    name = $0
    sub(/^(not )?ok [0-9]+ /, "", name)
    put_off = sub(/ # skip put off$/, "", name)
    todo = name
    sub(/ .*/, "", todo)
    blames = match(name, / # skip not tried: .*/) ? substr(name, RSTART) : ""
    number = $1 == "ok" ? $2 : $3
}

FILENAME == "-" {
    if (/^(not )?ok [0-9]+ /)
        missing--
    if (/^1\.\./) {
        missing += substr($0, 4)
        name = ""
    } else if (blames != "")
        waits[todo] = blames
    else if (name != "" && !put_off)
        results[name] = results[name] $0 "\n"
    next
}

/^(not )?ok [0-9]+ / && put_off {
    if (name in results) {
        sub(/ok [0-9]+ /, "ok " number " ", results[name])
        printf "%s", results[name]
    } else if (todo in waits)
        printf "ok %d %s%s\n", number, name, waits[todo]
    else
        printf "not ok %d %s\n# not tried: another check of this TODO did not come to an end\n", number, name
    next
}

{ print }

END { exit missing != 0 }

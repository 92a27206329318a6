# Turn the results of an exercise's checks (TAP, as bats writes it) into what is asked for.
#
#   awk -f report.awk -v exercise=05 -v mode=MODE points results.tap
#
#   mode=text     for the student: each TODO (or only=N.M), and what was seen where it does not hold; "--"
#                 marks one that was not tried because another does not hold
#   mode=summary  one line: TODOs that hold, TODOs, points, points there are, TODOs that this machine cannot try
#   mode=lines    for grade.jq, a line for each TODO; tabs between exercise, number, "ok" or "not",
#                 points, points there are, title, and what was seen (\001 for the end of a line)
#
# A TODO holds when all its checks do; its checks are those whose names begin with its number.
# MISSING in the environment, if it is not empty, is why there are no results: then nothing holds.
# Status 1 where the results are not whole.

# The list of points.
FILENAME ~ /points$/ {
    if ($0 ~ /^#/ || $0 == "")
        next
    split($1, parts, ".")
    if (parts[1] != exercise + 0)
        next
    todo = $1
    order[++todos] = todo
    worth[todo] = $2
    title = $0
    sub(/^[^ ]+ +[^ ]+ +/, "", title)
    titles[todo] = title
    next
}

/^1\.\.[0-9]+$/ {
    planned = substr($0, 4) + 0
    next
}

/^(not )?ok [0-9]+ / {
    seen++
    failed = ($1 == "not")
    name = $0
    sub(/^(not )?ok [0-9]+ /, "", name)
    blames = match(name, / # skip not tried: .*$/)
    if (blames) {
        reason = substr(name, RSTART + length(" # skip "))
        name = substr(name, 1, RSTART - 1)
        if (reason ~ /^not tried: the sandbox failed: /)
            broken = 1
    }
    todo = name
    sub(/ .*/, "", todo)
    sub(/^[^ ]* /, "", name)
    if (!(todo in worth)) {
        print "report.awk: no points for " todo | "cat >&2"
        broken = 1
    }
    checks[todo]++
    heading = "- " name "\n"
    if (blames) {
        not_tried[todo] = reason
        split(reason, words, " ")
        if (words[3] == "TODO")
            blamed[todo] = words[4]
        else
            lacks[todo] = 1
    } else if (!failed)
        held[todo]++
    else
        fails[todo]++
    next
}

# Of what bats adds to a failure only our own words count.
/^# / && failed {
    line = substr($0, 3)
    if (line ~ /^[( ](from function|in test file|in file) / || line ~ /^ +`.*. failed/)
        next
    if (line ~ /^TODO [0-9.]+ is not written yet$/) {
        # Once is enough: no check gets past it.
        if (!index(said[todo], line))
            said[todo] = said[todo] "- " line "\n"
        next
    }
    said[todo] = said[todo] heading "    " line "\n"
    heading = ""
}

END {
    missing = ENVIRON["MISSING"] # with -v, what follows a backslash would be a character of awk's
    if (missing == "" && (seen == 0 || seen != planned))
        broken = 1
    for (i = 1; i <= todos; i++) {
        todo = order[i]
        holds[todo] = checks[todo] > 0 && held[todo] == checks[todo] && missing == ""
        all += worth[todo]
        if (holds[todo]) {
            points += worth[todo]
            count++
        }
    }
    for (i = 1; i <= todos; i++) {
        todo = order[i]
        mark[todo] = holds[todo] ? "ok" : "FAIL"
        if (holds[todo] || fails[todo])
            continue
        if (missing != "")
            said[todo] = "- " missing "\n"
        else if (!(todo in not_tried))
            said[todo] = "- it was not tried\n"
        else if (todo in blamed && holds[blamed[todo]])
            said[todo] = "- the program ends in TODO " blamed[todo] ", whose own checks hold\n"
        else {
            mark[todo] = "--"
            said[todo] = "- " not_tried[todo] "\n"
            not_here += todo in lacks
        }
    }
    if (mode == "text") {
        for (i = 1; i <= todos; i++) {
            todo = order[i]
            if (only != "" && only != todo)
                continue
            printf "  %-4s  TODO %s %s\n", mark[todo], todo, titles[todo]
            if (!holds[todo]) {
                text = "        " said[todo]
                sub(/\n$/, "", text)
                gsub(/\n/, "\n        ", text)
                print text
            }
        }
        if (only == "")
            printf "%d of %d TODOs hold: %d of %d points\n", count, todos, points, all
    } else if (mode == "summary") {
        print count + 0, todos, points + 0, all, not_here + 0
    } else if (mode == "lines") {
        OFS = "\t"
        for (i = 1; i <= todos; i++) {
            todo = order[i]
            text = said[todo]
            gsub(/\t/, " ", text)
            gsub(/\n/, "\001", text)
            print exercise, todo, holds[todo] ? "ok" : "not", holds[todo] ? worth[todo] : 0, \
                worth[todo], titles[todo], text
        }
    }
    exit broken
}

# Turn the results of an exercise's checks (TAP, as bats writes it) into what is asked for.
#
#   awk -f report.awk -v exercise=05 -v mode=MODE points results.tap
#
#   mode=text     for the student: each TODO, and what was seen where it does not hold
#   mode=summary  one line: TODOs that hold, TODOs, points, points there are
#   mode=todos    a line for each TODO: number, ok or not, points, points there are, title
#   mode=junit    the exercise as a <testsuite>, mode=json as an object
#
# A TODO holds when all its checks do; its checks are those whose names begin with its number.
# `missing`, if given, is why there are no results: then nothing holds. Status 1 where the results
# are not whole.

function escape_xml(text) {
    gsub(/&/, "\\&amp;", text)
    gsub(/</, "\\&lt;", text)
    gsub(/>/, "\\&gt;", text)
    gsub(/"/, "\\&quot;", text)
    gsub(/[\001-\010\013\014\016-\037\177]/, "?", text)
    return text
}

function escape_json(text) {
    gsub(/\\/, "\\\\", text)
    gsub(/"/, "\\\"", text)
    gsub(/\t/, "\\t", text)
    gsub(/\n/, "\\n", text)
    gsub(/[\001-\037\177]/, "?", text)
    return text
}

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
    todo = name
    sub(/ .*/, "", todo)
    sub(/^[^ ]* /, "", name)
    if (!(todo in worth)) {
        print "report.awk: no points for " todo | "cat >&2"
        broken = 1
    }
    checks[todo]++
    heading = "- " name "\n"
    if (!failed)
        held[todo]++
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
    if (missing == "" && (seen == 0 || seen != planned))
        broken = 1
    for (i = 1; i <= todos; i++) {
        todo = order[i]
        holds[todo] = checks[todo] > 0 && held[todo] == checks[todo] && missing == ""
        all += worth[todo]
        if (holds[todo]) {
            points += worth[todo]
            count++
        } else if (said[todo] == "")
            said[todo] = (missing == "" ? "- it was not tried" : "- " missing) "\n"
    }
    if (mode == "text") {
        for (i = 1; i <= todos; i++) {
            todo = order[i]
            printf "  %-4s  TODO %s %s\n", holds[todo] ? "ok" : "FAIL", todo, titles[todo]
            if (!holds[todo]) {
                text = "        " said[todo]
                sub(/\n$/, "", text)
                gsub(/\n/, "\n        ", text)
                print text
            }
        }
        printf "%d of %d TODOs hold: %d of %d points\n", count, todos, points, all
    } else if (mode == "summary") {
        print count + 0, todos, points + 0, all
    } else if (mode == "todos") {
        for (i = 1; i <= todos; i++)
            print order[i], holds[order[i]] ? "ok" : "not", holds[order[i]] ? worth[order[i]] : 0, \
                worth[order[i]], titles[order[i]]
    } else if (mode == "junit") {
        printf "  <testsuite name=\"exercise %s\" tests=\"%d\" failures=\"%d\">\n", exercise, todos, \
            todos - count
        for (i = 1; i <= todos; i++) {
            todo = order[i]
            printf "    <testcase classname=\"exercise.%s\" name=\"%s %s\"", exercise, todo, \
                escape_xml(titles[todo])
            if (holds[todo])
                print "/>"
            else
                printf ">\n      <failure message=\"TODO %s does not hold\">%s</failure>\n    </testcase>\n", \
                    todo, escape_xml(said[todo])
        }
        print "  </testsuite>"
    } else if (mode == "json") {
        printf "    {\"exercise\": \"%s\", \"points\": %d, \"of\": %d, \"todos\": [\n", exercise, points, all
        for (i = 1; i <= todos; i++) {
            todo = order[i]
            printf "      {\"todo\": \"%s\", \"title\": \"%s\", \"holds\": %s, \"points\": %d, \"of\": %d", \
                todo, escape_json(titles[todo]), holds[todo] ? "true" : "false", \
                holds[todo] ? worth[todo] : 0, worth[todo]
            printf ", \"seen\": \"%s\"}%s\n", escape_json(said[todo]), i < todos ? "," : ""
        }
        printf "    ]}"
    }
    exit broken
}

# Cut a starter out of a solution. The lines that the student is to write stand between
#
#     // BEGIN SOLUTION 5.1 set the quota before the command starts
#     // END SOLUTION
#
#   awk -f cut.awk FILE                 every region becomes a TODO that stops with its number
#   awk -f cut.awk -v todo=5.1 FILE     only this one does, the others keep their answers
#   awk -f cut.awk -v drop=5.1 FILE     this one is left out silently: what the gates try
#   awk -f cut.awk -v list=1 FILE       number and title of each region
#
# Regions are numbered N.1, N.2 ... as they come, N being the number in the file's name; they have a
# title, are closed, and not nested. Anything else is an error: status 1, and one line that says
# where. Write the output to a file of which nothing remains in that case.

function complain(text) {
    printf "%s:%d: %s\n", FILENAME, FNR, text | "cat >&2"
    close("cat >&2")
    bad = 1
    exit 1
}

BEGIN {
    title = ""
    regions = 0
}

FNR == 1 {
    number = FILENAME
    sub(/.*\//, "", number)
    if (number !~ /^[0-9][0-9]_/)
        complain("the name of a solution begins with its number, as in 05_cgroup_cpu.c")
    number = substr(number, 1, 2) + 0
}

# A marker that is not written exactly so would leave its answer in the starter.
/BEGIN|END/ && /SOLUTION/ && !/^ *\/\/ BEGIN SOLUTION [0-9]+\.[0-9]+ [^ ].*$/ && !/^ *\/\/ END SOLUTION$/ {
    complain("not a marker: write '// BEGIN SOLUTION N.M title' or '// END SOLUTION'")
}

/\/\/ BEGIN SOLUTION / {
    if (title != "")
        complain("region " name " is not closed, and another one begins in it")
    indent = $0
    sub(/\/\/.*/, "", indent)
    name = $4
    title = $0
    sub(/.*BEGIN SOLUTION [0-9]+\.[0-9]+ /, "", title)
    regions++
    begun = FNR
    if (name != number "." regions)
        complain("region " name " where " number "." regions " is expected")
    empty = 1
    if (list)
        print name, title
    else if (drop == "" && (todo == "" || todo == name)) {
        print indent "// TODO " name ": " title
        print indent "lab_todo(\"" name "\");"
    }
    next
}

/\/\/ END SOLUTION/ {
    if (title == "")
        complain("a region ends that has not begun")
    if (empty)
        complain("region " name " has no lines")
    title = ""
    next
}

title != "" && !/^ *$/ { empty = 0 }
list { next }

title == "" || (drop != "" && drop != name) || (todo != "" && todo != name) { print }

END {
    if (bad)
        exit 1
    if (title != "") {
        FNR = begun
        complain("region " name " is not closed")
    }
    if (regions == 0)
        complain("no region")
}

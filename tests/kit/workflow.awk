# The list of points as a workflow for GitHub Classroom: one step and one test for each TODO. All
# are tried once, by make grade; a step then asks for its own result.
BEGIN {
    print "# Made from tests/kit/points by `make handout`; change that list, not this file."
    print "name: Autograding Tests"
    print "\"on\": [push, workflow_dispatch, repository_dispatch]"
    print "permissions:"
    print "  checks: write"
    print "  actions: read"
    print "  contents: read"
    print "jobs:"
    print "  run-autograding-tests:"
    print "    runs-on: ubuntu-latest"
    print "    if: github.actor != 'github-classroom[bot]'"
    print "    steps:"
    print "      - name: Checkout code"
    print "        uses: actions/checkout@v4"
    print "      - name: Install what the labs need"
    print "        run: tests/packages.sh install build run test grade exercise-07 exercise-09"
    print "      - name: Let ordinary users have user namespaces, which Ubuntu restricts"
    print "        run: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 || true"
    print "      - name: Build and try all exercises"
    print "        run: make grade"
}

/^#/ || NF == 0 { next }

{
    title = $0
    sub(/^[^ ]+ +[^ ]+ +/, "", title)
    gsub(/'/, "''", title)
    id = "todo-" $1
    sub(/\./, "-", id)
    ids[++count] = id
    print "      - name: 'TODO " $1 " " title "'"
    print "        id: " id
    print "        if: always()"
    print "        uses: classroom-resources/autograding-command-grader@v1"
    print "        with:"
    print "          test-name: 'TODO " $1 " " title "'"
    print "          command: tests/kit/grade.sh holds " $1
    print "          timeout: 1"
    print "          max-score: " $2
}

END {
    print "      - name: Autograding Reporter"
    print "        if: always()"
    print "        uses: classroom-resources/autograding-grading-reporter@v1"
    print "        env:"
    runners = ""
    for (i = 1; i <= count; i++) {
        print "          " toupper(ids[i]) "_RESULTS: \"${{steps." ids[i] ".outputs.result}}\""
        runners = runners (i > 1 ? "," : "") ids[i]
    }
    print "        with:"
    print "          runners: " runners
}

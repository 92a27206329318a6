# The results of all exercises in the forms that others read.
#
#   jq -n -R -f grade.jq lines            report.awk's lines as the object that grade.json has
#   jq -r --arg form FORM -f grade.jq grade.json
#       FORM is junit, autolab, classroom, csv (--arg name STUDENT: a row) or heading (its first row)

def todo:
    split("\t") | {exercise: .[0], todo: .[1], title: .[5], holds: (.[2] == "ok"), points: (.[3] | tonumber),
        of: (.[4] | tonumber), seen: (.[6] | gsub("\u0001"; "\n"))};

def sum(field): map(field) | add // 0;

def grade:
    [inputs | todo] | {points: sum(.points), of: sum(.of), exercises: (group_by(.exercise) | map(
        {exercise: .[0].exercise, points: sum(.points), of: sum(.of), todos: map(del(.exercise))}))};

def todos: [.exercises[].todos[]];

# @html escapes what XML wants to have escaped.
def junit:
    "<testsuites name=\"container-labs\">",
    (.exercises[] | .exercise as $exercise |
        "  <testsuite name=\"exercise \(.exercise)\" tests=\"\(.todos | length)\" failures=\"\(.todos | map(select(.holds | not)) | length)\">",
        (.todos[] | "    <testcase classname=\"exercise.\($exercise)\" name=\"\("\(.todo) \(.title)" | @html)\"" +
            if .holds then "/>" else ">\n      <failure message=\"TODO \(.todo) does not hold\">\(.seen | @html)</failure>\n    </testcase>" end),
        "  </testsuite>"),
    "</testsuites>";

# The last line that an autograder of Autolab prints: a problem for each exercise.
def autolab: {scores: (.exercises | map({key: "exercise \(.exercise)", value: .points}) | from_entries)} | tojson;

# What a runner of GitHub Classroom hands to autograding-grading-reporter.
def classroom:
    {version: 1, status: (if .points == .of then "pass" else "fail" end), max_score: .of, tests: (todos | map(
        {name: "TODO \(.todo) \(.title)", status: (if .holds then "pass" else "fail" end), score: .points,
         message: .seen, test_code: "make check-\(.todo | split(".")[0] | if length == 1 then "0" + . else . end)",
         filename: "", line_no: 0, execution_time: "0s"}))};

def heading: (["student", "points", "of"] + (todos | map(.todo)) + ["remark"]) | @csv;
def row: ([$ARGS.named.name, .points, .of] + (todos | map(.points)) + [$ARGS.named.remark // ""]) | @csv;

$ARGS.named.form as $form |
if $form == null then grade
elif $form == "junit" then junit
elif $form == "autolab" then autolab
elif $form == "classroom" then classroom
elif $form == "heading" then heading
elif $form == "csv" then row
else error("no such form: \($form)") end

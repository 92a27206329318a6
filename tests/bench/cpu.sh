#!/usr/bin/env bash
# How exactly labs 05 and 06 meet what they announce: ten runs of each experiment (RUNS=N for another
# number). Target, measured value and error of each run, then the median and the worst error.
#
# It is a measurement, not a test: it wants an idle machine. A run in which others had the CPUs is marked
# "busy" and does not count; the status is 1 if one of those that count is off by more than the bound.
set -euo pipefail
labs=${LABS:-$(cd "$(dirname "$0")/../.." && pwd)/labs}
runs=${RUNS:-10}
rows=$(mktemp)
trap 'rm -f "$rows"' EXIT

# Lines "name target measured bound busy|idle". Lab 05: percent of a CPU under the two quotas.
quotas() {
    "$labs/05_cgroup_cpu" | awk '
        / cpu\.(cfs_quota_us|max) = / { quota = $3 }
        /^    busy = / { usage = $3 + 0 }
        /^    held back by = / {
            print "quota-" quota / 1000 "%", quota / 1000, usage, 1, (/= the limit$/ ? "idle" : "busy") }'
}

# Lab 06: what part of it all A has, where A and B compete, in percent.
shares() {
    "$labs/06_cpu_shares" | awk '
        /^    group / { table++; next }
        table == 1 && $1 == "A" && NF == 5 { predicted = $4; measured = $5 }
        table == 1 && $1 == "B" && NF == 5 {
            predicted_all = predicted + $4; measured_all = measured + $5 }
        /The machine is busy/ && table == 1 { busy = 1 }
        END { print "A-of-A+B", 100 * predicted / predicted_all, 100 * measured / measured_all, 2,
                    (busy ? "busy" : "idle") }'
}

printf '%-12s %9s %9s %8s\n' what target measured error
for ((run = 1; run <= runs; run++)); do
    quotas
    shares
done | while read -r name target measured bound machine; do
    error=$(awk -v t="$target" -v m="$measured" 'BEGIN { printf "%.2f", 100 * (m - t) / t }')
    echo "$name $error $bound $machine" >>"$rows"
    printf '%-12s %8.2f%% %8.2f%% %7.2f%%%s\n' "$name" "$target" "$measured" "$error" \
        "$([ "$machine" = idle ] || echo '  busy: does not count')"
done

echo
awk '
    { bound[$1] = $3; if ($4 == "idle") { n = ++count[$1]; size = $2 < 0 ? -$2 : $2; errors[$1, n] = size } else { busy[$1]++ } }
    END {
        for (name in bound) {
            n = count[name] + 0
            for (i = 1; i <= n; i++)
                for (j = i + 1; j <= n; j++)
                    if (errors[name, j] < errors[name, i]) {
                        swap = errors[name, i]; errors[name, i] = errors[name, j]; errors[name, j] = swap
                    }
            if (n == 0) { printf "%-12s the machine was never idle\n", name; continue }
            middle = n % 2 ? errors[name, (n + 1) / 2] : (errors[name, n / 2] + errors[name, n / 2 + 1]) / 2
            held = errors[name, n] <= bound[name]
            if (!held) missed = 1
            printf "%-12s error: median %.2f%%, worst %.2f%% of %d runs (%d busy); within %d%%: %s\n", name, middle,
                errors[name, n], n, busy[name], bound[name], held ? "yes" : "NO"
        }
        exit missed
    }' "$rows"

/* Fuzz what reads cpu.stat, cpu.max, memory.events, single numbers and /proc/stat. */
/* The parsers are static. */
#include "../../common/cgroup_files.c"
#include "../../common/measure.c"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const bool wanted[4] = {true, false, true, true};
    struct lab_cpu_sample sample = {0};
    long long number, quota, period;
    char *text = string_of(data, size);

    parse_stat(text, 1, &sample);
    parse_stat(text, 2, &sample);
    parse_idle(text, wanted, 4);
    lab_cgroup_parse_number(text, NULL, &number);
    lab_cgroup_parse_number(text, "oom_kill", &number);
    if (parse_cpu_max(text, &quota, &period) && period <= 0)
        abort();
    if (lab_parse_number(text, -5, 100, &number) && (number < -5 || number > 100))
        abort();
    if (lab_parse_decimal(text, 1000, &number) && (number < 0 || number > 1000000000))
        abort();
    free(text);
    return 0;
}

/* Fuzz the values of the options of lab 09, a line each: the letter of the option, and what it is
 * given. */
#include "../../labs/container/report.h"
#include "fuzz.h"

#undef give_up
#define give_up(...) REFUSE(__VA_ARGS__)
#include "../../labs/container/option_values.c"

static void take(struct specification *spec, char *line)
{
    const size_t count = sizeof(KNOWN_OPTIONS) / sizeof(*KNOWN_OPTIONS) - 1;
    const struct known_option *option = &KNOWN_OPTIONS[(unsigned char)*line % count];
    if (option->take)
        option->take(spec, line + 1);
}

static bool is_within(long long number, long long least, long long most)
{
    return number == 0 || number == UNLIMITED || (number >= least && number <= most);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct specification spec;
    char *volatile text = string_of(data, size);
    char *volatile rest = text;

    memset(&spec, 0, sizeof(spec));
    while (rest) {
        char *next = rest, *line = strsep(&next, "\n");
        rest = next;
        if (*line && setjmp(refused) == 0)
            take(&spec, line);
    }
    if (spec.environment_count > MAXIMUM_ITEMS || spec.tmpfs_count > MAXIMUM_ITEMS ||
        spec.port_count > MAXIMUM_ITEMS || spec.volume_count > MAXIMUM_VOLUMES ||
        !is_within(spec.memory, 1 << 20, INT64_MAX) || !is_within(spec.pids, 1, 4194304) ||
        !is_within(spec.cpu_quota, CPU_PERIOD / 100, INT64_MAX) || !is_within(spec.prefix, 8, 30) ||
        memchr(spec.name, '\0', sizeof(spec.name)) == NULL || strchr(spec.name, '/'))
        abort();
    for (int i = 0; i < spec.volume_count; i++)
        if (*spec.volumes[i].target != '/' || strchr(spec.volumes[i].target, ':'))
            abort();
    free(text);
    return 0;
}

/* A specification lives as long as the runtime. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return 1;
}

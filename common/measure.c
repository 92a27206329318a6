#include "measure.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/param.h>
#include <sys/sendfile.h>

#include "error.h"
#include "file.h"
#include "number.h"
#include "page.h"
#include "process.h"

enum { SLICE = 100000, SECOND = 1000000, POINTS = 1000, EVENTS = 32, EVENT_SIZE = 64 };

/* What the picture is made of. */
static struct {
    long long beginning;
    const char *target; /* what targets are called */
    char names[LAB_MEASURED][32];
    struct {
        int name;
        double at, percent, target;
    } points[POINTS];
    struct {
        double at;
        bool note; /* what the machine did meanwhile, at the bottom of the picture */
        char text[EVENT_SIZE];
    } events[EVENTS];
    int name_count, point_count, event_count;
} record;

/* Sleep until the MOMENT, as lab_now() counts it; signals do not shorten it. */
static void sleep_until(long long moment)
{
    for (long long left; (left = moment - lab_now()) > 0;)
        usleep((useconds_t)left);
}

static double seconds_now(void)
{
    if (!record.beginning)
        record.beginning = lab_now();
    return (double)(lab_now() - record.beginning) / SECOND;
}

/* The text, EVENT_SIZE bytes, of one more event at the second AT; NULL where there are too many. */
static char *new_event(double at, bool note)
{
    if (record.event_count == EVENTS)
        return NULL;
    record.events[record.event_count].at = at;
    record.events[record.event_count].note = note;
    return record.events[record.event_count++].text;
}

/* A bar: PERCENT of MAXIMUM, with a mark at TARGET (0: none): "[=====    |    ]". */
static const char *bar_of(double percent, double target, double maximum)
{
    enum { COLUMNS = 40 };
    static char bar[COLUMNS + 3];
    int used = (int)(percent / maximum * COLUMNS + 0.5);
    int mark = (int)(target / maximum * COLUMNS + 0.5);

    bar[0] = '[';
    for (int i = 1; i <= COLUMNS; i++)
        bar[i] = (char)(i == mark ? '|' : i <= used ? '=' : ' ');
    bar[COLUMNS + 1] = ']';
    return bar;
}

static void take(const struct lab_load *load, struct lab_cpu_sample *sample)
{
    if (lab_cpu_sample(load->group, load->pid, sample) == 0)
        return;
    if (load->group)
        lab_cgroup_die();
    lab_die("read the CPU time of process %d", (int)load->pid);
}

static int name_number(const char *name)
{
    for (int i = 0; i < record.name_count; i++)
        if (strcmp(record.names[i], name) == 0)
            return i;
    if (record.name_count == LAB_MEASURED)
        return LAB_MEASURED - 1;
    snprintf(record.names[record.name_count], sizeof(record.names[0]), "%s", name);
    return record.name_count++;
}

static void remember(const struct lab_load *load, double percent)
{
    if (record.point_count == POINTS)
        return;
    int i = record.point_count++;
    record.points[i].name = name_number(load->name);
    record.points[i].at = seconds_now();
    record.points[i].percent = percent;
    record.points[i].target = load->target;
}

static void show(const struct lab_load *load, double percent)
{
    double maximum = 100.0 * lab_cpu_count() + 20;

    printf("    %-6s%s %6.1f%%%s\n", load->name, bar_of(percent, load->target, maximum), percent,
           load->target > 0 ? "  (| is the target)" : "");
}

/* Measure LOADS at the same time for WINDOW microseconds, with a bar for each on a terminal. On a
 * busy machine a short time may be too short for each to have its turn: then up to a second. */
static void measure(struct lab_load *const loads[], long long window)
{
    struct lab_cpu_sample first[LAB_MEASURED] = {0}, last[LAB_MEASURED], now;
    const char *terminal = getenv("TERM");
    bool live = isatty(STDOUT_FILENO) && terminal && strcmp(terminal, "dumb") != 0, waits = false;
    int count = 0;

    for (; loads[count]; count++)
        take(loads[count], &first[count]);
    memcpy(last, first, sizeof(last));
    for (long long passed = SLICE; passed <= (waits ? SECOND : window); passed += SLICE) {
        sleep_until(first[0].at + passed);
        waits = false;
        if (live && passed > SLICE)
            printf("\033[%dA", count); /* back to the first bar */
        for (int i = 0; i < count; i++) {
            take(loads[i], &now);
            double percent = lab_cpu_difference(&last[i], &now).percent;
            remember(loads[i], percent);
            if (live)
                show(loads[i], percent);
            last[i] = now;
            waits |= window < SECOND && now.usage == first[i].usage;
        }
    }
    for (int i = 0; i < count; i++) {
        struct lab_cpu_sample used = lab_cpu_difference(&first[i], &last[i]);
        loads[i]->percent = used.percent;
        loads[i]->used = used.usage;
        loads[i]->passed = used.at;
    }
}

/* Note what the other processes of the machine used, in percent of a CPU, where it is much. */
static void note_others(double at, double percent)
{
    enum { MUCH = 20 };
    char *text = percent < MUCH ? NULL : new_event(at, true);

    if (text)
        snprintf(text, EVENT_SIZE, "others %.0f%%", percent);
}

/* The time in which nothing ran, idle and iowait, of a text in the form of /proc/stat: in ticks,
 * summed over the CPUs in the array IS_WANTED of COUNT. */
static long long parse_idle(const char *text, const bool *is_wanted, int count)
{
    unsigned long long sum = 0;

    for (const char *line = text; line; line = lab_next_line(line)) {
        int cpu;
        unsigned long long idle, iowait;
        /* cpuN user nice system idle iowait irq softirq steal guest guest_nice */
        if (sscanf(line, "cpu%d %*u %*u %*u %llu %llu", &cpu, &idle, &iowait) == 3 && cpu >= 0 &&
            cpu < count && is_wanted[cpu])
            sum += idle + iowait;
    }
    return (long long)sum;
}

/* The time (microseconds, summed over the CPUs that this process may use) in which nothing ran:
 * idle and iowait of /proc/stat. */
static long long idle_time(void)
{
    enum { SIZE = 1 << 20 };
    bool is_wanted[CPU_SETSIZE];
    cpu_set_t cpus;
    lab_string text = malloc(SIZE);

    if (!text || lab_read_file("/proc/stat", text, SIZE) == -1)
        lab_die("read /proc/stat");
    bool all = sched_getaffinity(0, sizeof(cpus), &cpus) == -1; /* more CPUs than fit in a set */
    if (all && errno != EINVAL)
        lab_die("sched_getaffinity");
    for (int i = 0; i < CPU_SETSIZE; i++)
        is_wanted[i] = all || CPU_ISSET(i, &cpus);
    return parse_idle(text, is_wanted, CPU_SETSIZE) * 1000000 / sysconf(_SC_CLK_TCK);
}

/* Microseconds to measure for: LAB_MEASURE of the environment is percent of the usual time. */
static long long window_of(int milliseconds)
{
    const char *text = getenv("LAB_MEASURE");
    long long percent = text ? lab_number_option("LAB_MEASURE", text, 1, 10000) : 100;

    return MAX(milliseconds * 10LL * percent, SLICE);
}

double lab_use(struct lab_load *const loads[], int milliseconds)
{
    long long idle = idle_time(), begin = lab_now();
    double at = seconds_now(), used = 0;

    measure(loads, window_of(milliseconds));
    for (int i = 0; loads[i]; i++)
        used += loads[i]->percent;
    long long idle_now = idle_time();
    double all_idle = 100.0 * (double)(idle_now - idle) / (double)(lab_now() - begin);
    note_others(at, 100.0 * lab_cpu_count() - all_idle - used);
    return all_idle / lab_cpu_count();
}

pid_t lab_measure_watch(const struct lab_cgroup *group, double target)
{
    const struct lab_load watched = {.group = group};
    struct lab_cpu_sample last, now;
    pid_t watcher = lab_fork();

    if (watcher == -1)
        lab_die("fork");
    if (watcher > 0)
        return watcher;
    take(&watched, &last);
    for (int second = 1;; second++, last = now) {
        sleep_until(last.at + SECOND);
        take(&watched, &now);
        double percent = lab_cpu_difference(&last, &now).percent;
        fprintf(stderr, "%4d s %s %.1f%%\n", second,
                bar_of(percent, target, target > 100 ? target * 1.25 : 100), percent);
    }
}

void lab_measure_event(const char *event, ...)
{
    va_list arguments;
    char *text = new_event(seconds_now(), false);

    if (!text)
        return;
    va_start(arguments, event);
    vsnprintf(text, EVENT_SIZE, event, arguments);
    va_end(arguments);
}

/*
 * The picture, by gnuplot(1).
 */

/* The file of --plot. Absolute, because an experiment has a working directory of its own. */
static char picture[PATH_MAX];

static void take_file(const char *file)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(file, '/');
    const char *name = slash ? slash + 1 : file;
    int length = slash ? (int)(slash - file) + 1 : 0;

    snprintf(picture, sizeof(picture), "%.*s", length, length ? file : "");
    if (!realpath(length ? picture : ".", directory) || access(directory, W_OK) == -1 || !*name)
        lab_exit(LAB_EXIT_USAGE, "--plot '%s': %s", file,
                 *name ? lab_strerror(errno) : "no name of a file");
    lab_need_commands("gnuplot:gnuplot-nox");
    if (snprintf(picture, sizeof(picture), "%s/%s", directory, name) >= (int)sizeof(picture))
        lab_exit(LAB_EXIT_USAGE, "--plot '%s': the path is too long", file);
    lab_fd present = open(picture, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
    if (present == -1 && errno != ENOENT)
        lab_exit(LAB_EXIT_USAGE, "--plot '%s': %s", file, lab_strerror(errno));
}

void lab_plot_option(int *argc, char *argv[], const char *target)
{
    record.target = target;
    for (int i = 1; i < *argc; i++) {
        if (lab_is_experiment_option(argv[i]))
            continue;
        bool joined = strncmp(argv[i], "--plot=", 7) == 0;
        if (!joined && strcmp(argv[i], "--plot") != 0) {
            if (!*picture)
                return;
            lab_warn("--plot draws the experiment, and '%s' asks for the tool", argv[i]);
            lab_try_help(LAB_EXIT_USAGE);
        }
        if (!joined && i + 1 == *argc) {
            lab_warn("option '--plot' requires an argument");
            lab_try_help(LAB_EXIT_USAGE);
        }
        take_file(joined ? argv[i] + 7 : argv[i + 1]);
        int words = joined ? 1 : 2;
        memmove(argv + i, argv + i + words, (size_t)(*argc - i - words + 1) * sizeof(*argv));
        *argc -= words;
        i--;
    }
}

/* Points of one name, a gap wherever it was not measured for a while. */
static void draw_points(FILE *script, int name)
{
    double before = -1;

    fprintf(script, "$usage%d << END\n", name);
    for (int i = 0; i < record.point_count; i++) {
        if (record.points[i].name != name)
            continue;
        if (before >= 0 && record.points[i].at - before > 0.25)
            fputs("\n", script);
        before = record.points[i].at;
        fprintf(script, "%.2f %.1f %.1f\n", before, record.points[i].percent,
                record.points[i].target);
    }
    fputs("END\n", script);
}

/* The end of the upward axis: half a CPU above all points, for the labels. */
static int height(void)
{
    double most = 0;

    for (int i = 0; i < record.point_count; i++)
        most = MAX(most, MAX(record.points[i].percent, record.points[i].target));
    return (int)(most / 50 + 1.5) * 50;
}

static void draw_events(FILE *script)
{
    for (int i = 0; i < record.event_count; i++)
        if (record.events[i].note)
            fprintf(script,
                    "set label \"%s\" at %.2f, graph 0.04 left font ',9' tc rgb '#888888'\n",
                    record.events[i].text, record.events[i].at);
        else
            fprintf(script,
                    "set arrow from %.2f, graph 0 to %.2f, graph 0.86 nohead dt 3 lc '#888888'\n"
                    "set label \"%s\" at %.2f, graph 0.92 left font ',10'\n",
                    record.events[i].at, record.events[i].at, record.events[i].text,
                    record.events[i].at);
}

/* The target is a wide pale line, so that it is seen below the usage that meets it: in red where
 * there is one, else in the colour of its group. */
static void draw(FILE *script)
{
    static const char *const colours[LAB_MEASURED] = {"1f6fb4", "d9730d", "2e8b57", "8a4fbf",
                                                      "777777", "b03060", "008080", "808000"};
    const bool single = record.name_count == 1;

    fprintf(script,
            "set xlabel 'seconds (gaps: between two measurements)'\n"
            "set ylabel 'CPU used, in %% of one CPU'\n"
            "set xrange [0:]\nset yrange [0:%d]\nset key outside right\n",
            height());
    draw_events(script);
    for (int name = 0; name < record.name_count; name++)
        draw_points(script, name);
    for (int name = 0; name < record.name_count; name++)
        fprintf(script,
                "%s$usage%d using 1:($3 > 0 ? $3 : NaN) with lines lw 9 lc rgb '#b0%s' "
                "title '%s%s%s', $usage%d using 1:2 with lines lw 2 lc rgb '#%s' title '%s'",
                name ? ", " : "plot ", name, single ? "c00000" : colours[name], record.target,
                single ? "" : " for ", single ? "" : record.names[name], name, colours[name],
                record.names[name]);
    fputs("\n", script);
}

/* What is in the file already stays until the whole picture is there. */
static void keep_picture(int drawn)
{
    off_t sent = 0, size = lseek(drawn, 0, SEEK_END);
    lab_fd file = open(picture, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    if (size == -1 || file == -1)
        lab_die("open %s", picture);
    /* Not every file, nor every file system, can have its space before it is written. */
    if (fallocate(file, FALLOC_FL_KEEP_SIZE, 0, size) == -1 &&
        (errno == ENOSPC || errno == EDQUOT || errno == EIO))
        lab_die("write %s", picture);
    while (sent < size)
        if (sendfile(file, drawn, &sent, (size_t)(size - sent)) <= 0)
            lab_die("write %s", picture);
    if (ftruncate(file, size) == -1 && errno != EINVAL) /* a pipe or a device */
        lab_die("write %s", picture);
}

void lab_draw_picture(void)
{
    if (!*picture)
        return;
    lab_fd input = memfd_create("script", MFD_CLOEXEC);
    const int written = input == -1 ? -1 : dup(input);
    FILE *script = written == -1 ? NULL : fdopen(written, "w");
    if (!script)
        lab_die("make a script for gnuplot");
    fputs("set terminal svg size 720,360 font 'sans-serif,13' background '#ffffff'\n"
          "set border 3\nset tics nomirror out\nset grid y linecolor '#dddddd'\n",
          script);
    draw(script);
    const bool lost = ferror(script);
    if (fclose(script) == EOF || lost || lseek(input, 0, SEEK_SET) == -1)
        lab_die("write a script for gnuplot");
    lab_fd drawn = memfd_create("picture", MFD_CLOEXEC);
    pid_t child = drawn == -1 ? -1 : lab_fork();
    if (child == -1)
        lab_die("start gnuplot");
    if (child == 0) {
        if (dup2(input, STDIN_FILENO) == -1 || dup2(drawn, STDOUT_FILENO) == -1)
            lab_die("dup2");
        lab_exec((char *[]){"gnuplot", NULL});
    }
    int status = lab_must_wait(child);
    if (status > 128)
        lab_exit(EXIT_FAILURE, "gnuplot was ended by %s", lab_signal_name(status - 128));
    if (status != 0)
        lab_exit(EXIT_FAILURE, "gnuplot ended with status %d, see its words above", status);
    keep_picture(drawn);
    printf("\nThe picture is in %s\n", picture);
}

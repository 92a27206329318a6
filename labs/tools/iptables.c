#include "iptables.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "change.h"
#include "command.h"
#include "error.h"
#include "host.h"
#include "nft.h"

static struct {
    char command[64];
    bool nf_tables;
} chosen;

static const char NFT_SAVE[] = "iptables-nft-save", LEGACY_SAVE[] = "iptables-legacy-save";

/* Whether `COMMAND`, an iptables-save, prints a rule or a policy that drops. Where the kernel does
 * not have its kind, it would fail. */
static bool has_rules(const char *command)
{
    LAB_OUTPUT saved = {0};
    const int nf_tables = command == LEGACY_SAVE ? 0 : lab_nft_is_there();

    if (nf_tables == -1)
        lab_die("look for nf_tables");
    const int legacy = nf_tables == 0 ? lab_host_has_legacy_tables() : 0;
    if (legacy == -1)
        lab_die("look for tables of iptables-legacy");
    if (nf_tables == 0 && (command == NFT_SAVE || !legacy))
        return false;
    if (!lab_has_command(command))
        return false;
    lab_must_command(&saved, "%s", command);
    return strstr(saved.text, "\n-A ") || strstr(saved.text, " DROP [");
}

int lab_iptables_saves(const char *saves[2])
{
    const bool neither =
        !lab_find_command(NFT_SAVE, NULL, 0) && !lab_find_command(LEGACY_SAVE, NULL, 0);
    int count = 0;

    if (has_rules(NFT_SAVE))
        saves[count++] = NFT_SAVE;
    if (has_rules(LEGACY_SAVE))
        saves[count++] = LEGACY_SAVE;
    if (neither && has_rules("iptables-save"))
        saves[count++] = "iptables-save";
    return count;
}

int lab_iptables_needs_of_others(void)
{
    LAB_OUTPUT saved = {0};
    int count = lab_nft_needs_of_others();

    const int legacy = count == -1 ? -1 : lab_host_has_legacy_tables();
    if (legacy == -1)
        return -1;
    if (!legacy)
        return count;
    if (lab_command(&saved, "%s", lab_host_legacy_save()) != 0) {
        lab_warn("%s: %.*s (exit status %d)", lab_host_legacy_save(),
                 (int)strcspn(saved.text, "\n"), saved.text, saved.status);
        errno = EIO;
        return -1;
    }
    for (char *line = strtok(saved.text, "\n"); line; line = strtok(NULL, "\n"))
        count += lab_host_is_need_of_others(line);
    return count;
}

void lab_iptables_warn_of_other(void)
{
    const char *other = chosen.nf_tables ? LEGACY_SAVE : NFT_SAVE;

    if (has_rules(other))
        lab_warn("%.*s has rules, too: packets must pass both (%s)",
                 (int)(strlen(other) - strlen("-save")), other, other);
}

void lab_iptables_choose(void)
{
    const char *wanted = getenv("IPTABLES");
    LAB_OUTPUT version = {0};

    /* It becomes a word of the lines that are typed, and noted for `down`. */
    if (wanted && (strpbrk(wanted, " \t\n:'\"\\") || strlen(wanted) >= sizeof(chosen.command)))
        lab_exit(LAB_EXIT_USAGE, "IPTABLES is '%s', and has to be the name of a program", wanted);
    snprintf(chosen.command, sizeof(chosen.command), "%s", wanted && *wanted ? wanted : "iptables");
    lab_need_commands("%s:iptables", chosen.command);
    lab_must_command(&version, "%s -V", chosen.command);
    chosen.nf_tables = strstr(version.text, "nf_tables") != NULL;
}

const char *lab_iptables(void)
{
    return chosen.command;
}

const char *lab_iptables_backend(void)
{
    return chosen.nf_tables ? "nf_tables" : "legacy";
}

bool lab_iptables_has_chain(const char *table, const char *chain)
{
    char line[64];
    LAB_OUTPUT saved = {0};

    snprintf(line, sizeof(line), "\n:%s ", chain);
    lab_must_command(&saved, "%s-save -t %s", chosen.command, table);
    return strstr(saved.text, line);
}

/* iptables-nft makes the table, or CHAIN in it, unless it is there: then note it for `down`. */
static void note_if_missing(const char *table, const char *chain)
{
    int there = chosen.nf_tables ? lab_nft_exists(table, chain) : 1;

    if (there == -1)
        lab_die("look for %s %s in nf_tables", table, chain ? chain : "");
    if (there == 0 && chain)
        lab_undo("chain %s %s", table, chain);
    else if (there == 0)
        lab_undo("table %s", table);
}

void lab_iptables_add(const char *number, const char *table, const char *chain, char how,
                      const char *rule, ...)
{
    char text[512];
    va_list arguments;

    va_start(arguments, rule);
    vsnprintf(text, sizeof(text), rule, arguments);
    va_end(arguments);
    note_if_missing(table, NULL);
    note_if_missing(table, chain);
    /* -w: wait for another iptables that is at work, instead of failing. */
    lab_undo("rule %s -w -t %s -D %s %s -m comment --comment container-labs:%s", chosen.command,
             table, chain, text, number);
    lab_shell_run("%s -w -t %s -%c %s %s -m comment --comment container-labs:%s", chosen.command,
                  table, how, chain, text, number);
}

void lab_iptables_print(const char *number)
{
    char mark[64];
    const char *saves[2];
    int count = lab_iptables_saves(saves);

    snprintf(mark, sizeof(mark), "container-labs:%s", number);
    for (int i = 0; i < count; i++) {
        LAB_OUTPUT saved = {0};
        lab_must_command(&saved, "%s -c", saves[i]);
        if (!strstr(saved.text, mark))
            continue;
        printf("rules, with packets and bytes (%s):\n", saves[i]);
        for (char *line = strtok(saved.text, "\n"); line; line = strtok(NULL, "\n"))
            if (strstr(line, mark))
                printf("  %s\n", line);
    }
}

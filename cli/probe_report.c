/* SPDX-License-Identifier: MIT */
#include "probe_report.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "json.h"
#include "probe_cache.h"
#include "report.h"

static bool leg_at(const sluice_probe *probe, unsigned index, struct sluice_probe_leg *ret)
{
    ret->size = sizeof *ret;
    return sluice_probe_leg(probe, index, ret) == 0;
}

const char *probe_leg_name(const struct sluice_probe_leg *leg, char text[static LEG_NAME])
{
    snprintf(text, LEG_NAME, "%s -> %s %s%s%s", leg->from, leg->to, leg->call,
             *leg->variant ? " " : "", leg->variant);
    return text;
}

const char *probe_leg_verdict(const struct sluice_probe_leg *leg)
{
    return leg->error ? errno_name(leg->error) : sluice_verdict_name(leg->verdict);
}

/* "alias+cost: no effect" */
static void describe_witnesses(const struct sluice_probe_leg *leg, char *text, size_t size)
{
    size_t at = 0;

    text[0] = '\0';
    for (unsigned bit = 0; bit < 8 && at < size; bit++)
        if (leg->witnesses & (1u << bit))
            at += (size_t)snprintf(text + at, size - at, "%s%s", at ? "+" : "",
                                   sluice_witness_name((enum sluice_witness)(1u << bit)));
    if (*leg->note && at < size)
        snprintf(text + at, size - at, "%s%s", at ? ": " : "", leg->note);
}

/* ---- text ---- */

static bool same_ends(const struct sluice_probe_leg *a, const struct sluice_probe_leg *b)
{
    return strcmp(a->from, b->from) == 0 && strcmp(a->to, b->to) == 0 &&
           strcmp(a->call, b->call) == 0 && strcmp(a->place, b->place) == 0;
}

static void print_leg(const struct sluice_probe_leg *leg, const struct sluice_probe_leg *before,
                      FILE *out)
{
    char name[LEG_NAME], witnesses[128];

    if (*leg->variant && before && same_ends(leg, before))
        snprintf(name, sizeof name, "  %s%s", strncmp(leg->variant, "of ", 3) == 0 ? "" : "with ",
                 leg->variant);
    else
        snprintf(name, sizeof name, "%s -> %s%s%s", leg->from, leg->to, *leg->variant ? " " : "",
                 leg->variant);
    describe_witnesses(leg, witnesses, sizeof witnesses);
    fprintf(out, "%-34s  %-15s  %-10s  %s\n", name, leg->call, probe_leg_verdict(leg), witnesses);
}

/* The file system's name and options; what lies elsewhere has none. */
static const char *title_of(const struct sluice_probe_leg *leg)
{
    return strchr(leg->place, ' ') && strcmp(leg->from, "memfd") != 0 && leg->place[0] != 'l'
               ? leg->place
               : "memory, pipes and sockets";
}

static void print_legs(const sluice_probe *probe, FILE *out)
{
    struct sluice_probe_leg leg, before;
    char title[128] = "";

    fprintf(out, "%-34s  %-15s  %-10s  %s\n", "leg", "call", "verdict", "witness");
    for (unsigned i = 0; leg_at(probe, i, &leg); i++) {
        char now[128];
        const char *place = title_of(&leg);
        snprintf(now, sizeof now, "%.*s", (int)strcspn(place, ";"), place);
        if (strcmp(now, title) != 0)
            fprintf(out, "-- %.95s\n", now);
        snprintf(title, sizeof title, "%s", now);
        print_leg(&leg, i > 0 ? &before : NULL, out);
        before = leg;
    }
}

/* Where the bytes are copied though a call that can hand on references was made. */
static bool copies(const struct sluice_probe_leg *leg)
{
    static const char *const copying[] = {"read", "write", "recv", "send"};

    for (size_t i = 0; i < sizeof copying / sizeof *copying; i++)
        if (strcmp(leg->call, copying[i]) == 0)
            return false;
    return leg->verdict == SLUICE_VERDICT_COPIED && !*leg->variant;
}

static void print_copies(const sluice_probe *probe, FILE *out)
{
    enum { WIDTH = 96 };
    struct sluice_probe_leg leg;
    size_t at = 0;

    for (unsigned i = 0; leg_at(probe, i, &leg); i++) {
        char words[LEG_NAME];
        if (!copies(&leg))
            continue;
        const int length =
            snprintf(words, sizeof words, "%s -> %s (%s)", leg.from, leg.to, leg.call);
        if (at == 0)
            at = (size_t)fprintf(out, "\nnot zero-copy here: ") - 1;
        else if (at + (size_t)length > WIDTH)
            at = (size_t)fprintf(out, ",\n    ") - 2;
        else
            at += (size_t)fprintf(out, ", ");
        at += (size_t)fprintf(out, "%s", words);
    }
    if (at)
        fputc('\n', out);
}

static bool printed_before(const sluice_probe *probe, unsigned index, const char *group)
{
    struct sluice_fact fact = {.size = sizeof fact};

    for (unsigned i = 0; i < index && sluice_probe_fact(probe, i, &fact) == 0; i++)
        if (strcmp(fact.group, group) == 0)
            return true;
    return false;
}

/* Group by group, in the order in which they came first. */
static void print_facts(const sluice_probe *probe, FILE *out)
{
    struct sluice_fact first = {.size = sizeof first}, fact = {.size = sizeof fact};

    for (unsigned i = 0; sluice_probe_fact(probe, i, &first) == 0; i++) {
        if (printed_before(probe, i, first.group))
            continue;
        fprintf(out, "\n%s\n", first.group);
        for (unsigned k = i; sluice_probe_fact(probe, k, &fact) == 0; k++)
            if (strcmp(fact.group, first.group) == 0)
                fprintf(out, "  %-30s %s\n", fact.name, fact.text);
    }
}

void probe_text(const struct probe_report *report, FILE *out)
{
    unsigned passed, count;
    struct utsname kernel;

    uname(&kernel);
    sluice_probe_controls(report->probe, &passed, &count);
    fprintf(out, "%s %s %s, uid %u", kernel.sysname, kernel.release, kernel.machine,
            (unsigned)geteuid());
    if (report->seconds > 0)
        fprintf(out, "; controls %u/%u; %.1f s\n\n", passed, count, report->seconds);
    else
        fprintf(out, "; kept from before\n\n");
    print_legs(report->probe, out);
    print_copies(report->probe, out);
    print_facts(report->probe, out);
}

void probe_evidence(const struct probe_report *report, unsigned index, FILE *out)
{
    static const char *const says[] = {"no copy", "says nothing", "a copy"};
    struct sluice_evidence evidence = {.size = sizeof evidence};
    struct sluice_probe_leg leg;
    char name[LEG_NAME], age[32], witnesses[128];

    if (!leg_at(report->probe, index, &leg))
        return;
    describe_witnesses(&leg, witnesses, sizeof witnesses);
    fprintf(out, "leg       %s\n", probe_leg_name(&leg, name));
    if (*leg.place)
        fprintf(out, "place     %s\n", leg.place);
    fprintf(out, "verdict   %s%s%s\n", probe_leg_verdict(&leg), *witnesses ? "   by " : "",
            witnesses);
    fprintf(out, "measured  %s\n", probe_cache_age(leg.at, age));
    fprintf(out, "path      %s (%s)\n", leg.path, leg.observed ? "observed" : "expected");
    for (unsigned i = 0; sluice_probe_evidence(report->probe, index, i, &evidence) == 0; i++)
        fprintf(out, "%s%-14s %-13s %s\n", i ? "" : "\n", sluice_witness_name(evidence.witness),
                says[evidence.says + 1], evidence.text);
    if (leg.evidence == 0)
        fprintf(out, "\n%s\n", leg.error ? strerror(-leg.error) : "the evidence was not kept");
}

/* ---- JSON ---- */

#ifdef HAVE_JANSSON
static json_t *evidence_json(const sluice_probe *probe, unsigned leg)
{
    struct sluice_evidence evidence = {.size = sizeof evidence};
    json_t *list = json_array();

    for (unsigned i = 0; sluice_probe_evidence(probe, leg, i, &evidence) == 0; i++)
        json_array_append_new(list, json_pack("{ss si ss}", "witness",
                                              sluice_witness_name(evidence.witness), "says",
                                              evidence.says, "text", evidence.text));
    return list;
}

static json_t *witnesses_json(unsigned witnesses)
{
    json_t *list = json_array();

    for (unsigned bit = 0; bit < 8; bit++)
        if (witnesses & (1u << bit))
            json_array_append_new(
                list, json_string(sluice_witness_name((enum sluice_witness)(1u << bit))));
    return list;
}

static json_t *path_json(const char *path)
{
    json_t *list = json_array();

    while (*path) {
        const size_t length = strcspn(path, ",");
        json_array_append_new(list, json_stringn(path, length));
        path += length;
        path += strspn(path, ", ");
    }
    return list;
}

static json_t *leg_json(const sluice_probe *probe, unsigned index,
                        const struct sluice_probe_leg *leg)
{
    return json_pack(
        "{ss ss ss ss so ss sb so so so sb ss sI so}", "from", leg->from, "to", leg->to, "call",
        leg->call, "variant", leg->variant, "place", json_name(leg->place), "verdict",
        sluice_verdict_name(leg->verdict), "works", leg->error == 0, "error",
        leg->error ? json_string(errno_name(leg->error)) : json_null(), "witnesses",
        witnesses_json(leg->witnesses), "path", path_json(leg->path), "observed", leg->observed,
        "note", leg->note, "at", (json_int_t)leg->at, "evidence", evidence_json(probe, index));
}

static json_t *facts_json(const sluice_probe *probe)
{
    struct sluice_fact fact = {.size = sizeof fact};
    json_t *list = json_array();

    for (unsigned i = 0; sluice_probe_fact(probe, i, &fact) == 0; i++)
        json_array_append_new(
            list, json_pack("{so so so so so}", "group", json_name(fact.group), "name",
                            json_name(fact.name), "text", json_name(fact.text), "number",
                            fact.number >= 0 ? json_integer(fact.number) : json_null(), "error",
                            fact.error ? json_string(errno_name(fact.error)) : json_null()));
    return list;
}

void probe_json(const struct probe_report *report, FILE *out)
{
    struct sluice_probe_leg leg;
    unsigned passed, count;
    struct utsname kernel;
    json_t *legs = json_array();

    uname(&kernel);
    const int trusted = sluice_probe_controls(report->probe, &passed, &count);
    for (unsigned i = 0; leg_at(report->probe, i, &leg); i++)
        json_array_append_new(legs, leg_json(report->probe, i, &leg));
    json_print(json_pack("{si ss ss ss ss si sf s{si si sb} so so}", "version", 1, "schema",
                         "sluice-probe", "kernel", kernel.release, "build", kernel.version,
                         "machine", kernel.machine, "user", (int)geteuid(), "seconds",
                         report->seconds, "controls", "passed", (int)passed, "count", (int)count,
                         "trusted", trusted, "legs", legs, "facts", facts_json(report->probe)),
               JSON_INDENT(1), out);
}
#else
void probe_json(const struct probe_report *report, FILE *out)
{
    (void)report, (void)out; /* --json was refused */
}
#endif

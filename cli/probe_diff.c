/* SPDX-License-Identifier: MIT */
/* Two probes of different days, kernels or machines: what has changed, and for the worse. */
#include <errno.h>
#include <string.h>

#include "json.h"
#include "message.h"
#include "probe_report.h"

#ifdef HAVE_JANSSON
#include <stdbool.h>

/* A probe's output, or NULL after a message. */
static json_t *load(const char *path)
{
    json_error_t error;
    json_t *root = json_load_file(path, 0, &error);

    if (!root) {
        message("cannot read '%s' as JSON: %s", path, error.text);
        return NULL;
    }
    const char *schema = json_string_value(json_object_get(root, "schema"));
    if (schema && strcmp(schema, "sluice-probe") == 0 &&
        json_integer_value(json_object_get(root, "version")) == 1 &&
        json_is_array(json_object_get(root, "legs")))
        return root;
    message("'%s' is no output of 'sluice probe --json', or of another version", path);
    json_decref(root);
    return NULL;
}

static const char *text_of(const json_t *leg, const char *key)
{
    const char *text = json_string_value(json_object_get(leg, key));
    return text ? text : "";
}

static bool same_leg(const json_t *a, const json_t *b)
{
    static const char *const keys[] = {"from", "to", "call", "variant", "place"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(text_of(a, keys[i]), text_of(b, keys[i])) != 0)
            return false;
    return true;
}

static const json_t *find(const json_t *legs, const json_t *wanted)
{
    for (size_t i = 0; i < json_array_size(legs); i++)
        if (same_leg(json_array_get(legs, i), wanted))
            return json_array_get(legs, i);
    return NULL;
}

/* The verdict, or the errno of a leg that does not work. */
static const char *outcome(const json_t *leg)
{
    const char *error = text_of(leg, "error");
    return *error ? error : text_of(leg, "verdict");
}

static bool is_free(const char *verdict)
{
    return strcmp(verdict, "reference") == 0 || strcmp(verdict, "offload") == 0 ||
           strcmp(verdict, "dma") == 0;
}

static void print_change(const json_t *leg, const char *before, const char *after, FILE *out)
{
    char name[LEG_NAME];

    snprintf(name, sizeof name, "%s -> %s %s%s%s", text_of(leg, "from"), text_of(leg, "to"),
             text_of(leg, "call"), *text_of(leg, "variant") ? " " : "", text_of(leg, "variant"));
    fprintf(out, "%-48s  %-11s  %-11s%s\n", name, before, after,
            is_free(before) && strcmp(after, "copied") == 0 ? "  copies now" : "");
}

/* Returns whether a leg that was free of copies copies now. */
static bool compare(const json_t *before, const json_t *after, FILE *out)
{
    const json_t *old_legs = json_object_get(before, "legs");
    const json_t *new_legs = json_object_get(after, "legs");
    bool worse = false;
    unsigned changes = 0;

    for (size_t i = 0; i < json_array_size(new_legs); i++) {
        const json_t *leg = json_array_get(new_legs, i), *old = find(old_legs, leg);
        const char *was = old ? outcome(old) : "-", *is = outcome(leg);
        if (strcmp(was, is) == 0 &&
            json_equal(json_object_get(old, "path"), json_object_get(leg, "path")))
            continue;
        print_change(leg, was, is, out);
        worse = worse || (is_free(was) && strcmp(is, "copied") == 0);
        changes++;
    }
    for (size_t i = 0; i < json_array_size(old_legs); i++) {
        const json_t *leg = json_array_get(old_legs, i);
        if (find(new_legs, leg))
            continue;
        print_change(leg, outcome(leg), "-", out);
        changes++;
    }
    if (!changes)
        fprintf(out, "no difference in %zu legs\n", json_array_size(new_legs));
    return worse;
}

int probe_diff(const char *before, const char *after, FILE *out)
{
    json_t *old = load(before), *new = old ? load(after) : NULL;
    int status = STATUS_USAGE;

    if (new)
        status = compare(old, new, out) ? STATUS_REQUIRED : STATUS_DONE;
    json_decref(old);
    json_decref(new);
    return status;
}
#else
int probe_diff(const char *before, const char *after, FILE *out)
{
    (void)before, (void)after, (void)out;
    return STATUS_USAGE; /* --diff was refused */
}
#endif

/* SPDX-License-Identifier: MIT */
#include "shell_word.h"

#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

static const char special[] =
    " !\"$&'()*:;<=>?[\\^`|"; /* anywhere; the colon, since messages have it */
static const char special_first[] = "#~";

/* What may stand between double quotes, as a name with a single quote in it does if it can. */
static const char harmless[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                               " %'+,-./:@]_";

/* Bytes of the character at `at`, by the user's locale; 0 if it cannot be printed. */
static size_t sign_length(const char *at, mbstate_t *state)
{
    wchar_t wide;

    if ((unsigned char)*at < 0x80)
        return *at >= ' ' && *at < 0x7f;
    const size_t length = mbrtowc(&wide, at, strlen(at), state);
    if (length <= strlen(at) && length > 0 && iswprint((wint_t)wide))
        return length;
    *state = (mbstate_t){0};
    return 0;
}

static bool all_printable(const char *name)
{
    mbstate_t state = {0};
    size_t length = 0;

    for (; *name; name += length)
        if ((length = sign_length(name, &state)) == 0)
            return false;
    return true;
}

static bool is_plain(const char *name)
{
    return *name && !strpbrk(name, special) && !strchr(special_first, *name) &&
           strcmp(name, "{") != 0 && strcmp(name, "}") != 0;
}

static char *put_escape(char *to, unsigned char byte)
{
    static const char letters[] = "abtnvfr"; /* from 7 on */

    if (byte >= 7 && byte < 7 + sizeof letters - 1)
        return to + sprintf(to, "\\%c", letters[byte - 7]);
    return to + sprintf(to, "\\%03o", byte);
}

/* Between single quotes; $'…' for what cannot be printed, \' for a quote. */
static void quote(char *to, const char *name)
{
    mbstate_t state = {0};
    bool escaping = false;

    *to++ = '\'';
    while (*name) {
        size_t length = sign_length(name, &state);
        if (escaping != (length == 0)) {
            to = stpcpy(to, escaping ? "''" : "'$'");
            escaping = !escaping;
        }
        if (length == 0)
            to = put_escape(to, (unsigned char)*name++);
        else if (*name == '\'')
            to = stpcpy(to, "'\\''"), name++;
        else
            for (; length > 0; length--)
                *to++ = *name++;
    }
    *to++ = '\'';
    *to = '\0';
}

char *shell_word(const char *name)
{
    /* At most for each byte: '$' before it, \ooo, '' behind it. */
    const size_t size = 9 * strlen(name) + sizeof "''";
    char *text = malloc(size);

    if (!text)
        return NULL;
    setlocale(LC_CTYPE, ""); /* only now: a command that has nothing to say starts without */
    const bool printable_name = all_printable(name);
    if (printable_name && is_plain(name))
        strcpy(text, name);
    else if (printable_name && strchr(name, '\'') && strspn(name, harmless) == strlen(name))
        snprintf(text, size, "\"%s\"", name);
    else
        quote(text, name);
    return text;
}

/* SPDX-License-Identifier: MIT */
#include "printable.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* What is no sign of its own: controls, line ends, and what turns the direction of writing. */
static const struct {
    uint32_t first, last;
} hidden[] = {
    {0x00, 0x1f},     {0x7f, 0x9f},     {0x061c, 0x061c}, {0x200e, 0x200f},
    {0x2028, 0x202e}, {0x2066, 0x2069}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb},
};

static bool is_hidden(uint32_t sign)
{
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (sign >= hidden[i].first && sign <= hidden[i].last)
            return true;
    return false;
}

/* How many bytes the sign takes that the text begins with; 0: it is no UTF-8. */
static unsigned sign_at(const unsigned char *text, uint32_t *ret)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned length = *text < 0x80   ? 1
                            : *text < 0xc0 ? 0
                            : *text < 0xe0 ? 2
                            : *text < 0xf0 ? 3
                            : *text < 0xf8 ? 4
                                           : 0;
    uint32_t sign = length < 2 ? *text : *text & (0x7fU >> length);

    for (unsigned i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) /* the text's end, too */
            return 0;
        sign = sign << 6 | (text[i] & 0x3f);
    }
    if (length == 0 || sign < least[length] || sign > 0x10ffff || (sign >= 0xd800 && sign < 0xe000))
        return 0;
    *ret = sign;
    return length;
}

static size_t put_byte(unsigned char byte, char *ret, size_t room)
{
    static const char names[] = {['\n'] = 'n', ['\t'] = 't', ['\r'] = 'r'};
    const char name = byte < sizeof names ? names[byte] : '\0';
    const int length =
        name ? snprintf(ret, room, "\\%c", name) : snprintf(ret, room, "\\x%02x", byte);

    return length < (int)room ? (size_t)length : room;
}

const char *printable(const char *text, char *ret, size_t size)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t used = 0;

    while (*at) {
        uint32_t sign = 0;
        unsigned length = sign_at(at, &sign);
        const bool as_it_is = length > 0 && !is_hidden(sign);
        const size_t before = used;

        for (length = length ? length : 1; length > 0 && used < size; length--, at++)
            if (!as_it_is)
                used += put_byte(*at, ret + used, size - used);
            else if (used + 1 < size)
                ret[used++] = (char)*at;
            else
                used = size;
        if (used >= size) { /* no half of a sign */
            used = before;
            break;
        }
    }
    ret[used] = '\0';
    return ret;
}

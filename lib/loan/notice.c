/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "loan.h"

enum { LEAST_ROOM = 64, MOST_ROOM = 1 << 16 };

static struct sluice_loan **slot(struct loan_notices *notices, uint32_t number)
{
    return &notices->loan[number & (notices->room - 1)];
}

int loan_notices_reserve(struct loan_notices *notices)
{
    const uint32_t open = notices->next - notices->first;

    if (!notices->based && open > 0)
        return -EAGAIN;
    if (open < notices->room)
        return 0;
    if (notices->room >= MOST_ROOM)
        return -EAGAIN;
    struct loan_notices larger = *notices;
    larger.room = notices->room ? 2 * notices->room : LEAST_ROOM;
    larger.loan = calloc(larger.room, sizeof *larger.loan);
    if (!larger.loan)
        return -ENOMEM;
    for (uint32_t number = notices->first; number != notices->next; number++)
        *slot(&larger, number) = *slot(notices, number);
    free(notices->loan);
    *notices = larger;
    return 0;
}

void loan_notices_add(struct loan_notices *notices, struct sluice_loan *loan)
{
    *slot(notices, notices->next++) = loan;
}

unsigned loan_notices_answer(struct loan_notices *notices, uint32_t low, uint32_t high,
                             unsigned *ret_back)
{
    unsigned answered = 0;

    *ret_back = 0;
    if (!notices->based && notices->first != notices->next) {
        notices->base = low - notices->first;
        notices->based = true;
    }
    /* Only what is open is looked at, whatever the range says. The numbers wrap. */
    for (uint32_t number = notices->first; number != notices->next; number++) {
        struct sluice_loan *loan = *slot(notices, number);
        if (!loan || number + notices->base - low > high - low)
            continue;
        *slot(notices, number) = NULL;
        answered++;
        *ret_back += loan_answered(loan, false);
    }
    while (notices->first != notices->next && !*slot(notices, notices->first))
        notices->first++;
    return answered;
}

unsigned loan_notices_give_up(struct loan_notices *notices)
{
    unsigned open = 0;

    for (; notices->first != notices->next; notices->first++)
        if (*slot(notices, notices->first)) {
            loan_answered(*slot(notices, notices->first), true);
            open++;
        }
    free(notices->loan);
    *notices = (struct loan_notices){0};
    return open;
}

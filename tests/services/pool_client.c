/* Calls the pool until its 4,000th answer: with 0 to N levels, where N is its argument. What does not answer is
 * counted, what answers wrongly is its exit status. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/services/generated/pool_client.h"

/* "x 1 0 2" with one number more than levels, each another. */
static bool is_right(const pool_client_string_t *text, uint32_t depth)
{
    unsigned seen = 0;
    bool right = text->len == 1 + 2 * (depth + 1) && text->ptr[0] == 'x';
    for (uint32_t i = 0; right && i <= depth; i++) {
        unsigned bit = 1u << (text->ptr[2 + 2 * i] - '0');
        right = !(seen & bit);
        seen |= bit;
    }
    return right;
}

int main(int count, char **words)
{
    uint32_t levels = count > 1 ? (uint32_t)atoi(words[1]) : 0, wrong = 0, unavailable = 0;
    for (uint32_t answered = 0; answered < 4000 && unavailable < 1000;) {
        pool_client_string_t text = {(uint8_t *)"x", 1}, answer;
        pool_problem_t problem;
        if (pool_nest(answered % (levels + 1), &text, &answer, &problem)) {
            wrong += !is_right(&answer, answered % (levels + 1));
            pool_client_string_free(&answer);
            answered++;
        } else {
            unavailable++;
        }
    }
    if (wrong || unavailable > 20) {
        printf("%u wrong, %u unavailable\n", wrong, unavailable);
    }
    return wrong != 0 || unavailable > 20;
}

/* A program that uses the greeter (docs/services.md). */
#include <stdio.h>
#include <stdlib.h>

#include "interfaces/generated/greeter_client.h"

static void introduce(char *name, char *first, char *second)
{
    greeter_client_string_t languages[2], greeting;
    greeter_person_t person = {.languages = {languages, 2}};
    greeter_problem_t problem;
    greeter_client_string_set(&languages[0], first);
    greeter_client_string_set(&languages[1], second);
    greeter_client_string_set(&person.name, name);
    if (greeter_greet(&person, &greeting, &problem)) {
        printf("%.*s\n", (int)greeting.len, (char *)greeting.ptr);
        greeter_client_string_free(&greeting); /* results belong to the caller */
    } else {
        printf("%s: %s\n", name, problem == GREETER_PROBLEM_UNAVAILABLE ? "nobody is there" : "no common language");
    }
}

int main(void)
{
    greeter_client_list_string_t guests;
    introduce("Ada", "fr", "en");
    introduce("Claudius", "la", "en");
    introduce("Zeno", "el", "cy");
    greeter_guests(&guests);
    for (size_t i = 0; i < guests.len; i++)
        printf("guest: %.*s\n", (int)guests.ptr[i].len, (char *)guests.ptr[i].ptr);
    greeter_client_list_string_free(&guests);
    return 0;
}

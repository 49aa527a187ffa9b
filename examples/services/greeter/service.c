/* A service that greets people in their own language (docs/services.md). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interfaces/generated/greeter_service.h"
#include "sdk/tessera.h"

static greeter_service_string_t guests[100];
static size_t guest_count;

bool exports_greeter_greet(exports_greeter_person_t *who, greeter_service_string_t *greeting, exports_greeter_problem_t *problem)
{
    static const char *const words[][2] = {{"de", "Guten Tag"}, {"en", "Good day"}, {"la", "Salve"}};
    char text[200] = "";
    for (size_t i = 0; i < who->languages.len && !text[0]; i++)
        for (size_t j = 0; j < 3; j++)
            if (who->languages.ptr[i].len == 2 && memcmp(who->languages.ptr[i].ptr, words[j][0], 2) == 0)
                snprintf(text, sizeof text, "%s, %.*s!", words[j][1], (int)who->name.len, (char *)who->name.ptr);
    if (text[0] && guest_count < 100)
        greeter_service_string_dup_n(&guests[guest_count++], (char *)who->name.ptr, who->name.len);
    exports_greeter_person_free(who); /* arguments belong to the service */
    *problem = EXPORTS_GREETER_PROBLEM_SPEECHLESS;
    greeter_service_string_dup(greeting, text); /* and results to who called it */
    return text[0] != '\0';
}

void exports_greeter_guests(greeter_service_list_string_t *names)
{
    names->len = guest_count;
    names->ptr = malloc(guest_count * sizeof *names->ptr);
    for (size_t i = 0; i < guest_count; i++)
        greeter_service_string_dup_n(&names->ptr[i], (char *)guests[i].ptr, guests[i].len);
}

int main(void)
{
    return tessera_port_serve(TESSERA_PORT) == 0 ? 0 : 1; /* until nobody can call any more */
}

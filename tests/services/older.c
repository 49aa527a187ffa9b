/* A client whose interface is not the service's any more: it is refused when it is loaded. */
#include "tests/services/generated/greeter_older.h"

int main(void)
{
    greeter_person_t person;
    greeter_older_string_t greeting;
    greeter_problem_t problem;
    greeter_older_string_set(&person.name, "Ada");
    return greeter_greet(&person, &greeting, &problem) ? 0 : 1;
}

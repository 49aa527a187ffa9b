/* The trap table's texts. */
#include "engine/trap.h"

#include "engine/base.h"

const char *trap_text(unsigned trap)
{
#define TRAP_TEXT(name, text) [TRAP_##name] = text,
    static const char *const texts[TRAP_COUNT] = {ENGINE_TRAPS(TRAP_TEXT)};
#undef TRAP_TEXT
    return trap > TRAP_NONE && trap < TRAP_COUNT ? texts[trap] : "unknown trap";
}

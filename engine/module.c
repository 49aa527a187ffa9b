/* The end of a module's life. */
#include "engine/module.h"

void module_release(struct module *module)
{
    const struct engine_allocator *allocator = module->arena.allocator;
    arena_release(&module->arena);
    allocator->release(allocator->context, module, sizeof(*module));
}

/* Subtyping (spec 3.3: "Matching"). All type indices in value types are canonical, so equal types are equal words and
 * only real subtyping takes a walk. */
#ifndef ENGINE_SUBTYPE_H
#define ENGINE_SUBTYPE_H

#include "engine/module.h"

/* The abstract type directly above all definitions of a kind (enum defined_kind), and the one below them. */
heap_type heap_type_of_kind(unsigned kind);
heap_type heap_type_bottom(unsigned kind);
/* Whether abstract type `a` is properly below `b`. */
bool heap_type_abstract_matches(heap_type a, heap_type b);
/* Whether heap type `a` is `b` or below it. */
bool heap_type_matches(const struct module *module, heap_type a, heap_type b);
/* Whether a value of type `a` can stand where `b` is expected; VALUE_BOTTOM can stand everywhere. */
bool value_type_matches(const struct module *module, value_type a, value_type b);
/* Whether the structure of type `type` is allowed below that of its supertype (spec 3.2.11). */
bool defined_type_extends(const struct module *module, uint32_t type, uint32_t supertype);
/* What ref.func gives: a reference to exactly the function's type, or funcref while typed references are not supported.
 */
value_type function_reference_value_type(const struct module *module, uint32_t function);
/* The top of the hierarchy that a heap type belongs to: HEAP_ANY, HEAP_FUNC, HEAP_EXTERN or HEAP_EXN. */
heap_type heap_type_top(const struct module *module, heap_type heap);

#endif

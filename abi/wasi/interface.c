/* The two interfaces as tables of host functions, both out of functions.def. */
#include "abi/wasi/interface.h"

#include "abi/wasi/wasi.h"
#include "engine/base.h"

#define ROW(name, signature, function) {#name, signature, (void (*)(void))function},

#define COMMON(name, signature, parameters, note)          ROW(name, signature, wasi_##name)
#define COMMON_NORETURN(name, signature, parameters, note) ROW(name, signature, wasi_##name)
#define PREVIEW1(name, signature, parameters, note)        ROW(name, signature, wasi_preview1_##name)
#define UNSTABLE(name, signature, parameters, note)
static const struct host_function preview1_functions[] = {
#include "abi/wasi/functions.def"
};
#undef PREVIEW1
#undef UNSTABLE

#define PREVIEW1(name, signature, parameters, note)
#define UNSTABLE(name, signature, parameters, note) ROW(name, signature, wasi_unstable_##name)
static const struct host_function unstable_functions[] = {
#include "abi/wasi/functions.def"
};

const struct host_interface wasi_preview1_interface = {
    .module = "wasi_snapshot_preview1",
    .functions = preview1_functions,
    .count = ARRAY_COUNT(preview1_functions),
};

const struct host_interface wasi_unstable_interface = {
    .module = "wasi_unstable",
    .functions = unstable_functions,
    .count = ARRAY_COUNT(unstable_functions),
};

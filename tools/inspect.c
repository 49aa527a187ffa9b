/* `tessera inspect`: what is in a module, what serves its imports, and what it compiles to. */
#include "tools/disassemble.h"
#include "tools/file.h"
#include "tools/message.h"
#include "tools/subcommands.h"
#include "tools/wasm_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/compile.h"
#include "kernel/host.h"
#include "kernel/service_module.h"
#include "kernel/platform.h"
#include "platform/linux/linux.h"

#define FUNCTIONS_SHOWN 20

struct inspect {
    const char *code_function; /* name or index; NULL: the overview */
    bool all_functions;
};

static void *engine_allocate(void *context, size_t bytes)
{
    (void)context;
    return malloc(bytes);
}

static void engine_release(void *context, void *memory, size_t bytes)
{
    (void)context, (void)bytes;
    free(memory);
}

static const struct engine_allocator allocator = {.allocate = engine_allocate, .release = engine_release};

_Noreturn static void refuse(const char *path, const struct engine_error *error)
{
    complain("%s: %s", path, error->message[0] ? error->message : "out of memory"); /* the message says where */
    exit(EXIT_REFUSED);
}

static struct code *compile(const char *path, const struct module *module, uint64_t *nanoseconds)
{
    struct compile_options options = {.cpu_features = platform_cpu_features()};
    options.text_capacity = (text_reserve_bytes(module) + PLATFORM_PAGE_BYTES - 1) & ~(size_t)(PLATFORM_PAGE_BYTES - 1);
    options.text = platform_reserve(options.text_capacity);
    if (!options.text || platform_commit(options.text, options.text_capacity, PROTECTION_READ_WRITE) != STATUS_OK)
        die("out of memory");
    struct code *code;
    struct engine_error error = {0};
    uint64_t start = platform_monotonic_nanoseconds();
    if (code_compile(module, &options, &allocator, &code, &error) != ENGINE_OK)
        refuse(path, &error);
    *nanoseconds = platform_monotonic_nanoseconds() - start;
    return code;
}

/* ---- Text of types ---- */

static void print_types(const value_type *types, uint32_t count)
{
    char text[24];
    for (uint32_t i = 0; i < count; i++)
        printf("%s%s", i > 0 ? " " : "", value_type_text(types[i], text));
}

static void print_function_type(const struct function_type *type)
{
    putchar('(');
    print_types(function_type_parameters(type), type->parameter_count);
    fputs(") -> (", stdout);
    print_types(function_type_results(type), type->result_count);
    putchar(')');
}

static void print_limits(const struct limits *limits, const char *unit)
{
    printf("%" PRIu64, limits->minimum);
    if (limits->has_maximum)
        printf(" to %" PRIu64, limits->maximum);
    printf(" %s%s%s", unit, limits->is_64 ? ", 64-bit" : "", limits->shared ? ", shared" : "");
}

static void print_memory_type(const struct memory_type *type)
{
    print_limits(&type->limits, type->byte_pages ? "bytes" : "pages of 64 KiB");
}

static void print_external_type(const struct module *module, enum external_kind kind, uint32_t index)
{
    char text[24];
    switch (kind) {
    case EXTERNAL_FUNCTION:
        fputs("function ", stdout);
        print_function_type(&module->types[module->functions[index].type]);
        break;
    case EXTERNAL_TABLE:
        printf("table of %s, ", value_type_text(module->tables[index].type.element, text));
        print_limits(&module->tables[index].type.limits, "entries");
        break;
    case EXTERNAL_MEMORY:
        fputs("memory, ", stdout);
        print_memory_type(&module->memories[index]);
        break;
    case EXTERNAL_GLOBAL:
        printf("%s global %s", module->globals[index].type.mutable_ ? "mutable" : "immutable",
               value_type_text(module->globals[index].type.value, text));
        break;
    case EXTERNAL_TAG:
        fputs("tag ", stdout);
        print_function_type(&module->types[module->tags[index]]);
        break;
    }
}

/* ---- The overview ---- */

static void print_sections(const struct module *module)
{
    static const char *const names[] = {"custom", "type",  "import",  "function", "table", "memory",     "global",
                                        "export", "start", "element", "code",     "data",  "data count", "tag"};
    uint32_t custom = 0;
    printf("\nSections\n");
    for (uint32_t i = 0; i < module->section_count; i++) {
        const struct section_extent *section = &module->sections[i];
        printf("  %-11s at 0x%08" PRIx32 " %10" PRIu32 " bytes", names[section->id], section->offset, section->size);
        if (section->id == 0 && custom < module->custom_section_count) {
            const struct name *name = &module->custom_sections[custom++].name;
            printf("  %.*s", (int)name->length, name->text);
        }
        putchar('\n');
    }
}

static bool name_is(const struct name *name, const char *text)
{
    return strlen(text) == name->length && memcmp(name->text, text, name->length) == 0;
}

static char signature_letter(value_type type)
{
    switch (type) {
    case VALUE_I64:
        return 'I';
    case VALUE_F32:
        return 'f';
    case VALUE_F64:
        return 'F';
    default:
        return 'i';
    }
}

/* Does a signature such as "iiI:i" describe this type? */
static bool signature_matches(const char *signature, const struct function_type *type)
{
    uint32_t total = type->parameter_count + type->result_count;
    for (uint32_t i = 0; i < total; i++) {
        if (i == type->parameter_count && *signature++ != ':')
            return false;
        if (*signature++ != signature_letter(type->types[i]))
            return false;
    }
    return *signature == '\0' || (type->result_count == 0 && strcmp(signature, ":") == 0);
}

/* What serves an import: text for the table. */
static const char *import_server(const struct module *module, const struct import *import)
{
    if (import->kind != EXTERNAL_FUNCTION)
        return "MISSING (only functions are served)";
    const char *server = "MISSING (no such interface)";
    for (size_t i = 0; host_interfaces[i]; i++) {
        const struct host_interface *interface = host_interfaces[i];
        if (!name_is(&import->module, interface->module))
            continue;
        server = "MISSING";
        for (uint32_t j = 0; j < interface->count; j++) {
            if (!name_is(&import->field, interface->functions[j].name))
                continue;
            if (signature_matches(interface->functions[j].signature,
                                  &module->types[module->functions[import->index].type]))
                return "kernel";
            server = "MISSING (the kernel's has another type)";
        }
    }
    return server;
}

/* The same where the kernel has none: a service may. */
static const char *service_server(const struct service_module *services, uint32_t import, const char *otherwise)
{
    const struct service_function *function = service_module_import(services, import);
    if (service_module_intrinsic(services, import))
        return "kernel";
    return !function ? otherwise : function->refusal ? "MISSING (no service can have such a function)" : "service";
}

static void print_imports(const struct module *module)
{
    uint32_t missing = 0;
    struct service_module *services;
    if (service_module_create(module, &services) != STATUS_OK)
        die("out of memory");
    printf("\nImports: %" PRIu32 "\n", module->import_count);
    for (uint32_t i = 0; i < module->import_count; i++) {
        const struct import *import = &module->imports[i];
        const char *server = import_server(module, import);
        if (server[0] == 'M')
            server = service_server(services, i, server);
        missing += server[0] == 'M';
        printf("  %-8s %.*s.%.*s: ", server, (int)import->module.length, import->module.text, (int)import->field.length,
               import->field.text);
        print_external_type(module, import->kind, import->index);
        putchar('\n');
    }
    if (missing > 0)
        printf("  %" PRIu32 " missing: this module cannot be run\n", missing);
    service_module_destroy(services);
}

static void print_exports(const struct module *module)
{
    printf("\nExports: %" PRIu32 "\n", module->export_count);
    for (uint32_t i = 0; i < module->export_count; i++) {
        const struct export *export = &module->exports[i];
        printf("  %.*s: ", (int)export->field.length, export->field.text);
        print_external_type(module, export->kind, export->index);
        putchar('\n');
    }
}

static void print_memories(const struct module *module)
{
    uint64_t data = 0;
    for (uint32_t i = 0; i < module->data_segment_count; i++)
        data += module->data_segments[i].size;
    printf("\nMemories: %" PRIu32 "\n", module->memory_count);
    for (uint32_t i = 0; i < module->memory_count; i++) {
        printf("  %" PRIu32 ": ", i);
        print_memory_type(&module->memories[i]);
        printf("%s\n", i < module->memory_import_count ? " (imported)" : "");
    }
    printf("  data: %" PRIu64 " bytes in %" PRIu32 " segments\n", data, module->data_segment_count);
}

/* ---- Functions ---- */

struct function_row {
    uint32_t index; /* in the function index space */
    uint32_t wasm_bytes, code_bytes, frame_bytes;
};

static int compare_rows(const void *a, const void *b)
{
    const struct function_row *left = a, *right = b;
    if (left->code_bytes != right->code_bytes)
        return left->code_bytes < right->code_bytes ? 1 : -1;
    return left->index < right->index ? -1 : 1;
}

static struct function_row *function_rows(const struct code *code)
{
    const struct module *module = code->module;
    struct function_row *rows = allocate(code->function_count * sizeof *rows);
    for (uint32_t i = 0; i < code->function_count; i++) {
        uint32_t end = i + 1 < code->function_count ? code->functions[i + 1].offset : (uint32_t)code->text_size;
        rows[i].index = i + module->function_import_count;
        rows[i].wasm_bytes = module->functions[rows[i].index].body_size;
        rows[i].code_bytes = end - code->functions[i].offset;
        rows[i].frame_bytes = code->functions[i].frame_bytes;
    }
    return rows;
}

static void print_function_name(const struct module *module, uint32_t index)
{
    struct name name = module_function_name(module, index);
    if (name.length > 0)
        printf("%.*s", (int)name.length, name.text);
    else
        printf("func[%" PRIu32 "]", index);
}

static void print_functions(const struct code *code, bool all)
{
    uint32_t shown = code->function_count;
    struct function_row *rows = function_rows(code);
    if (!all) {
        qsort(rows, code->function_count, sizeof *rows, compare_rows);
        shown = shown < FUNCTIONS_SHOWN ? shown : FUNCTIONS_SHOWN;
    }
    printf("\nFunctions: %" PRIu32 "%s\n", code->function_count,
           shown < code->function_count ? ", the largest (all with --functions)" : "");
    printf("    index  wasm bytes  code bytes  frame  name\n");
    for (uint32_t i = 0; i < shown; i++) {
        printf("  %7" PRIu32 "  %10" PRIu32 "  %10" PRIu32 "  %5" PRIu32 "  ", rows[i].index, rows[i].wasm_bytes,
               rows[i].code_bytes, rows[i].frame_bytes);
        print_function_name(code->module, rows[i].index);
        putchar('\n');
    }
    free(rows);
}

static void print_totals(const struct code *code, uint64_t nanoseconds)
{
    uint64_t wasm = code->module->code_bytes;
    printf("\nCode: %" PRIu64 " bytes of wasm, %zu bytes of machine code (x %.2f)\n", wasm, code->text_size,
           wasm > 0 ? (double)code->text_size / (double)wasm : 0.0);
    printf("Compiled in %.3f ms, %.1f MB/s\n", (double)nanoseconds / 1e6,
           (double)wasm * 1e3 / (double)(nanoseconds > 0 ? nanoseconds : 1));
}

/* ---- --code ---- */

static uint32_t find_function(const struct module *module, const char *wanted)
{
    char *end;
    unsigned long index = strtoul(wanted, &end, 0);
    bool is_number = end != wanted && *end == '\0';
    for (uint32_t i = 0; !is_number && i < module->function_count; i++) {
        struct name name = module_function_name(module, i);
        if (name_is(&name, wanted)) {
            index = i;
            is_number = true;
        }
    }
    if (!is_number || index >= module->function_count)
        die("inspect: there is no function %s; --functions lists all", wanted);
    if (index < module->function_import_count)
        die("inspect: function %s is an import: it has no code", wanted);
    return (uint32_t)index;
}

/* Where the printing of wasm instructions is; all that lie before have been printed. */
struct wasm_cursor {
    const struct module *module;
    const uint8_t *next;
    unsigned nesting;
};

static void print_next_wasm(struct wasm_cursor *cursor)
{
    char text[256];
    unsigned indent;
    uint64_t offset = (uint64_t)(cursor->next - cursor->module->bytes);
    cursor->next = wasm_instruction_text(cursor->module, cursor->next, text, sizeof text, &cursor->nesting, &indent);
    printf("+0x%05" PRIx64 "  %*s%s\n", offset, (int)(2 * (indent < 30 ? indent : 30)), "", text);
}

/* The wasm up to and with the instruction at `module_offset`; one that was printed before comes again alone, since cold
 * parts stand behind the rest. */
static void print_wasm_through(struct wasm_cursor *cursor, uint32_t module_offset)
{
    const uint8_t *target = cursor->module->bytes + module_offset;
    if (target < cursor->next) {
        struct wasm_cursor again = {.module = cursor->module, .next = target};
        print_next_wasm(&again);
        return;
    }
    while (cursor->next <= target)
        print_next_wasm(cursor);
}

static void print_code(const struct code *code, uint32_t function)
{
    const struct module *module = code->module;
    uint32_t number = function - module->function_import_count;
    uint32_t entry = code->functions[number].offset;
    struct arena arena;
    struct code_position *positions;
    uint32_t position_count, position = 0;
    struct engine_error error = {0};
    arena_initialize(&arena, &allocator);
    if (code_positions(code, function, platform_cpu_features(), &allocator, &arena, &positions, &position_count,
                       &error) != ENGINE_OK)
        die("inspect: %s", error.message);
    size_t line_count;
    struct machine_line *lines = disassemble(code, number, &line_count);
    while (line_count > 0 && strcmp(lines[line_count - 1].text, "int3") == 0) /* up to the next function */
        free(lines[--line_count].text);
    printf("func[%" PRIu32 "] ", function);
    print_function_name(module, function);
    printf(": ");
    print_function_type(&module->types[module->functions[function].type]);
    printf(", frame %" PRIu32 " bytes, code at text+0x%" PRIx32 "\n", code->functions[number].frame_bytes, entry);
    struct wasm_cursor cursor = {.module = module, .next = wasm_body_code(module, function)};
    for (size_t i = 0; i < line_count; i++) {
        while (position < position_count && positions[position].text_offset + entry <= lines[i].offset)
            print_wasm_through(&cursor, positions[position++].module_offset);
        printf("%30s%6" PRIx32 "  %s\n", "", lines[i].offset, lines[i].text);
    }
    const uint8_t *end =
        module->bytes + module->functions[function].body_offset + module->functions[function].body_size;
    while (cursor.next < end)
        print_next_wasm(&cursor);
    for (size_t i = 0; i < line_count; i++)
        free(lines[i].text);
    free(lines);
    arena_release(&arena);
}

/* ---- The subcommand ---- */

static void apply_code(void *context, const char *value)
{
    ((struct inspect *)context)->code_function = value;
}

static void apply_functions(void *context, const char *value)
{
    (void)value;
    ((struct inspect *)context)->all_functions = true;
}

static const struct option inspect_options[] = {
    {"code", 0, "FUNC",
     "Print the machine code of one function, by its name or index,\n"
     "under the wasm instructions that it was made from.",
     apply_code},
    {"functions", 0, NULL, "List all functions in their order, not just the largest.", apply_functions},
};

static int run(const struct subcommand *subcommand, int count, char **words)
{
    struct inspect inspect = {0};
    int at = options_parse(subcommand, count, words, &inspect);
    if (at + 1 != count)
        usage_error(subcommand, at == count ? "which module?" : "one module, please");
    const char *path = words[at];
    size_t size;
    const uint8_t *bytes = module_contents(path, &size);
    struct module *module;
    struct engine_error error = {0};
    uint64_t nanoseconds;
    linux_platform_initialize();
    if (module_decode(bytes, size, &allocator, &module, &error) != ENGINE_OK)
        refuse(path, &error);
    struct code *code = compile(path, module, &nanoseconds);
    if (inspect.code_function) {
        print_code(code, find_function(module, inspect.code_function));
    } else {
        printf("%s: %zu bytes\n", path, size);
        print_sections(module);
        print_imports(module);
        print_exports(module);
        print_memories(module);
        print_functions(code, inspect.all_functions);
        print_totals(code, nanoseconds);
    }
    code_release(code);
    module_release(module);
    return 0;
}

const struct subcommand subcommand_inspect = {
    .name = "inspect",
    .synopsis = "[OPTION]... MODULE.wasm",
    .summary = "Show what is in a module and what it compiles to.",
    .description =
        "An import is served by the kernel, by a service that the program is given (docs/services.md), or it is\n"
        "MISSING: then the module cannot be run.\n",
    .options = inspect_options,
    .option_count = sizeof inspect_options / sizeof inspect_options[0],
    .run = run,
};

/* Scripts of the official suite in the compact form that tests/spec/pack.py writes, and the reader for it.
 *
 * The file is a list of: text name, text script. A script is: u32 magic, u32 number of commands, then each command as
 * u8 kind, u32 line, text excuse, u32 bytes, body. All numbers are little-endian and unaligned. A text, a script and a
 * module are u32 length, bytes. A list of values is u32 count, values; a value is u8 type, u8 parts, parts; a part is
 * u8 comparison, u8 bytes, u64 bits, or for TYPE_EITHER a value. Bodies:
 *
 *   module, module_definition     text name, module
 *   module_instance               text instance name, text definition name
 *   register                      text module name, text registered name
 *   action                        action: u8 is an invocation (else a global is read), text module name, text field,
 *                                 values (arguments)
 *   assert_return                 action, values (expected)
 *   assert_trap, _exhaustion      action, text message
 *   assert_exception              action
 *   attempt                       action of which anything may come, but that it ends (not in the official suite)
 *   attempt_module                module, the same
 *   assert_invalid, _malformed, _unlinkable, _uninstantiable      text message, module
 *   thread                        text name, text module that it shares, u32 number of commands, commands
 *   wait                          text thread name
 *   text                          nothing: a test of the text format
 *
 * A reader that meets the end of its bytes returns zeros and empty texts and sets `damaged`. */
#ifndef TESTS_SPEC_SCRIPT_H
#define TESTS_SPEC_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/module.h"

#define SCRIPT_MAGIC 0x43505354u

#define SCRIPT_COMMANDS(X) /* in the order of COMMANDS in pack.py */                                                   \
    X(MODULE, module)                                                                                                  \
    X(MODULE_DEFINITION, module_definition)                                                                            \
    X(MODULE_INSTANCE, module_instance)                                                                                \
    X(REGISTER, register)                                                                                              \
    X(ACTION, action)                                                                                                  \
    X(ASSERT_RETURN, assert_return)                                                                                    \
    X(ASSERT_TRAP, assert_trap)                                                                                        \
    X(ASSERT_EXHAUSTION, assert_exhaustion)                                                                            \
    X(ASSERT_INVALID, assert_invalid)                                                                                  \
    X(ASSERT_MALFORMED, assert_malformed)                                                                              \
    X(ASSERT_UNLINKABLE, assert_unlinkable)                                                                            \
    X(ASSERT_UNINSTANTIABLE, assert_uninstantiable)                                                                    \
    X(ASSERT_EXCEPTION, assert_exception)                                                                              \
    X(ATTEMPT, attempt)                                                                                                \
    X(ATTEMPT_MODULE, attempt_module)                                                                                  \
    X(THREAD, thread)                                                                                                  \
    X(WAIT, wait)                                                                                                      \
    X(TEXT, text)

#define SCRIPT_COMMAND_ENUM(name, function) COMMAND_##name,
enum script_command_kind { SCRIPT_COMMANDS(SCRIPT_COMMAND_ENUM) COMMAND_COUNT };
#undef SCRIPT_COMMAND_ENUM

enum script_type { /* in the order of TYPES in pack.py */
                   TYPE_I32,
                   TYPE_I64,
                   TYPE_F32,
                   TYPE_F64,
                   TYPE_V128,
                   TYPE_EXTERNREF,
                   TYPE_FUNCREF,
                   TYPE_OTHER, /* a reference of WebAssembly 3.0 */
                   TYPE_REFNULL,
                   TYPE_EITHER, /* one of several values will do */
};

enum comparison { COMPARE_EXACT, COMPARE_NAN_CANONICAL, COMPARE_NAN_ARITHMETIC, COMPARE_NULL, COMPARE_NOT_NULL };

struct script_part {
    enum comparison comparison;
    uint8_t bytes; /* 1, 2, 4 or 8 */
    uint64_t bits;
};

#define SCRIPT_PARTS_MAXIMUM 16
struct script_value { /* TYPE_EITHER: `part_count` values follow in the script, and `parts` is unused */
    enum script_type type;
    uint8_t part_count;
    struct script_part parts[SCRIPT_PARTS_MAXIMUM];
};

struct script_reader {
    const uint8_t *cursor;
    const uint8_t *end;
    bool damaged;
};

struct script_command {
    enum script_command_kind kind;
    uint32_t line;
    struct name excuse; /* why it cannot hold yet (tests/spec/skip); mostly empty */
    struct script_reader body;
};

struct script_action {
    bool invoke;
    struct name module;
    struct name field;
    uint32_t argument_count; /* values that follow in the script */
};

/* Check the magic; returns the number of commands, 0 for anything but a script. */
uint32_t script_open(struct script_reader *reader, const uint8_t *bytes, size_t size);
bool script_next(struct script_reader *reader, struct script_command *command);
uint32_t script_number(struct script_reader *reader);
struct name script_text(struct script_reader *reader); /* a module too */
struct script_action script_action(struct script_reader *reader);
struct script_value script_value(struct script_reader *reader);

#endif

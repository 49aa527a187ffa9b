/* The opcode table as data. */
#include "engine/opcode.h"

#include "engine/base.h"

#define SIGNATURE_ROW(name, pops, first, second, third, push) [SIGNATURE_##name] = {pops, {first, second, third}, push},
const struct signature opcode_signatures[SIGNATURE_COUNT] = {ENGINE_SIGNATURES(SIGNATURE_ROW)};
#undef SIGNATURE_ROW

const struct opcode_information opcode_table[OPCODE_COUNT] = {
#define OPCODE(prefix, identifier, code, mnemonic, immediate, signature, bytes, feature)                               \
    [OP_##identifier] = {mnemonic, IMMEDIATE_##immediate, SIGNATURE_##signature, bytes, FEATURE_##feature},
#include "engine/opcodes.def"
#undef OPCODE
};

const char *feature_text(unsigned feature)
{
#define FEATURE_TEXT(name, text) text,
    static const char *const texts[] = {ENGINE_FEATURES(FEATURE_TEXT)};
#undef FEATURE_TEXT
    return feature < ARRAY_COUNT(texts) ? texts[feature] : "unknown";
}

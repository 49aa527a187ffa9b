#include "services/init/manifest.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "services/init/unit_file.h"

#define MILLISECOND UINT64_C(1000000)
#define SECOND      (1000 * MILLISECOND)

/* ---- Values ---- */

struct unit_of_measure {
    const char *suffix;
    uint64_t factor;
};

static const struct unit_of_measure times[] = {{"ns", 1},     {"us", 1000}, {"ms", MILLISECOND},
                                               {"s", SECOND}, {"", SECOND}, {"min", 60 * SECOND}};
static const struct unit_of_measure sizes[] = {{"", 1}, {"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}};
static const struct unit_of_measure counts[] = {{"", 1}};

#define STATE_UNIT    4096 /* a page */
#define STATE_MAXIMUM (16 << 20)

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const char *parse_number(const char *text, const struct unit_of_measure *units, size_t unit_count,
                                uint64_t *result)
{
    uint64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(number, 10, &number) || __builtin_add_overflow(number, *at - '0', &number)) {
            return "the number is too large";
        }
    }
    while (*at == ' ') {
        at++;
    }
    for (size_t i = 0; at != text && i < unit_count; i++) {
        if (strcmp(at, units[i].suffix) == 0) {
            bool fits = !__builtin_mul_overflow(number, units[i].factor, result) && *result <= INT64_MAX;
            return fits ? NULL : "the number is too large";
        }
    }
    return "not a number with a unit that is known here";
}

static const char *parse_time(void *field, char *value)
{
    return parse_number(value, times, LENGTH(times), field);
}

static const char *parse_size(void *field, char *value)
{
    return parse_number(value, sizes, LENGTH(sizes), field);
}

static const char *parse_count(void *field, char *value)
{
    return parse_number(value, counts, LENGTH(counts), field);
}

static const char *parse_text(void *field, char *value)
{
    *(const char **)field = value;
    return NULL;
}

/* Takes a word off *rest: up to a space, or in double quotes; a backslash takes the next byte as it is. *word: NULL
 * when there is none. */
static const char *next_word(char **rest, char **word)
{
    char *from = *rest, *to;
    bool quoted = false;
    while (*from == ' ' || *from == '\t') {
        from++;
    }
    *word = *from ? from : NULL;
    for (to = from; *from && (quoted || (*from != ' ' && *from != '\t')); from++) {
        if (*from == '"') {
            quoted = !quoted;
            continue;
        }
        if (*from == '\\' && !*++from) {
            return "a backslash with nothing behind it";
        }
        *to++ = *from;
    }
    *rest = *from ? from + 1 : from;
    *to = '\0';
    return quoted ? "a quote is not closed" : NULL;
}

/* Words, which are added to those of earlier lines. An empty value takes them all away, as systemd does it. */
static const char *parse_words(void *field, char *value)
{
    struct text_list *list = field;
    char *word;
    if (!*value) {
        list->count = 0;
    }
    for (;;) {
        const char *problem = next_word(&value, &word);
        if (problem || !word) {
            return problem;
        }
        if (list->count == MANIFEST_LIST) {
            return "more than 16 words";
        }
        list->items[list->count++] = word;
    }
}

static const char *choose(const char *value, const char *const *words, unsigned count, unsigned *result)
{
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(value, words[i]) == 0) {
            *result = i;
            return NULL;
        }
    }
    return "not one of the words that this key may have";
}

static const char *parse_start(void *field, char *value)
{
    static const char *const words[] = {"boot", "demand", "manual"};
    return choose(value, words, LENGTH(words), field);
}

static const char *parse_restart(void *field, char *value)
{
    static const char *const words[] = {"no", "on-failure", "always"};
    return choose(value, words, LENGTH(words), field);
}

static const char *parse_exit_action(void *field, char *value)
{
    static const char *const words[] = {"nothing", "end"};
    return choose(value, words, LENGTH(words), field);
}

/* ---- Keys ---- */

#define A_TEXT   "a text"
#define A_PATH   "a path, such as /system/log.wasm"
#define WORDS    "words with spaces between them, \"in quotes\" where they have spaces"
#define A_TIME   "a time, such as 100ms, 2s or 5min"
#define A_SIZE   "a size, such as 16M"
#define A_NUMBER "a number"

static const struct key {
    const char *name;
    size_t offset;
    const char *(*parse)(void *field, char *value);
    const char *expected; /* for who wrote something else */
} keys[] = {
    {"Description", offsetof(struct unit, description), parse_text, A_TEXT},
    {"Module", offsetof(struct unit, module), parse_text, A_PATH},
    {"Arguments", offsetof(struct unit, arguments), parse_words, WORDS},
    {"Environment", offsetof(struct unit, environment), parse_words, WORDS},
    {"Directories", offsetof(struct unit, directories), parse_words, WORDS},
    {"Handles", offsetof(struct unit, handles), parse_words, WORDS},
    {"Offers", offsetof(struct unit, offers), parse_words, WORDS},
    {"Uses", offsetof(struct unit, uses), parse_words, WORDS},
    {"Requires", offsetof(struct unit, requires_), parse_words, WORDS},
    {"Start", offsetof(struct unit, start), parse_start, "boot, demand or manual"},
    {"Restart", offsetof(struct unit, restart), parse_restart, "no, on-failure or always"},
    {"RestartSec", offsetof(struct unit, restart_delay), parse_time, A_TIME},
    {"RestartMaxDelaySec", offsetof(struct unit, restart_delay_maximum), parse_time, A_TIME},
    {"RestartResetSec", offsetof(struct unit, restart_reset), parse_time, A_TIME},
    {"StartLimitBurst", offsetof(struct unit, start_limit), parse_count, A_NUMBER},
    {"TimeoutStopSec", offsetof(struct unit, stop_timeout), parse_time, A_TIME},
    {"OnExit", offsetof(struct unit, on_exit), parse_exit_action, "nothing or end"},
    {"MemoryMax", offsetof(struct unit, memory_limit), parse_size, A_SIZE},
    {"HandlesMax", offsetof(struct unit, handle_limit), parse_count, A_NUMBER},
    {"ThreadsMax", offsetof(struct unit, thread_limit), parse_count, A_NUMBER},
    {"StateMemory", offsetof(struct unit, state_bytes), parse_size, A_SIZE},
    {"CPUWeight", offsetof(struct unit, weight), parse_count, A_NUMBER},
};

struct parser {
    struct manifest *manifest;
    unsigned *line;
    char problem[200]; /* what is wrong in this line, and what to do */
};

static bool is_name(const char *text)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return length && length <= MANIFEST_NAME && !text[length] && *text != '-';
}

static const char *begin_unit(struct parser *parser, char *name)
{
    struct manifest *manifest = parser->manifest;
    if (!is_name(name)) {
        return "a unit's name has 1 to 31 small letters, digits and hyphens, the first no hyphen";
    }
    if (manifest_find(manifest, name)) {
        return "there is a unit of this name already";
    }
    if (manifest->count == MANIFEST_UNITS) {
        return "more than 64 units";
    }
    manifest->units[manifest->count++] = (struct unit){
        .name = name,
        .description = "",
        .restart_delay = 100 * MILLISECOND,
        .restart_delay_maximum = 10 * SECOND,
        .restart_reset = SECOND,
        .stop_timeout = 2 * SECOND,
        .line = *parser->line,
    };
    return NULL;
}

/* How many letters of `a` are to be changed, added or taken away to make `b` of it; at most 31 letters are looked at.
 */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[32], length = (unsigned)strnlen(b, 31);
    for (unsigned j = 0; j <= length; j++) {
        row[j] = j;
    }
    for (unsigned i = 0; a[i] && i < 31; i++) {
        unsigned diagonal = row[0];
        row[0] = i + 1;
        for (unsigned j = 0; j < length; j++) {
            unsigned changed = diagonal + (tolower((unsigned char)a[i]) != tolower((unsigned char)b[j]));
            unsigned other = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;
            diagonal = row[j + 1];
            row[j + 1] = changed < other ? changed : other;
        }
    }
    return row[length];
}

static const char *refuse_key(struct parser *parser, const char *key)
{
    unsigned best = 4;
    const char *meant = NULL;
    for (size_t i = 0; i < LENGTH(keys); i++) {
        unsigned far = distance(key, keys[i].name);
        if (far < best) {
            best = far;
            meant = keys[i].name;
        }
    }
    snprintf(parser->problem, sizeof(parser->problem), "%.40s: no such key; %s%s", key,
             meant ? "did you mean " : "docs/services.md lists them", meant ? meant : "");
    return parser->problem;
}

static const char *handle_key(void *context, const char *key, char *value)
{
    struct parser *parser = context;
    if (!key) {
        return begin_unit(parser, value);
    }
    struct unit *unit = &parser->manifest->units[parser->manifest->count - 1];
    for (size_t i = 0; i < LENGTH(keys); i++) {
        if (strcmp(key, keys[i].name) == 0) {
            const char *problem = keys[i].parse((char *)unit + keys[i].offset, value);
            if (problem) {
                snprintf(parser->problem, sizeof(parser->problem), "%s: %s; it takes %s", key, problem,
                         keys[i].expected);
            }
            return problem ? parser->problem : NULL;
        }
    }
    return refuse_key(parser, key);
}

/* ---- The whole ---- */

const struct unit *manifest_find(const struct manifest *manifest, const char *name)
{
    for (unsigned i = 0; i < manifest->count; i++) {
        if (strcmp(manifest->units[i].name, name) == 0) {
            return &manifest->units[i];
        }
    }
    return NULL;
}

static bool list_has(const struct text_list *list, const char *text)
{
    for (unsigned i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], text) == 0) {
            return true;
        }
    }
    return false;
}

const struct unit *manifest_find_offer(const struct manifest *manifest, const char *interface)
{
    for (unsigned i = 0; i < manifest->count; i++) {
        if (list_has(&manifest->units[i].offers, interface)) {
            return &manifest->units[i];
        }
    }
    return NULL;
}

/* The manager's own interfaces. */
static bool is_of_manager(const char *interface)
{
    static const char *const names[] = {"tessera:init/status", "tessera:init/control", "tessera:init/names"};
    for (size_t i = 0; i < LENGTH(names); i++) {
        if (strcmp(interface, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* What is wrong with a unit, given all others; `text` is the word that is. */
static const char *check_unit(const struct manifest *manifest, struct unit *unit, const char **text)
{
    *text = unit->name;
    if (!unit->module || !*unit->module) {
        return "it has no Module; say which program it runs";
    }
    if (unit->start == START_DEMAND && !unit->offers.count) {
        return "it is started on demand, but offers nothing that could be asked for; add Offers, or take another Start";
    }
    if (unit->state_bytes % STATE_UNIT || unit->state_bytes > STATE_MAXIMUM) {
        return "StateMemory is a multiple of 4K, at most 16M";
    }
    for (unsigned i = 0; i < unit->offers.count; i++) {
        *text = unit->offers.items[i];
        if (strlen(*text) > MANIFEST_INTERFACE) {
            return "the interface's name is too long";
        }
        if (manifest_find_offer(manifest, *text) != unit) {
            return "another unit offers the interface, too; take it out of one of both";
        }
    }
    for (unsigned i = 0; i < unit->uses.count; i++) {
        *text = unit->uses.items[i];
        if (!manifest_find_offer(manifest, *text) && !is_of_manager(*text)) {
            return "no unit offers the interface; is it written as in Offers?";
        }
    }
    for (unsigned i = 0; i < unit->handles.count; i++) {
        *text = unit->handles.items[i];
        if (strcmp(*text, "clock") != 0 && strcmp(*text, "system") != 0 && strcmp(*text, "system:inspect") != 0) {
            return "no handle that init could give; there are clock, system and system:inspect";
        }
    }
    for (unsigned i = 0; i < unit->requires_.count; i++) {
        *text = unit->requires_.items[i];
        const struct unit *other = manifest_find(manifest, *text);
        if (!other) {
            return "no such unit, which it requires; is it written as in its [section]?";
        }
        unit->required |= UINT64_C(1) << (other - manifest->units);
    }
    return NULL;
}

/* A unit that requires itself, in the end; NULL: there is none. */
static const struct unit *find_cycle(const struct manifest *manifest)
{
    uint64_t done = 0;
    for (bool progress = true; progress;) {
        progress = false;
        for (unsigned i = 0; i < manifest->count; i++) {
            uint64_t bit = UINT64_C(1) << i;
            if (!(done & bit) && !(manifest->units[i].required & ~done)) {
                done |= bit;
                progress = true;
            }
        }
    }
    for (unsigned i = 0; i < manifest->count; i++) {
        if (!(done >> i & 1)) {
            return &manifest->units[i];
        }
    }
    return NULL;
}

bool manifest_parse(char *text, size_t size, struct manifest *manifest, unsigned *line, char *message,
                    size_t message_size)
{
    struct parser parser = {.manifest = manifest, .line = line};
    const char *problem, *word;
    manifest->count = 0;
    if (!unit_file_parse(text, size, handle_key, &parser, line, &problem)) {
        snprintf(message, message_size, "%s", problem);
        return false;
    }
    for (unsigned i = 0; i < manifest->count; i++) {
        struct unit *unit = &manifest->units[i];
        problem = check_unit(manifest, unit, &word);
        if (problem) {
            *line = unit->line;
            snprintf(message, message_size, "unit %s: %.100s: %s", unit->name, word, problem);
            return false;
        }
    }
    const struct unit *cycle = find_cycle(manifest);
    if (cycle) {
        *line = cycle->line;
        snprintf(message, message_size, "unit %s: it requires itself, or one that does", cycle->name);
        return false;
    }
    *line = 0;
    return true;
}

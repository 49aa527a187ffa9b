#include "services/init/manifest.h"

#include <stdio.h>
#include <string.h>

#include "services/init/ini.h"

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

static const struct key {
    const char *name;
    size_t offset;
    const char *(*parse)(void *field, char *value);
} keys[] = {
    {"Description", offsetof(struct unit, description), parse_text},
    {"Module", offsetof(struct unit, module), parse_text},
    {"Arguments", offsetof(struct unit, arguments), parse_words},
    {"Environment", offsetof(struct unit, environment), parse_words},
    {"Directories", offsetof(struct unit, directories), parse_words},
    {"Handles", offsetof(struct unit, handles), parse_words},
    {"Offers", offsetof(struct unit, offers), parse_words},
    {"Uses", offsetof(struct unit, uses), parse_words},
    {"Requires", offsetof(struct unit, requires_), parse_words},
    {"Start", offsetof(struct unit, start), parse_start},
    {"Restart", offsetof(struct unit, restart), parse_restart},
    {"RestartSec", offsetof(struct unit, restart_delay), parse_time},
    {"RestartMaxDelaySec", offsetof(struct unit, restart_delay_maximum), parse_time},
    {"RestartResetSec", offsetof(struct unit, restart_reset), parse_time},
    {"StartLimitBurst", offsetof(struct unit, start_limit), parse_count},
    {"TimeoutStopSec", offsetof(struct unit, stop_timeout), parse_time},
    {"OnExit", offsetof(struct unit, on_exit), parse_exit_action},
    {"MemoryMax", offsetof(struct unit, memory_limit), parse_size},
    {"HandlesMax", offsetof(struct unit, handle_limit), parse_count},
    {"ThreadsMax", offsetof(struct unit, thread_limit), parse_count},
    {"CPUWeight", offsetof(struct unit, weight), parse_count},
};

struct parser {
    struct manifest *manifest;
    unsigned *line;
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
        return "a unit's name has 1 to 31 small letters, digits and hyphens";
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

static const char *handle_key(void *context, char *section, char *key, char *value)
{
    struct parser *parser = context;
    if (!key) {
        return begin_unit(parser, section);
    }
    struct unit *unit = &parser->manifest->units[parser->manifest->count - 1];
    for (size_t i = 0; i < LENGTH(keys); i++) {
        if (strcmp(key, keys[i].name) == 0) {
            return keys[i].parse((char *)unit + keys[i].offset, value);
        }
    }
    return "no such key";
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
        return "it has no Module";
    }
    if (unit->start == START_DEMAND && !unit->offers.count) {
        return "it is started on demand, but offers nothing that could be asked for";
    }
    for (unsigned i = 0; i < unit->offers.count; i++) {
        *text = unit->offers.items[i];
        if (strlen(*text) > MANIFEST_INTERFACE) {
            return "the interface's name is too long";
        }
        if (manifest_find_offer(manifest, *text) != unit) {
            return "another unit offers the interface, too";
        }
    }
    for (unsigned i = 0; i < unit->uses.count; i++) {
        *text = unit->uses.items[i];
        if (!manifest_find_offer(manifest, *text) && !is_of_manager(*text)) {
            return "no unit offers the interface";
        }
    }
    for (unsigned i = 0; i < unit->handles.count; i++) {
        *text = unit->handles.items[i];
        if (strcmp(*text, "clock") != 0 && strcmp(*text, "system") != 0 && strcmp(*text, "system:inspect") != 0) {
            return "no handle that init could give";
        }
    }
    for (unsigned i = 0; i < unit->requires_.count; i++) {
        *text = unit->requires_.items[i];
        const struct unit *other = manifest_find(manifest, *text);
        if (!other) {
            return "no such unit, which it requires";
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
    struct parser parser = {manifest, line};
    const char *problem, *word;
    manifest->count = 0;
    if (!ini_parse(text, size, handle_key, &parser, line, &problem)) {
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

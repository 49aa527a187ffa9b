/* The manifest: which services there are, what each may use, and when it is started (again). docs/services.md describes
 * the keys; the table in manifest.c lists them. */
#ifndef SERVICES_INIT_MANIFEST_H
#define SERVICES_INIT_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MANIFEST_UNITS     64 /* at most */
#define MANIFEST_LIST      16 /* of one key */
#define MANIFEST_NAME      31 /* bytes */
#define MANIFEST_INTERFACE 95 /* bytes of an interface's name */

struct text_list {
    unsigned count;
    const char *items[MANIFEST_LIST];
};

enum start_policy { START_BOOT, START_DEMAND, START_MANUAL };
enum restart_policy { RESTART_NO, RESTART_ON_FAILURE, RESTART_ALWAYS };
enum exit_action { ON_EXIT_NOTHING, ON_EXIT_END };

struct unit {
    const char *name;
    const char *description;
    const char *module; /* path */
    struct text_list arguments, environment, directories;
    struct text_list offers, uses; /* interfaces */
    struct text_list requires_;    /* names of units, see `required` */
    uint64_t required;             /* the same as a set: bit i is unit i of the manifest */
    struct text_list handles;      /* "clock", "system", "system:inspect" */
    enum start_policy start;
    enum restart_policy restart;
    enum exit_action on_exit;
    uint64_t restart_delay, restart_delay_maximum, restart_reset; /* nanoseconds */
    uint64_t stop_timeout;
    uint64_t start_limit;                                      /* starts in a row; 0: no limit */
    uint64_t state_bytes;                                      /* kept for its processes; 0: none */
    uint64_t memory_limit, handle_limit, thread_limit, weight; /* 0: what init has left, or the usual */
    unsigned line;
};

struct manifest {
    unsigned count;
    struct unit units[MANIFEST_UNITS];
};

/* Read `size` bytes at `text`, which must stay as long as the manifest is used, are changed, and are followed by a byte
 * that may be written. False: *line (0: none in particular) and `message` say what is wrong. */
bool manifest_parse(char *text, size_t size, struct manifest *manifest, unsigned *line, char *message,
                    size_t message_size);

/* The unit of that name, that offers the interface; NULL. */
const struct unit *manifest_find(const struct manifest *manifest, const char *name);
const struct unit *manifest_find_offer(const struct manifest *manifest, const char *interface);

#endif

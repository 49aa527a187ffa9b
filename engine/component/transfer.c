/* The interpreter of plans: one loop for values in memory, one for flat values.
 *
 * Addresses of the source are 32-bit numbers that were checked together with their extent; memory never shrinks, so
 * they stay good. Host addresses are made anew where they are used, since a side may move when it allocates. */
#include "engine/component/transfer.h"

#include "engine/decode.h"

const char *component_status_text(enum component_status status)
{
    static const char *const texts[] = {
#define STATUS(name, text) text,
        COMPONENT_STATUSES(STATUS)
#undef STATUS
    };
    return texts[status];
}

/* ---- Memory ---- */
static bool is_aligned(uint32_t address, uint32_t alignment)
{
    return (address & (alignment - 1)) == 0;
}

static bool is_inside(const struct component_side *side, uint32_t address, uint64_t bytes)
{
    return bytes <= side->bytes && address <= side->bytes - bytes;
}

/* One read, whatever the compiler thinks of it: the guest may write it at the same time. */
static uint32_t read_u32(const struct component_transfer *transfer, uint32_t address)
{
    return __atomic_load_n((const uint32_t *)(transfer->source->base + address), __ATOMIC_RELAXED);
}

static uint32_t read_number(const struct component_transfer *transfer, uint32_t address, uint32_t bytes)
{
    const uint8_t *from = transfer->source->base + address;
    return bytes == 1   ? __atomic_load_n(from, __ATOMIC_RELAXED)
           : bytes == 2 ? __atomic_load_n((const uint16_t *)from, __ATOMIC_RELAXED)
                        : __atomic_load_n((const uint32_t *)from, __ATOMIC_RELAXED);
}

static void write_number(const struct component_transfer *transfer, uint32_t address, uint32_t bytes, uint32_t value)
{
    uint8_t *to = transfer->destination->base + address;
    if (bytes == 1) {
        *to = (uint8_t)value;
    } else if (bytes == 2) {
        *(uint16_t *)to = (uint16_t)value;
    } else {
        *(uint32_t *)to = value;
    }
}

/* Of any address; each is read once, whatever the compiler thinks of it. */
typedef uint64_t loose_u64 __attribute__((aligned(1), may_alias));
typedef uint32_t loose_u32 __attribute__((aligned(1), may_alias));
#define READ(type, address) (*(const volatile type *)(address))
#define LETTERS             UINT64_C(0x8080808080808080) /* clear in eight letters of ASCII */

/* A string instruction is slow to start. */
#define FEW_BYTES 64

static void copy_bytes(uint8_t *to, const uint8_t *from, uint32_t bytes)
{
    if (bytes > FEW_BYTES) {
        memcpy(to, from, bytes);
        return;
    }
    for (; bytes >= 8; bytes -= 8, from += 8, to += 8) {
        *(loose_u64 *)to = READ(loose_u64, from);
    }
    if (bytes >= 4) {
        *(loose_u32 *)to = READ(loose_u32, from);
        bytes -= 4, from += 4, to += 4;
    }
    for (; bytes; bytes--) {
        *to++ = READ(uint8_t, from++);
    }
}

static void copy(const struct component_transfer *transfer, uint32_t from, uint32_t to, uint32_t bytes)
{
    copy_bytes(transfer->destination->base + to, transfer->source->base + from, bytes);
}

/* The letters of ASCII before the first other one, or some of them; what is looked at is what is written. Returns how
 * many were copied. */
static uint32_t copy_letters(uint8_t *to, const uint8_t *from, uint32_t length)
{
    uint32_t copied = 0;
    for (; length - copied >= 8; copied += 8) {
        uint64_t eight = READ(loose_u64, from + copied);
        *(loose_u64 *)(to + copied) = eight;
        if (eight & LETTERS) {
            return copied;
        }
    }
    if (length - copied >= 4) {
        uint32_t four = READ(loose_u32, from + copied);
        *(loose_u32 *)(to + copied) = four;
        if (four & (uint32_t)LETTERS) {
            return copied;
        }
        copied += 4;
    }
    for (; copied < length; copied++) {
        uint8_t letter = READ(uint8_t, from + copied);
        if (letter & 0x80) {
            break;
        }
        to[copied] = letter;
    }
    return copied;
}

/* False: it is no UTF-8. */
static bool copy_text(uint8_t *to, const uint8_t *from, uint32_t length)
{
    uint32_t copied = length > FEW_BYTES ? 0 : copy_letters(to, from, length);
    if (copied == length) {
        return true;
    }
    copy_bytes(to + copied, from + copied, length - copied);
    return decode_utf8_valid(to + copied, length - copied);
}

/* Room in the destination. Where nothing is needed, the guest is not asked: any aligned address will do. */
static enum component_status allocate(struct component_transfer *transfer, uint32_t alignment, uint64_t bytes,
                                      bool whole, uint32_t *address)
{
    struct component_side *side = transfer->destination;
    if (bytes > transfer->bytes_left) {
        return COMPONENT_LARGE;
    }
    transfer->bytes_left -= bytes;
    *address = alignment;
    if (bytes == 0) {
        return COMPONENT_OK;
    }
    side->is_whole = whole;
    enum component_status status = side->allocate(side, alignment, (uint32_t)bytes, address);
    if (status != COMPONENT_OK) {
        return status;
    }
    return !is_inside(side, *address, bytes)  ? COMPONENT_ALLOCATION_BOUNDS
           : !is_aligned(*address, alignment) ? COMPONENT_ALLOCATION_ALIGNMENT
                                              : COMPONENT_OK;
}

/* ---- Single values ---- */
static bool is_character(uint32_t value)
{
    return value < 0x110000 && (value < 0xd800 || value > 0xdfff);
}

static enum component_status move_string(struct component_transfer *transfer, uint32_t from, uint32_t length,
                                         uint32_t *to)
{
    if (!is_inside(transfer->source, from, length)) {
        return COMPONENT_BOUNDS;
    }
    enum component_status status = allocate(transfer, 1, length, true, to);
    if (status != COMPONENT_OK || length == 0) {
        return status;
    }
    bool good = copy_text(transfer->destination->base + *to, transfer->source->base + from, length);
    return good ? COMPONENT_OK : COMPONENT_UTF8;
}

static enum component_status move_values(struct component_transfer *transfer, const struct component_plan *plan,
                                         uint32_t program, uint32_t from, uint32_t to);

static enum component_status move_list(struct component_transfer *transfer, const struct component_plan *plan,
                                       const struct component_step *step, uint32_t from, uint32_t length, uint32_t *to)
{
    uint64_t bytes = (uint64_t)length * step->bytes;
    if (!is_inside(transfer->source, from, bytes)) {
        return COMPONENT_BOUNDS;
    }
    if (!is_aligned(from, step->alignment)) {
        return COMPONENT_ALIGNMENT;
    }
    enum component_status status = allocate(transfer, step->alignment, bytes, step->target == 0, to);
    if (status != COMPONENT_OK || bytes == 0) {
        return status;
    }
    if (step->target == 0) {
        copy(transfer, from, *to, (uint32_t)bytes);
        return COMPONENT_OK;
    }
    for (uint64_t offset = 0; offset < bytes && status == COMPONENT_OK; offset += step->bytes) {
        status = move_values(transfer, plan, step->target, from + (uint32_t)offset, *to + (uint32_t)offset);
    }
    return status;
}

static enum component_status move_sequence(struct component_transfer *transfer, const struct component_plan *plan,
                                           const struct component_step *step, uint32_t from, uint32_t length,
                                           uint32_t *to)
{
    return step->kind == COMPONENT_STEP_STRING ? move_string(transfer, from, length, to)
                                               : move_list(transfer, plan, step, from, length, to);
}

static enum component_status move_handle(struct component_transfer *transfer, const struct component_step *step,
                                         uint32_t from, uint32_t *to)
{
    if (!transfer->handle) {
        return COMPONENT_HANDLE;
    }
    return transfer->handle(transfer, step->resource, step->kind == COMPONENT_STEP_OWN, from, to);
}

/* ---- Values in memory ---- */
static enum component_status move_variant(struct component_transfer *transfer, const struct component_plan *plan,
                                          const struct component_step *step, uint32_t from, uint32_t to)
{
    uint32_t number = read_number(transfer, from + step->place, step->bytes);
    if (number >= step->count) {
        return COMPONENT_CASE;
    }
    write_number(transfer, to + step->place, step->bytes, number);
    return move_values(transfer, plan, plan->cases[step->target + number], from, to);
}

/* One step; `from` and `to` are the addresses of the whole value. */
static inline __attribute__((always_inline)) enum component_status move_step(struct component_transfer *transfer,
                                                                             const struct component_plan *plan,
                                                                             const struct component_step *step,
                                                                             uint32_t from, uint32_t to)
{
    enum component_status status = COMPONENT_OK;
    uint32_t value = 0, length = 0;
    uint32_t source = from + step->place, place = to + step->place;
    switch ((enum component_step_kind)step->kind) {
    case COMPONENT_STEP_END:
        break;
    case COMPONENT_STEP_COPY:
        copy(transfer, source, place, step->bytes);
        break;
    case COMPONENT_STEP_BOOL:
        write_number(transfer, place, 1, read_number(transfer, source, 1) != 0);
        break;
    case COMPONENT_STEP_CHAR:
        value = read_u32(transfer, source);
        write_number(transfer, place, 4, value);
        status = is_character(value) ? COMPONENT_OK : COMPONENT_CHARACTER;
        break;
    case COMPONENT_STEP_FLAGS:
        write_number(transfer, place, step->bytes, read_number(transfer, source, step->bytes) & step->mask);
        break;
    case COMPONENT_STEP_STRING:
    case COMPONENT_STEP_LIST:
        length = read_u32(transfer, source + 4);
        status = move_sequence(transfer, plan, step, read_u32(transfer, source), length, &value);
        write_number(transfer, place, 4, value);
        write_number(transfer, place + 4, 4, length);
        break;
    case COMPONENT_STEP_VARIANT:
        status = move_variant(transfer, plan, step, from, to);
        break;
    case COMPONENT_STEP_OWN:
    case COMPONENT_STEP_BORROW:
        status = move_handle(transfer, step, read_u32(transfer, source), &value);
        write_number(transfer, place, 4, value);
        break;
    }
    return status;
}

static enum component_status move_values(struct component_transfer *transfer, const struct component_plan *plan,
                                         uint32_t program, uint32_t from, uint32_t to)
{
    enum component_status status = COMPONENT_OK;
    for (const struct component_step *step = &plan->steps[program];
         step->kind != COMPONENT_STEP_END && status == COMPONENT_OK; step++) {
        status = move_step(transfer, plan, step, from, to);
    }
    return status;
}

/* ---- Flat values ---- */
static enum component_status move_flat(struct component_transfer *transfer, const struct component_plan *plan,
                                       uint32_t program, const uint64_t *from, uint64_t *to);

static enum component_status move_flat_variant(struct component_transfer *transfer, const struct component_plan *plan,
                                               const struct component_step *step, const uint64_t *from, uint64_t *to)
{
    uint32_t number = (uint32_t)from[step->place];
    if (number >= step->count) {
        return COMPONENT_CASE;
    }
    for (uint32_t i = step->place + 1; i < step->flat_end; i++) {
        to[i] = 0;
    }
    to[step->place] = number;
    return move_flat(transfer, plan, plan->cases[step->target + number], from, to);
}

static inline __attribute__((always_inline)) enum component_status move_flat_step(struct component_transfer *transfer,
                                                                                  const struct component_plan *plan,
                                                                                  const struct component_step *step,
                                                                                  const uint64_t *from, uint64_t *to)
{
    enum component_status status = COMPONENT_OK;
    uint32_t value = (uint32_t)from[step->place], moved = 0;
    switch ((enum component_step_kind)step->kind) {
    case COMPONENT_STEP_END:
        break;
    case COMPONENT_STEP_COPY:
        to[step->place] = component_flat_number(step, from[step->place]);
        break;
    case COMPONENT_STEP_BOOL:
        to[step->place] = value != 0;
        break;
    case COMPONENT_STEP_CHAR:
        to[step->place] = value;
        status = is_character(value) ? COMPONENT_OK : COMPONENT_CHARACTER;
        break;
    case COMPONENT_STEP_FLAGS:
        to[step->place] = value & step->mask;
        break;
    case COMPONENT_STEP_STRING:
    case COMPONENT_STEP_LIST:
        status = move_sequence(transfer, plan, step, value, (uint32_t)from[step->place + 1], &moved);
        to[step->place] = moved;
        to[step->place + 1] = (uint32_t)from[step->place + 1];
        break;
    case COMPONENT_STEP_VARIANT:
        status = move_flat_variant(transfer, plan, step, from, to);
        break;
    case COMPONENT_STEP_OWN:
    case COMPONENT_STEP_BORROW:
        status = move_handle(transfer, step, value, &moved);
        to[step->place] = moved;
        break;
    }
    return status;
}

static enum component_status move_flat(struct component_transfer *transfer, const struct component_plan *plan,
                                       uint32_t program, const uint64_t *from, uint64_t *to)
{
    enum component_status status = COMPONENT_OK;
    for (const struct component_step *step = &plan->steps[program];
         step->kind != COMPONENT_STEP_END && status == COMPONENT_OK; step++) {
        status = move_flat_step(transfer, plan, step, from, to);
    }
    return status;
}

/* ---- Calls ---- */
/* The tuple that `from` points to. */
static enum component_status check_source_tuple(const struct component_transfer *transfer,
                                                const struct component_plan *plan, uint32_t from)
{
    return !is_inside(transfer->source, from, plan->bytes) ? COMPONENT_BOUNDS
           : !is_aligned(from, plan->alignment)            ? COMPONENT_ALIGNMENT
                                                           : COMPONENT_OK;
}

enum component_status component_transfer_parameters(struct component_transfer *transfer,
                                                    const struct component_plan *plan, const uint64_t *from,
                                                    uint64_t *to)
{
    if (!plan->in_memory) {
        return move_flat(transfer, plan, plan->start, from, to);
    }
    uint32_t address = 0;
    enum component_status status = check_source_tuple(transfer, plan, (uint32_t)from[0]);
    if (status == COMPONENT_OK) {
        status = allocate(transfer, plan->alignment, plan->bytes, false, &address);
    }
    if (status == COMPONENT_OK) {
        status = move_values(transfer, plan, plan->start, (uint32_t)from[0], address);
    }
    to[0] = address;
    return status;
}

enum component_status component_check_result(const struct component_side *destination,
                                             const struct component_plan *plan, uint32_t address)
{
    if (!plan->in_memory) {
        return COMPONENT_OK;
    }
    return !is_inside(destination, address, plan->bytes) ? COMPONENT_RESULT_BOUNDS
           : !is_aligned(address, plan->alignment)       ? COMPONENT_RESULT_ALIGNMENT
                                                         : COMPONENT_OK;
}

enum component_status component_transfer_result(struct component_transfer *transfer, const struct component_plan *plan,
                                                uint64_t from, uint32_t address, uint64_t *to)
{
    if (!plan->in_memory) {
        return move_flat(transfer, plan, plan->start, &from, to);
    }
    enum component_status status = check_source_tuple(transfer, plan, (uint32_t)from);
    if (status == COMPONENT_OK) {
        status = component_check_result(transfer->destination, plan, address);
    }
    return status == COMPONENT_OK ? move_values(transfer, plan, plan->start, (uint32_t)from, address) : status;
}

/* ---- Buffers ---- */
static enum component_status buffer_allocate(struct component_side *side, uint32_t alignment, uint32_t bytes,
                                             uint32_t *address)
{
    struct component_buffer *buffer = (struct component_buffer *)side;
    uint64_t start = align_up(buffer->used, alignment);
    if (start + bytes > side->bytes) {
        return COMPONENT_LARGE;
    }
    buffer->used = (uint32_t)(start + bytes);
    *address = (uint32_t)start;
    return COMPONENT_OK;
}

void component_buffer_initialize(struct component_buffer *buffer, void *memory, uint64_t capacity)
{
    *buffer = (struct component_buffer){
        .side = {.base = memory, .bytes = min_u64(capacity, UINT32_MAX), .allocate = buffer_allocate},
        .used = 8,
    };
}

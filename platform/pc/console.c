#include "platform/pc/console.h"

#include "engine/base.h"
#include "engine/format.h"
#include "kernel/guest_copy.h"
#include "platform/pc/boot.h"
#include "platform/pc/console_protocol.h"
#include "platform/pc/cpu.h"
#include "platform/pc/instructions.h"
#include "platform/pc/spinlock.h"

/* ---- 16550 ---- */
#define PORT                 0x3f8
#define PORT_DATA            (PORT + 0)
#define PORT_ENABLE          (PORT + 1) /* interrupts */
#define PORT_FIFO            (PORT + 2)
#define PORT_FORMAT          (PORT + 3)
#define PORT_MODEM           (PORT + 4)
#define PORT_STATUS          (PORT + 5)
#define ENABLE_INPUT         0x01
#define ENABLE_OUTPUT        0x02
#define STATUS_RECEIVED      0x01
#define STATUS_SENDABLE      0x20
#define STATUS_NO_DEVICE     0xff
#define FIFO_ON              0x01
#define FIFO_CLEAR           0x06
#define FIFO_INTERRUPT_AT_8  0x80
#define FIFO_INTERRUPT_AT_14 0xc0
#define FIFO_BYTES           16

/* Look so often whether the line takes more before waiting for its interrupt. */
#define POLLS_MAXIMUM 2000

static bool framed;
static bool terminals[STREAM_COUNT];
static bool input_enabled;

/* One frame or piece of text at a time. A panic does without, and the exit status is the last that is sent. */
static struct long_lock output_lock;
static bool output_unlocked; /* from now on by one CPU */
static uint32_t
    frame_rest GUARDED_BY(output_lock); /* bytes of the frame being sent that are still to come; looked at by a panic */

/* ---- Input: the ring is filled at interrupt time, on the CPU that the line interrupts (`input_head`, `input_ended`),
 * and emptied by kernel code, one CPU at a time (`input_tail`). ---- */
#define INPUT_BYTES 16384
#define READ_BYTES  512 /* at once; on the kernel stack */
static uint8_t input[INPUT_BYTES];
static volatile uint32_t input_head, input_tail;
static volatile bool input_ended;
static struct long_lock reader_lock; /* of `input_tail` and the line being edited */
static struct spinlock credit_lock;
static uint32_t credit GUARDED_BY(credit_lock); /* bytes that the host may still send */

/* Frame that is arriving; interrupt time only. */
static uint8_t header[CONSOLE_HEADER_BYTES];
static uint32_t header_bytes, payload_rest;

/* Plain mode: the line being edited; complete lines wait in `line` until they are read. */
#define LINE_BYTES 1024
static uint8_t line[LINE_BYTES];
static uint32_t line_bytes GUARDED_BY(reader_lock), line_read GUARDED_BY(reader_lock);
static bool line_complete GUARDED_BY(reader_lock);

void console_initialize(void)
{
    out8(PORT_ENABLE, 0);
    out8(PORT_FORMAT, 0x80); /* divisor: 115200 baud */
    out8(PORT_DATA, 1);
    out8(PORT_ENABLE, 0);
    out8(PORT_FORMAT, 0x03); /* 8 bits, no parity, 1 stop bit */
    out8(PORT_FIFO, FIFO_ON | FIFO_CLEAR | FIFO_INTERRUPT_AT_8);
    out8(PORT_MODEM, 0x0b); /* DTR, RTS, OUT2: the interrupt's gate */
}

/* ---- Output ---- */

static bool interrupts_on(void)
{
    uint64_t flags;
    __asm__ volatile("pushfq; popq %0" : "=r"(flags));
    return flags >> 9 & 1;
}

NO_LOCK_ANALYSIS static void output_begin(void) ACQUIRES(output_lock)
{
    if (!output_unlocked)
        long_lock_acquire(&output_lock);
}

NO_LOCK_ANALYSIS static void output_end(void) RELEASES(output_lock)
{
    if (!output_unlocked)
        long_lock_release(&output_lock);
}

/* Until the FIFO is empty. A host that does not read stops us here: then sleep until the line says so, except where its
 * interrupt does not come (on other CPUs than the boot CPU, and in a panic), which looks again. */
static void wait_sendable(void)
{
    for (uint32_t polls = 0; !(in8(PORT_STATUS) & STATUS_SENDABLE); polls++) {
        if (polls < POLLS_MAXIMUM || !input_enabled || !interrupts_on() || pc_cpu()->number != 0) {
            tlb_serve();
            continue;
        }
        interrupts_disable();
        out8(PORT_ENABLE, ENABLE_INPUT | ENABLE_OUTPUT);
        if (!(in8(PORT_STATUS) & STATUS_SENDABLE))
            __asm__ volatile("sti; hlt" ::: "memory");
        interrupts_disable();
        out8(PORT_ENABLE, ENABLE_INPUT);
        interrupts_restore(true);
    }
}

/* From memory that may be a guest's, out of which another process may take pages at any moment (a mapping that it
 * revokes): what is gone reads as zeros, since a frame that has begun needs its end, and no guest may end in here. */
static void fetch(uint8_t *to, const uint8_t *from, size_t count)
{
    if (guest_copy(to, from, count))
        memset(to, 0, count);
}

static void send(const uint8_t *bytes, size_t count) REQUIRES(output_lock)
{
    uint8_t piece[FIFO_BYTES];
    while (count > 0) {
        size_t part = min_u64(count, sizeof piece);
        fetch(piece, bytes, part);
        wait_sendable();
        out_bytes(PORT_DATA, piece, part);
        bytes += part;
        count -= part;
        frame_rest -= min_u64(frame_rest, part);
    }
}

/* Text with \n as \r\n. */
static void send_text(const uint8_t *text, size_t count) REQUIRES(output_lock)
{
    uint8_t piece[FIFO_BYTES], buffer[FIFO_BYTES];
    size_t filled = 0;
    for (size_t i = 0; i < count; i++) {
        if (i % sizeof piece == 0)
            fetch(piece, text + i, min_u64(count - i, sizeof piece));
        if (filled + 2 > sizeof buffer) {
            send(buffer, filled);
            filled = 0;
        }
        if (piece[i % sizeof piece] == '\n')
            buffer[filled++] = '\r';
        buffer[filled++] = piece[i % sizeof piece];
    }
    send(buffer, filled);
}

static void send_frame(enum console_frame type, const void *payload, size_t bytes) REQUIRES(output_lock)
{
    uint8_t start[FIFO_BYTES] = {(uint8_t)type, (uint8_t)bytes, (uint8_t)(bytes >> 8)};
    size_t first = min_u64(bytes, FIFO_BYTES - CONSOLE_HEADER_BYTES);
    fetch(start + CONSOLE_HEADER_BYTES, payload, first);
    frame_rest = (uint32_t)(CONSOLE_HEADER_BYTES + bytes);
    send(start, CONSOLE_HEADER_BYTES + first);
    send((const uint8_t *)payload + first, bytes - first);
}

static void send_as(enum console_frame type, const void *bytes, size_t count)
{
    output_begin();
    if (!framed)
        send_text(bytes, count);
    for (size_t done = 0; framed && done < count;) {
        size_t part = min_u64(count - done, CONSOLE_PAYLOAD_MAXIMUM);
        send_frame(type, (const uint8_t *)bytes + done, part);
        done += part;
    }
    output_end();
}

/* Memory of a guest may have no frame yet, and none may be left: then the guest ends right there, which must not be
 * with a lock held. Behind this its pages have frames, unless somebody takes them away. */
static void touch(const void *memory, size_t bytes)
{
    const volatile uint8_t *start = memory;
    for (size_t i = 0; i < bytes; i += FRAME_BYTES)
        (void)start[i];
    if (bytes > 0)
        (void)start[bytes - 1];
}

enum status platform_stream_write(enum stream stream, const void *buffer, size_t bytes, size_t *done)
{
    *done = 0;
    if (stream != STREAM_OUTPUT && stream != STREAM_ERROR)
        return STATUS_INVALID;
    /* A part at a time, so that the caller can look at what else is to be done. */
    *done = min_u64(bytes, CONSOLE_PAYLOAD_MAXIMUM);
    touch(buffer, *done);
    send_as(stream == STREAM_OUTPUT ? CONSOLE_OUTPUT : CONSOLE_ERROR, buffer, *done);
    return STATUS_OK;
}

void platform_log(const char *text, size_t bytes)
{
    send_as(CONSOLE_LOG, text, bytes);
}

void platform_record(enum record_stream stream, const void *record, size_t bytes)
{
    static const enum console_frame types[RECORD_COUNT] = {[RECORD_PROFILE] = CONSOLE_PROFILE,
                                                           [RECORD_TRACE] = CONSOLE_TRACE};
    _Static_assert(PLATFORM_RECORD_BYTES <= CONSOLE_PAYLOAD_MAXIMUM, "a record is a frame");
    if (framed)
        send_as(types[stream], record, bytes);
}

static void log_list(enum console_frame type, const char *format, va_list arguments)
{
    char text[256];
    size_t length = format_text_list(text, sizeof text, format, arguments);
    send_as(type, text, min_u64(length, sizeof text - 1));
}

void console_verbose(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_list(CONSOLE_VERBOSE, format, arguments);
    va_end(arguments);
}

void console_message(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_list(CONSOLE_LOG, format, arguments);
    va_end(arguments);
}

NO_LOCK_ANALYSIS void console_finish(int status, bool panic)
{
    if (!framed && status != 0)
        console_message("power off with status %d\n", status);
    output_begin(); /* and nobody sends anything any more */
    if (framed) {
        uint32_t value = (uint32_t)status;
        uint8_t payload[5] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16), (uint8_t)(value >> 24),
                              panic ? CONSOLE_END_PANIC : CONSOLE_END_POWER_OFF};
        send_frame(CONSOLE_EXIT, payload, sizeof payload);
    }
    for (uint32_t polls = 0; !(in8(PORT_STATUS) & 0x40) && polls < 1000000; polls++)
        ; /* the transmitter, too, must be empty */
}

/* A panic may come in the middle of a frame: fill it up, so that the reason gets a frame of its own. (Where the frame
 * is another CPU's, that one stands still.) */
NO_LOCK_ANALYSIS void console_panic(void)
{
    output_unlocked = true;
    static const uint8_t nothing[FIFO_BYTES];
    while (frame_rest > 0)
        send(nothing, min_u64(frame_rest, sizeof nothing));
}

/* ---- Configuration ---- */

void console_configure(const char *command_line)
{
    char value[16];
    framed = boot_option(command_line, "console", value, sizeof value) && memcmp(value, "framed", sizeof "framed") == 0;
    const char *letters = framed ? "" : "ioe";
    if (boot_option(command_line, "terminals", value, sizeof value))
        letters = value;
    for (; *letters; letters++) {
        terminals[STREAM_INPUT] |= *letters == 'i';
        terminals[STREAM_OUTPUT] |= *letters == 'o';
        terminals[STREAM_ERROR] |= *letters == 'e';
    }
    if (!framed)
        return;
    /* Here the line is QEMU's, which waits for room and sends as many bytes at a time as bring the interrupt. (For the
     * rest there is an interrupt after some time.) */
    out8(PORT_FIFO, FIFO_ON | FIFO_INTERRUPT_AT_14);
    output_begin();
    send((const uint8_t *)CONSOLE_GREETING, CONSOLE_GREETING_BYTES);
    output_end();
}

bool platform_stream_is_terminal(enum stream stream)
{
    return stream < STREAM_COUNT && terminals[stream];
}

void console_enable_input(void)
{
    out8(PORT_ENABLE, ENABLE_INPUT);
    input_enabled = true;
}

/* ---- Input at interrupt time ---- */

static void input_put(uint8_t byte)
{
    uint32_t head = input_head;
    if (head - input_tail < INPUT_BYTES) {
        input[head % INPUT_BYTES] = byte;
        input_head = head + 1;
    }
}

static void frame_begin(struct machine_state *state)
{
    payload_rest = (uint32_t)header[1] | (uint32_t)header[2] << 8;
    if (header[0] == CONSOLE_INTERRUPT)
        kernel_interrupt_request(state);
    else if (header[0] == CONSOLE_INPUT_END)
        input_ended = true;
    if (payload_rest == 0)
        header_bytes = 0;
}

static void frame_byte(uint8_t byte, struct machine_state *state)
{
    if (header_bytes < CONSOLE_HEADER_BYTES) {
        header[header_bytes++] = byte;
        if (header_bytes == CONSOLE_HEADER_BYTES)
            frame_begin(state);
        return;
    }
    if (header[0] == CONSOLE_INPUT) {
        input_put(byte);
        spinlock_acquire(&credit_lock);
        credit -= credit > 0;
        spinlock_release(&credit_lock);
    }
    if (--payload_rest == 0)
        header_bytes = 0;
}

#define CONTROL_C 0x03
#define CONTROL_D 0x04

void console_interrupt(struct machine_state *state)
{
    /* Bounded: a line that is not there reads as ever full. */
    for (uint32_t i = 0; i < 4 * FIFO_BYTES; i++) {
        uint8_t status = in8(PORT_STATUS);
        if (!(status & STATUS_RECEIVED) || status == STATUS_NO_DEVICE)
            break;
        uint8_t byte = in8(PORT_DATA);
        if (framed)
            frame_byte(byte, state);
        else if (byte == CONTROL_C)
            kernel_interrupt_request(state);
        else
            input_put(byte);
    }
    (void)in8(PORT_FIFO); /* acknowledges an output interrupt */
}

/* ---- Input for kernel code ---- */

/* Somebody waits for input and there is none: let the host send. */
static void credit_give(void)
{
    spinlock_acquire(&credit_lock);
    uint32_t give = INPUT_BYTES - (input_head - input_tail) - credit;
    if (credit > 0 || input_ended)
        give = 0;
    credit += give;
    spinlock_release(&credit_lock);
    if (give > 0) {
        uint8_t payload[4] = {(uint8_t)give, (uint8_t)(give >> 8), (uint8_t)(give >> 16), (uint8_t)(give >> 24)};
        send_as(CONSOLE_CREDIT, payload, sizeof payload);
    }
}

static size_t input_take(uint8_t *to, size_t bytes) REQUIRES(reader_lock)
{
    size_t taken = 0;
    while (taken < bytes && input_tail != input_head) {
        to[taken++] = input[input_tail % INPUT_BYTES];
        input_tail = input_tail + 1;
    }
    return taken;
}

static void echo(const void *bytes, size_t count)
{
    output_begin();
    send_text(bytes, count);
    output_end();
}

/* Plain mode: edit the line with what has come, until it is complete. */
static void line_edit(void) REQUIRES(reader_lock)
{
    uint8_t byte;
    while (!line_complete && input_take(&byte, 1) == 1) {
        if (byte == '\r' || byte == '\n') {
            line[line_bytes++] = '\n';
            line_complete = true;
            echo("\n", 1);
        } else if (byte == CONTROL_D) {
            line_complete = true; /* an empty line without its \n: the end of input */
        } else if (byte == 0x7f || byte == '\b') {
            if (line_bytes > 0) {
                /* A character of several bytes goes as a whole. */
                while (line_bytes > 1 && (line[line_bytes - 1] & 0xc0) == 0x80)
                    line_bytes--;
                line_bytes--;
                echo("\b \b", 3);
            }
        } else if (line_bytes < LINE_BYTES - 1 && (byte >= ' ' || byte == '\t')) {
            line[line_bytes++] = byte;
            echo(&byte, 1);
        }
    }
}

static enum status line_take(uint8_t *to, size_t bytes, size_t *done) REQUIRES(reader_lock)
{
    line_edit();
    if (!line_complete)
        return STATUS_AGAIN;
    *done = min_u64(bytes, line_bytes - line_read);
    memcpy(to, line + line_read, *done);
    line_read += (uint32_t)*done;
    if (line_read == line_bytes) {
        line_read = line_bytes = 0;
        line_complete = false;
    }
    return STATUS_OK;
}

static enum status read_locked(uint8_t *buffer, size_t bytes, size_t *done) REQUIRES(reader_lock)
{
    if (!framed)
        return line_take(buffer, bytes, done);
    bool ended = input_ended; /* before looking: nothing comes after the end */
    *done = input_take(buffer, bytes);
    return *done > 0 || ended ? STATUS_OK : STATUS_AGAIN;
}

enum status platform_stream_read(enum stream stream, void *buffer, size_t bytes, size_t *done)
{
    uint8_t part[READ_BYTES];
    size_t taken;
    enum status status;
    *done = 0;
    if (stream != STREAM_INPUT)
        return STATUS_INVALID;
    if (bytes == 0)
        return STATUS_OK;
    bytes = min_u64(bytes, INPUT_BYTES);
    do {
        taken = 0;
        long_lock_acquire(&reader_lock);
        status = read_locked(part, min_u64(bytes - *done, sizeof part), &taken);
        long_lock_release(&reader_lock);
        /* The guest may end where its memory is touched: not with the lock held. */
        memcpy((uint8_t *)buffer + *done, part, taken);
        *done += taken;
    } while (framed && taken == sizeof part && *done < bytes);
    if (*done > 0)
        return STATUS_OK;
    if (status == STATUS_AGAIN && framed)
        credit_give();
    return status;
}

bool platform_stream_readable(enum stream stream)
{
    if (stream != STREAM_INPUT)
        return true;
    if (!framed) {
        long_lock_acquire(&reader_lock);
        line_edit();
        bool complete = line_complete;
        long_lock_release(&reader_lock);
        return complete;
    }
    if (input_ended || input_head != input_tail)
        return true;
    credit_give();
    return false;
}

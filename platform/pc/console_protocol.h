/* The framed console: how a kernel in a virtual machine and the `tessera` command share one serial line.
 *
 * Selected by `console=framed` on the kernel's command line; without it the console is plain text. It makes stdout,
 * stderr, stdin, its end and the exit status exact and binary-clean, which a plain serial line cannot.
 *
 * The guest sends CONSOLE_GREETING once, before its first frame; whatever came before it (firmware, loader, a panic
 * before the console was up) is plain text, which the host keeps as log. The host sends nothing before it has seen
 * the greeting. From then on both directions are frames:
 *
 *     byte 0      type (enum console_frame)
 *     bytes 1, 2  length of the payload, little-endian, at most CONSOLE_PAYLOAD_MAXIMUM
 *     then        payload
 *
 * Flow control. The host may send as many bytes of input as the guest gave credit for with CONSOLE_CREDIT, and gives
 * none by itself: so the guest always has room for what arrives, and CONSOLE_INTERRUPT never waits behind unread input.
 * The guest gives credit only when somebody wants to read (a read or poll that found its buffer empty), so that a
 * program that does not read leaves the host's stdin alone. Credit adds up; the guest's unread and unused credit
 * together never exceed its buffer. CONSOLE_INPUT_END is sent once, after all input, and only while credit is open.
 * In the other direction the line itself holds the guest back.
 *
 * A party that receives a type it does not know, or a payload above the maximum, treats the line as broken: the host
 * ends the machine, the guest ignores the frame. */
#ifndef PLATFORM_PC_CONSOLE_PROTOCOL_H
#define PLATFORM_PC_CONSOLE_PROTOCOL_H

#define CONSOLE_GREETING       "\r\n<tessera console 1>\r\n"
#define CONSOLE_GREETING_BYTES (sizeof(CONSOLE_GREETING) - 1)

#define CONSOLE_HEADER_BYTES    3
#define CONSOLE_PAYLOAD_MAXIMUM 4096

enum console_frame {
    /* Guest to host. */
    CONSOLE_OUTPUT = 'o',  /* bytes of stdout */
    CONSOLE_ERROR = 'e',   /* bytes of stderr */
    CONSOLE_LOG = 'l',     /* what users must see: trap reports, panics; text, goes to stderr */
    CONSOLE_VERBOSE = 'v', /* what `-v` shows: progress of the boot, machine, CPU features; text */
    CONSOLE_EXIT = 'x',    /* 4 bytes little-endian: the exit status; 1 byte: enum console_end. The last frame. */
    CONSOLE_PROFILE = 'p', /* one record of RECORD_PROFILE (kernel/platform.h) */
    CONSOLE_TRACE = 't',   /* the same of RECORD_TRACE */
    CONSOLE_CREDIT = 'c',  /* 4 bytes little-endian: how many more bytes of input may be sent */

    /* Host to guest. */
    CONSOLE_INPUT = 'i',     /* bytes of stdin */
    CONSOLE_INPUT_END = 'd', /* no payload: the end of stdin */
    CONSOLE_INTERRUPT = 'k', /* no payload: Ctrl-C, the guest calls kernel_interrupt_request */
};

enum console_end {
    CONSOLE_END_POWER_OFF = 0, /* platform_power_off */
    CONSOLE_END_PANIC = 1,     /* platform_panic; the reason went out as CONSOLE_LOG */
};

/* Command line words that the host adds beside `console=framed`:
 *   terminals=LETTERS  which of the host's streams are terminals: any of i (stdin), o (stdout), e (stderr), for
 *                      platform_stream_is_terminal; absent: none */

#endif

/* Address space over mmap.
 *
 * A reservation is a private mapping without access; committing is mprotect, decommitting maps fresh inaccessible pages
 * over the range. A reservation from which an alias was taken becomes *shared*: it gets a memfd of its own size, the
 * aliased range is moved into it (page at `base + n` lies at offset n), and what is committed later comes from the
 * memfd too, so that growth needs only the window's mapping.
 *
 * The reservations stand in one array sorted by address, for the statistics and for finding the memfd. It is guarded by
 * `lock`, held for the length of one array operation and never over a system call that can take long. */
#include "kernel/platform.h"
#include "engine/base.h"

#include <errno.h>
#include <stdatomic.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>
#include <fcntl.h>

struct reservation {
    uintptr_t base;
    size_t bytes;
    size_t committed;
    int shared_file;               /* memfd, or -1 */
    size_t shared_from, shared_to; /* offsets of the range known to be mapped from it */
    size_t window_from, window_to; /* offsets of what shows pages of another reservation, which counts them */
};

/* More than vm.max_map_count allows by default, so the kernel's limit comes first. */
#define RESERVATIONS_MAXIMUM 131072

static atomic_flag lock = ATOMIC_FLAG_INIT;
/* Address space for RESERVATIONS_MAXIMUM, touched as needed. From high to low addresses, as Linux gives them out: new ones
 * come to the end, where few have to be moved. */
static struct reservation *reservations;
static size_t reservation_count;
static size_t committed_bytes;

static void lock_acquire(void)
{
    while (atomic_flag_test_and_set_explicit(&lock, memory_order_acquire))
        __builtin_ia32_pause();
}

static void lock_release(void)
{
    atomic_flag_clear_explicit(&lock, memory_order_release);
}

/* Index of the first reservation that begins at `address` or below. Caller holds the lock. */
static size_t reservation_below(uintptr_t address)
{
    size_t low = 0, high = reservation_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (reservations[middle].base > address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The reservation that holds `address`, or NULL. Caller holds the lock; valid as long as it does. */
static struct reservation *reservation_find(uintptr_t address)
{
    size_t index = reservation_below(address);
    if (index == reservation_count)
        return NULL;
    struct reservation *reservation = &reservations[index];
    return address - reservation->base < reservation->bytes ? reservation : NULL;
}

static bool reservation_insert(uintptr_t base, size_t bytes)
{
    bool inserted = false;
    lock_acquire();
    if (!reservations) {
        void *array = mmap(NULL, RESERVATIONS_MAXIMUM * sizeof *reservations, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        reservations = array == MAP_FAILED ? NULL : array;
    }
    if (reservations && reservation_count < RESERVATIONS_MAXIMUM) {
        size_t index = reservation_below(base);
        memmove(&reservations[index + 1], &reservations[index], (reservation_count - index) * sizeof *reservations);
        reservations[index] = (struct reservation){.base = base, .bytes = bytes, .shared_file = -1};
        reservation_count++;
        inserted = true;
    }
    lock_release();
    return inserted;
}

/* Change the number of committed bytes of the reservation at `address`; gives its memfd (-1: none) and the offset of
 * `address` in it. */
static int account(void *address, int64_t change, size_t *offset)
{
    int file = -1;
    *offset = 0;
    lock_acquire();
    struct reservation *reservation = reservation_find((uintptr_t)address);
    if (reservation) {
        file = reservation->shared_file;
        *offset = (uintptr_t)address - reservation->base;
        if (*offset >= reservation->window_from && *offset < reservation->window_to) {
            reservation->window_to = change < 0 ? *offset : reservation->window_to;
            change = 0;
        }
        reservation->committed += (size_t)change;
        committed_bytes += (size_t)change;
        if (file >= 0 && change > 0 && reservation->shared_to == *offset)
            reservation->shared_to += (size_t)change;
        else if (file >= 0 && change < 0 && reservation->shared_to > *offset)
            reservation->shared_to = max_u64(*offset, reservation->shared_from);
    }
    lock_release();
    return file;
}

static int protection_flags(enum protection protection)
{
    switch (protection) {
    case PROTECTION_READ:
        return PROT_READ;
    case PROTECTION_READ_WRITE:
        return PROT_READ | PROT_WRITE;
    case PROTECTION_READ_EXECUTE:
        return PROT_READ | PROT_EXEC;
    }
    return PROT_NONE;
}

void *platform_reserve(size_t bytes)
{
    void *address = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (address == MAP_FAILED)
        return NULL;
    if (!reservation_insert((uintptr_t)address, bytes)) {
        munmap(address, bytes);
        return NULL;
    }
    return address;
}

/* Linux keeps frames for its own kernel, and none for ours. */
void *platform_reserve_for_guest(size_t bytes)
{
    return platform_reserve(bytes);
}

void platform_release(void *address, size_t bytes)
{
    int file = -1;
    lock_acquire();
    struct reservation *reservation = reservation_find((uintptr_t)address);
    if (reservation && reservation->base == (uintptr_t)address) {
        size_t index = (size_t)(reservation - reservations);
        committed_bytes -= reservation->committed;
        file = reservation->shared_file;
        reservation_count--;
        memmove(reservation, reservation + 1, (reservation_count - index) * sizeof *reservations);
    }
    lock_release();
    munmap(address, bytes);
    if (file >= 0)
        close(file);
}

enum status platform_commit(void *address, size_t bytes, enum protection protection)
{
    if (bytes == 0)
        return STATUS_OK;
    size_t offset;
    int file = account(address, (int64_t)bytes, &offset);
    bool done;
    if (file >= 0)
        done = mmap(address, bytes, protection_flags(protection), MAP_SHARED | MAP_FIXED | MAP_NORESERVE, file,
                    (off_t)offset) != MAP_FAILED;
    else
        done = mprotect(address, bytes, protection_flags(protection)) == 0;
    if (!done)
        account(address, -(int64_t)bytes, &offset);
    return done ? STATUS_OK : STATUS_NO_MEMORY;
}

/* Linux gives a page at any moment. */
enum status platform_populate(void *address, size_t bytes)
{
    (void)address;
    (void)bytes;
    return STATUS_OK;
}

void platform_decommit(void *address, size_t bytes)
{
    if (bytes == 0)
        return;
    size_t offset;
    int file = account(address, -(int64_t)bytes, &offset);
    if (file >= 0)
        fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes);
    /* Cannot fail where the range is one of ours: no mapping is added that was not there. Should the number of
     * mappings be at its limit all the same, the pages at least go back and lose their access. */
    if (mmap(address, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED) {
        madvise(address, bytes, MADV_DONTNEED);
        mprotect(address, bytes, PROT_NONE);
    }
}

enum status platform_protect(void *address, size_t bytes, enum protection protection)
{
    if (bytes == 0 || mprotect(address, bytes, protection_flags(protection)) == 0)
        return STATUS_OK;
    return errno == ENOMEM ? STATUS_NO_MEMORY : STATUS_INVALID;
}

/* The memfd of the reservation at `address`, made if there is none yet; -1 when it cannot be. */
static int shared_file_of(void *address, size_t *offset)
{
    int file = account(address, 0, offset);
    if (file >= 0)
        return file;
    lock_acquire();
    struct reservation *reservation = reservation_find((uintptr_t)address);
    size_t bytes = reservation ? reservation->bytes : 0;
    lock_release();
    if (bytes == 0)
        return -1;
    file = memfd_create("tessera memory", MFD_CLOEXEC);
    if (file < 0)
        return -1;
    if (ftruncate(file, (off_t)bytes) != 0) {
        close(file);
        return -1;
    }
    lock_acquire();
    reservation = reservation_find((uintptr_t)address);
    reservation->shared_file = file;
    lock_release();
    return file;
}

static bool page_is_zero(const uint8_t *page)
{
    const uint64_t *words = (const uint64_t *)page;
    for (size_t i = 0; i < PLATFORM_PAGE_BYTES / sizeof *words; i++)
        if (words[i] != 0)
            return false;
    return true;
}

/* Copy the pages of `source` that hold anything to `offset` of `file`; holes read as zero by themselves. */
static bool copy_to_file(int file, size_t offset, const uint8_t *source, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += PLATFORM_PAGE_BYTES) {
        if (page_is_zero(source + at))
            continue;
        if (pwrite(file, source + at, PLATFORM_PAGE_BYTES, (off_t)(offset + at)) != PLATFORM_PAGE_BYTES)
            return false;
    }
    return true;
}

/* Move [source, source + bytes) into its reservation's memfd, unless it is there already. */
static bool promote(uint8_t *source, size_t bytes, int file, size_t offset)
{
    lock_acquire();
    struct reservation *reservation = reservation_find((uintptr_t)source);
    bool shared = offset >= reservation->shared_from && offset + bytes <= reservation->shared_to;
    lock_release();
    if (shared)
        return true;
    /* A part that is shared already is copied onto itself. */
    if (!copy_to_file(file, offset, source, bytes) ||
        mmap(source, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, file, (off_t)offset) ==
            MAP_FAILED)
        return false;
    lock_acquire();
    reservation = reservation_find((uintptr_t)source);
    reservation->shared_from = offset;
    reservation->shared_to = offset + bytes;
    lock_release();
    return true;
}

static void note_window(void *window, size_t bytes)
{
    lock_acquire();
    struct reservation *reservation = reservation_find((uintptr_t)window);
    size_t from = (uintptr_t)window - reservation->base;
    if (reservation->window_to == 0)
        reservation->window_from = from;
    reservation->window_to = max_u64(reservation->window_to, from + bytes);
    lock_release();
}

enum status platform_alias(void *window, void *source, size_t bytes)
{
    if (bytes == 0)
        return STATUS_OK;
    size_t offset;
    int file = shared_file_of(source, &offset);
    if (file < 0 || !promote(source, bytes, file, offset) ||
        mmap(window, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, file, (off_t)offset) ==
            MAP_FAILED)
        return STATUS_NO_MEMORY;
    note_window(window, bytes);
    return STATUS_OK;
}

/* ---- Copies ---- */

enum status platform_map_copy(void *window, void *source, size_t bytes)
{
    if (bytes == 0)
        return STATUS_OK;
    size_t offset, window_offset;
    int file = shared_file_of(source, &offset);
    if (file < 0 || !promote(source, bytes, file, offset) ||
        mmap(window, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, file, (off_t)offset) ==
            MAP_FAILED)
        return STATUS_NO_MEMORY;
    account(window, (int64_t)bytes, &window_offset);
    return STATUS_OK;
}

enum status platform_discard(void *address, size_t bytes)
{
    return bytes == 0 || madvise(address, bytes, MADV_DONTNEED) == 0 ? STATUS_OK : STATUS_NO_MEMORY;
}

/* From headers newer than some systems have: which pages of a range are in which state. */
#ifndef PAGEMAP_SCAN
#define PAGEMAP_SCAN     _IOWR('f', 16, struct pm_scan_arg)
#define PAGE_IS_FILE     (1 << 2)
#define PAGE_IS_PRESENT  (1 << 3)
#define PAGE_IS_SWAPPED  (1 << 4)
#define PAGE_IS_PFNZERO  (1 << 5)
struct page_region {
    uint64_t start, end, categories;
};
struct pm_scan_arg {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#endif

/* A page that was touched costs 60 ns to be filled again and 2 us to be given back and faulted in: so many are filled. */
#define RESET_PAGES_MAXIMUM 32
#define RESET_REGIONS       16

static _Atomic int page_map = -1; /* /proc/self/pagemap; -2: there is none */

static int page_map_file(void)
{
    int file = page_map;
    if (file != -1)
        return file;
    int opened = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (!atomic_compare_exchange_strong(&page_map, &file, opened < 0 ? -2 : opened) && opened >= 0)
        close(opened);
    return page_map;
}

/* The pages of [start, end) that are the range's own, in `regions`; how many regions, or -1. `*next`: from where on
 * others may follow. */
static int find_own_pages(uintptr_t start, uintptr_t end, struct page_region regions[RESET_REGIONS], uintptr_t *next)
{
    struct pm_scan_arg scan = {
        .size = sizeof scan,
        .start = start,
        .end = end,
        .vec = (uintptr_t)regions,
        .vec_len = RESET_REGIONS,
        .category_inverted = PAGE_IS_FILE | PAGE_IS_PFNZERO,
        .category_mask = PAGE_IS_FILE | PAGE_IS_PFNZERO,
        .category_anyof_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
        .return_mask = PAGE_IS_PRESENT,
    };
    int count = page_map_file() < 0 ? -1 : ioctl(page_map_file(), PAGEMAP_SCAN, &scan);
    *next = scan.walk_end;
    return count;
}

static void fill_again(uint8_t *page, size_t offset, const uint8_t *source, size_t source_bytes)
{
    if (offset < source_bytes)
        memcpy(page, source + offset, PLATFORM_PAGE_BYTES);
    else
        memset(page, 0, PLATFORM_PAGE_BYTES);
}

/* Pages that were stored to are found in the page tables. The first ones are filled with what they held; all others are
 * dropped. */
enum status platform_reset(void *address, size_t bytes, const void *source, size_t source_bytes)
{
    uintptr_t base = (uintptr_t)address, end = base + bytes, at = base;
    uint32_t filled = 0;
    while (at < end) {
        struct page_region regions[RESET_REGIONS];
        uintptr_t next;
        int count = filled < RESET_PAGES_MAXIMUM ? find_own_pages(at, end, regions, &next) : -1;
        if (count < 0)
            return platform_discard((void *)at, end - at);
        for (int i = 0; i < count; i++) {
            for (at = regions[i].start; at < regions[i].end && filled < RESET_PAGES_MAXIMUM; filled++) {
                fill_again((uint8_t *)at, at - base, source, source_bytes);
                at += PLATFORM_PAGE_BYTES;
            }
            if (at < regions[i].end)
                break;
        }
        at = filled < RESET_PAGES_MAXIMUM ? next : at;
    }
    return STATUS_OK;
}

void platform_memory_statistics(struct platform_memory *statistics)
{
    struct sysinfo information;
    sysinfo(&information);
    statistics->frames_total = (uint64_t)information.totalram * information.mem_unit / PLATFORM_PAGE_BYTES;
    lock_acquire();
    statistics->frames_used = committed_bytes / PLATFORM_PAGE_BYTES;
    lock_release();
}

/* The allocator of frames, with shortages (tests/kernel/shortage.h): for the first touch of a page of the guest's, for
 * what the kernel commits, and for records of address space. Promised frames are there, and those for page tables are
 * in reserve. */
#define frame_allocate          machine_frame_allocate
#define frame_allocate_metadata machine_frame_allocate_metadata
#define frames_promise          machine_frames_promise
#define frames_plentiful        machine_frames_plentiful
#include "platform/pc/frames.c"
#undef frame_allocate
#undef frame_allocate_metadata
#undef frames_promise
#undef frames_plentiful

#include "tests/kernel/shortage.h"

uint64_t frame_allocate(enum frame_purpose purpose);
void *frame_allocate_metadata(void);
bool frames_promise(uint64_t count);
bool frames_plentiful(void);

uint64_t frame_allocate(enum frame_purpose purpose)
{
    return purpose == FRAME_GUEST && shortage_now() ? NO_FRAME : machine_frame_allocate(purpose);
}

void *frame_allocate_metadata(void)
{
    return shortage_now() ? NULL : machine_frame_allocate_metadata();
}

bool frames_promise(uint64_t count)
{
    return !shortage_now() && machine_frames_promise(count);
}

bool frames_plentiful(void)
{
    return !shortage_now() && machine_frames_plentiful();
}

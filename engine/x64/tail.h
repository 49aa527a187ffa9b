/* Tail frames (engine/x64/abi.h, docs/abi.md "Tail calls"): where they return, and how to walk over them. */
#ifndef ENGINE_X64_TAIL_H
#define ENGINE_X64_TAIL_H

#include <stdbool.h>

#include "engine/x64/abi.h"

/* Not to be called: the return addresses of callees above tail frames, for instance_header.tail_return. */
void tail_return_small(void);
void tail_return_large(void);

/* One step of a walk over the stack: when `pc` is one of these, go to the return address of the outer caller and the rsp
 * that it finds; `*instance`, unless NULL, is the index of the instance that GS would be set back to. */
bool tail_frame_unwind(uintptr_t *pc, uintptr_t *rsp, uint32_t *instance);

/* A prefix without a meaning, in front of the jump of a tail call: where it stands, the frame is left already. No other
 * instruction begins with it. */
#define TAIL_JUMP_PREFIX 0x3e

#endif

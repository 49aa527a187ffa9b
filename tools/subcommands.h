/* The subcommands of `tessera`, one file each. */
#ifndef TOOLS_SUBCOMMANDS_H
#define TOOLS_SUBCOMMANDS_H

#include "tools/options.h"

extern const struct subcommand subcommand_run;
extern const struct subcommand subcommand_inspect;
extern const struct subcommand subcommand_trace;

#endif

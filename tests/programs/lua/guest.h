/* What Lua's own sources find in place of parts that the C library of guests does not have, by `-include`.
 *
 * There is no setjmp: an error that would be caught by pcall ends the program, and coroutines cannot yield. */
#include <stdio.h>
#include <stdlib.h>

#define luai_jmpbuf          int
#define LUAI_THROW(L, c)     abort()
#define LUAI_TRY(L, c, a)    {a}
#define LUA_TMPNAMBUFSIZE    32
#define lua_tmpnam(buffer, error) (error = 1)
#define system(command)      (-1)
#define tmpfile()            ((FILE *)NULL)

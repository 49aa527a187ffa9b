/* inih with the options that unit_file.c wants: lines of any sensible length, on the heap; no meaning for indentation
 * and for a semicolon in a value; a call for each section; the end at the first mistake. */
#define INI_USE_STACK                   0
#define INI_ALLOW_REALLOC               1
#define INI_MAX_LINE                    (1 << 20)
#define INI_ALLOW_MULTILINE             0
#define INI_ALLOW_INLINE_COMMENTS       0
#define INI_CALL_HANDLER_ON_NEW_SECTION 1
#define INI_STOP_ON_FIRST_ERROR         1
#include <ini.c>

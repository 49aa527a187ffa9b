/* Debian's Lua 5.4 running a script: tables, closures, strings, its own garbage collector. The interpreter's loop is
 * one very large function. */
#include "bench.h"
#include "lauxlib.h"
#include "lua.h"
#include "lualib.h"

static const char script[] =
    "local scale = ...\n"
    "local sum = 0\n"
    "local function add(value) sum = (sum * 31 + value) & 0xffffffff end\n"
    "local function fibonacci(n) if n < 2 then return n end return fibonacci(n - 1) + fibonacci(n - 2) end\n"
    "for round = 1, 15 * scale do\n"
    "  add(fibonacci(21 + round % 3))\n"
    "  local sieve = {}\n"
    "  for i = 2, 20000 do sieve[i] = true end\n"
    "  for i = 2, 141 do if sieve[i] then for j = i * i, 20000, i do sieve[j] = false end end end\n"
    "  for i = 2, 20000 do if sieve[i] then add(i) end end\n"
    "  local parts = {}\n"
    "  for i = 1, 3000 do parts[#parts + 1] = ('%d:%x'):format(i, i * round) end\n"
    "  local text = table.concat(parts, ',')\n"
    "  for word in text:gmatch('%d+:') do add(#word) end\n"
    "  table.sort(parts)\n"
    "  add(#parts[1] + #text)\n"
    "  local x = 0.5\n"
    "  for i = 1, 60000 do x = 3.7 * x * (1 - x) end\n"
    "  add(math.floor(x * 1e6))\n"
    "end\n"
    "return sum\n";

uint64_t compute(uint32_t scale)
{
    static const luaL_Reg libraries[] = {
        {"_G", luaopen_base},
        {"table", luaopen_table},
        {"string", luaopen_string},
        {"math", luaopen_math},
    };
    lua_State *lua = luaL_newstate();
    if (lua == NULL)
        abort();
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        luaL_requiref(lua, libraries[i].name, libraries[i].func, 1);
        lua_pop(lua, 1);
    }
    if (luaL_loadstring(lua, script) != LUA_OK)
        abort();
    lua_pushinteger(lua, scale);
    lua_call(lua, 1, 1);
    uint64_t sum = mix(0, (uint64_t)lua_tointeger(lua, -1));
    lua_close(lua);
    return sum;
}

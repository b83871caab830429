#include "lua_target.h"

const char *const tc_fuzz_script = "tests/fuzz/session.lua";

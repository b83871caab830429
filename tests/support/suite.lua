--- Which suite this is, for tests that do more in some. A test that is the same on every Lua and
--- takes seconds has a tag in its name: with "#once" it is in the suite lua5.4 alone, with "#c",
--- where it is C that is tested, in asan as well.

local is_sanitized = os.getenv("LD_PRELOAD") ~= nil

return {
  is_sanitized = is_sanitized, -- each process takes long to start
  is_jit = rawget(_G, "jit") ~= nil,
  is_in_full = _VERSION == "Lua 5.4" and not is_sanitized,
}

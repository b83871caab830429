-- Keeps faults of LuaJIT's own out of the trial: it crashes where compiled code runs out of memory,
-- and where its FFI is loaded without. So it interprets, and loads the FFI with memory to spare.

-- luacheck: globals with_memory jit

if jit then
  jit.off()
  with_memory(require, "ffi")
end

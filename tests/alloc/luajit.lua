-- Keeps faults of LuaJIT's own out of the trial: it crashes where compiled code runs out of memory,
-- and where its FFI is loaded without, and forgets to close a source file. So it interprets, and
-- reads source files and loads the FFI with memory to spare.

-- luacheck: globals with_memory jit

if jit then
  jit.off()
  with_memory(require, "ffi")
  package.loaders[2] = function(name) -- luacheck: ignore 142
    for template in package.path:gmatch("[^;]+") do
      local chunk = with_memory(loadfile, (template:gsub("?", (name:gsub("%.", "/")))))
      if chunk then
        return chunk
      end
    end
    return "\nnot found: " .. name
  end
end

--- Lets go of what the tests of a file are made of, once the file is over. Busted keeps all that
--- to the end of a run: each collection of garbage in a later test takes a tenth of a second and
--- more, and each fork longer.

local busted = require "busted"
require "support.kept" -- here, so that no file is the first

local KEPT = { attributes = true, run = true } -- of a file, which busted looks at again

local function forget(element, kept)
  for _, child in ipairs(busted.children(element)) do
    forget(child, {})
  end
  for name, value in pairs(element) do
    if not kept[name] and (type(value) == "table" or type(value) == "function") then
      element[name] = nil
    end
  end
end

busted.subscribe({ "file", "end" }, function(file)
  forget(file, KEPT)
  return nil, true
end)

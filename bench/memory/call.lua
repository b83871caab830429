--- A call into C that does nothing.

local call = require "call"

require "bench.contestant"(function(times)
  for _ = 1, times do
    call()
  end
end)

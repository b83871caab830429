--- A fresh token from a file.

local from_outside = require "bench.from_outside"
local token_info = require "bench.token_info"
local tokencache = require "tokencache"

local PATH = "build/bench/token.json"

return function(rounds)
  assert(tokencache.cache.file({ cache_path = PATH }):save_token_to_cache(token_info))
  from_outside(rounds, {
    name = "token from a file", directory = "bench/file", place = PATH,
    floor = "open+read+close", seconds = 0.005, aim = { most = 2.5 },
    info_name = "decoded anew each time",
  })
  os.remove(PATH)
end

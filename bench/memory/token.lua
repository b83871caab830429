--- A fresh token from memory.

local token_info = require "bench.token_info"
local tokencache = require "tokencache"

require("bench.take").token(tokencache.cache.memory { token_info = token_info })

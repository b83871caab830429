--- take.lua token|token_info PATH: see bench.take.

local tokencache = require "tokencache"

require("bench.take")[arg[1]](tokencache.cache.file { cache_path = arg[2] })

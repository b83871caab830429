--- Debian's lua-redis, a client in Lua that raises on failures. It is not packaged for Lua 5.4, but
--- the file for 5.3 does there.

local found, redis = pcall(require, "redis")
return found and redis or assert(loadfile("/usr/share/lua/5.3/redis.lua"))()

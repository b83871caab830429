--- Where this Lua runs.

local environment = {}

--- nginx's API where nothing may block, which is in its event loop. Nil in plain Lua, and in the
--- threads of nginx's pools: they have an `ngx` with less in it.
local ngx = package.loaded.ngx
environment.nginx = type(ngx) == "table" and ngx.get_phase and ngx or nil

return environment

--- The io table that fits where this Lua runs.

local environment = require "tokencache.environment"

---@type tokencache.Io
return require(environment.nginx and "tokencache.io.nginx" or "tokencache.io.blocking")

--- Shell lines that run a script in one of the interpreters, with its modules to be found.

local lua_command = { interpreters = { "lua5.4", "luajit" } }

---@param interpreter string
---@return string  a shell line to put before a command
function lua_command.environment(interpreter)
  return ('env LUA_PATH="$PWD/lua/?.lua;$PWD/lua/?/init.lua;$PWD/?.lua;;" '
    .. 'LUA_CPATH="$PWD/build/%s/?.so;$PWD/build/bench/%s/?.so;;"'):format(interpreter, interpreter)
end

---@param interpreter string
---@param script string
---@param ... string  arguments
---@return string
function lua_command.run(interpreter, script, ...)
  return lua_command.environment(interpreter) .. " "
    .. table.concat({ interpreter, script, ... }, " ")
end

return lua_command

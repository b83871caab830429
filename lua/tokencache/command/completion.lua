--- Completions for shells, made of the parser.

local say = require "tokencache.command.say"

return {
  completion = function(arguments)
    local parser = require("tokencache.command.parser").new()
    say.result(parser["get_" .. arguments.shell .. "_complete"](parser))
  end,
}

--- The manual page, made of the parser that --help is made of.

local parser = require "tokencache.command.parser"
local say = require "tokencache.command.say"

--- As roff takes it: a backslash, a dash, and what begins a line.
local function escaped(text)
  return (text:gsub("[\\-]", { ["\\"] = "\\e", ["-"] = "\\-" }):gsub("^[.']", "\\&%0"))
end

local FILES = {
  { "~/.config/tokencache/accounts/NAME.lua", "an account: Lua assignments, one a line" },
  { "~/.config/tokencache/config.lua", 'store = "file", "encrypted" or "secret-service"; '
    .. "passphrase_command; collection, unlock" },
  { "~/.local/state/tokencache/", "tokens, and the secrets of clients" },
}

local ENVIRONMENT = {
  { "XDG_CONFIG_HOME, XDG_STATE_HOME", "in place of ~/.config and ~/.local/state" },
  { "BROWSER", "opens the pages of a login" },
  { "NO_COLOR", "set: no colours" },
}

--- Lines as they are.
local function add_example(out, text)
  out[#out + 1] = ".PP\n.nf\n" .. escaped(text):gsub("\n([.'])", "\n\\&%1") .. "\n.fi"
end

local function add_items(out, items)
  for _, item in ipairs(items) do
    out[#out + 1] = ".TP\n.B " .. escaped(item[1]) .. "\n" .. escaped(item[2])
  end
end

--- What the parser has of a command, as --help shows it.
local function add_options(out, command)
  for _, argument in ipairs(command._arguments) do
    local name = argument._choices and table.concat(argument._choices, ", ") or argument._argname
    add_items(out, { { name, argument._description or "" } })
  end
  for _, option in ipairs(command._options) do
    local name = table.concat(option._aliases, ", ")
    add_items(out, { { name .. (option._argname and " " .. option._argname or ""),
      (option._description or "")
        .. (option._default and " (default: " .. option._default .. ")" or "") } })
  end
end

local function page()
  local root = parser.new()
  local out = {
    '.TH TOKENCACHE 1 "" "tokencache ' .. require("tokencache")._VERSION .. '"',
    ".SH NAME\ntokencache \\- " .. escaped "OAuth access tokens on standard output",
    ".SH SYNOPSIS\n.B tokencache\n" .. escaped "COMMAND [OPTION]... [NAME]",
    ".SH DESCRIPTION\n" .. escaped(root._description),
    ".SH OPTIONS",
  }
  add_options(out, root)
  out[#out + 1] = ".SH COMMANDS"
  for _, command in ipairs(root._commands) do
    local usage = command:get_usage():gsub("^Usage: ", ""):gsub("%s+", " ")
    out[#out + 1] = ".SS " .. escaped(usage) .. "\n" .. escaped(command._description)
    add_options(out, command)
    if command._epilog then
      add_example(out, command._epilog)
    end
  end
  out[#out + 1] = ".SH EXIT STATUS"
  for _, exit in ipairs(say.exits) do
    add_items(out, { { tostring(exit[1]), exit[3] } })
  end
  out[#out + 1] = ".SH FILES"
  add_items(out, FILES)
  out[#out + 1] = ".SH ENVIRONMENT"
  add_items(out, ENVIRONMENT)
  return table.concat(out, "\n") .. "\n"
end

return {
  man = function()
    say.result(page())
  end,
}

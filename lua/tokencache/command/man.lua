--- The manual page, made of the parser that --help is made of.

local parser = require "tokencache.command.parser"
local say = require "tokencache.command.say"

--- As roff takes it: a backslash, a dash, and what begins a line.
local function escaped(text)
  return (text:gsub("[\\-]", { ["\\"] = "\\e", ["-"] = "\\-" }):gsub("^[.']", "\\&%0"))
end

local function sorted_statuses()
  local list = {}
  for kind, status in pairs(say.statuses) do
    list[#list + 1] = { status, kind }
  end
  table.sort(list, function(a, b) return a[1] < b[1] end)
  return list
end

local STATUSES = {
  internal = "something else",
  usage = "the command line was wrong",
  reauthorize = "somebody must log in: run tokencache login NAME",
  denied = "the provider or the user said no",
  transient = "try later: network, or the provider is away",
  timeout = "the time was over",
  config = "the settings, or the registration at the provider, must change",
  cache = "the tokens' store failed; the login is intact",
  protocol = "the provider answered what makes no sense",
  state = "an answer that belongs to another login",
  interrupted = "Ctrl-C",
}

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

local function add_items(out, items)
  for _, item in ipairs(items) do
    out[#out + 1] = ".TP\n.B " .. escaped(item[1]) .. "\n" .. escaped(item[2])
  end
end

--- What the parser has of a command, as --help shows it.
local function add_options(out, command)
  for _, argument in ipairs(command._arguments) do
    local choices = argument._choices and ": " .. table.concat(argument._choices, ", ") or ""
    add_items(out, { { argument._argname, (argument._description or "") .. choices } })
  end
  for _, option in ipairs(command._options) do
    local name = table.concat(option._aliases, ", ")
    add_items(out, { { name .. (option._argname and " " .. option._argname or ""),
      option._description or "" } })
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
  end
  out[#out + 1] = ".SH EXIT STATUS"
  local statuses = { { "0", "it went well" } }
  for _, status in ipairs(sorted_statuses()) do
    statuses[#statuses + 1] = { tostring(status[1]), STATUSES[status[2]] }
  end
  add_items(out, statuses)
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

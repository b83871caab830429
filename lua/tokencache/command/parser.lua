--- The one definition of what can be said to the command: --help, completions and the man page are
--- made of it.

local config = require "tokencache.command.config"
local say = require "tokencache.command.say"

local UNITS = { [""] = 1, s = 1, m = 60, h = 3600, d = 86400 }

--- "90", "10m", "2h"
local function duration(text)
  local number, unit = text:match "^(%d+)(%a?)$"
  if not number or not UNITS[unit] then
    return nil, "a time such as 90, 10m or 2h expected, not '" .. text .. "'"
  end
  return tonumber(number) * UNITS[unit]
end

local function variable(text)
  if not text:find "^[%a_][%w_]*$" then
    return nil, "the name of a variable expected, not '" .. text .. "'"
  end
  return text
end

--- Prints what is asked of the parser itself. argparse makes texts of all errors.
local function tell(text)
  local ok, failure = pcall(say.result, text, "\n")
  if not ok then
    say.line(failure.message)
  end
  os.exit(ok and 0 or say.statuses.internal)
end

---@return table command
local function with_help(command)
  return command:add_help { action = function() tell(command:get_help()) end } or command
end

--- The options that say what an account is.
local function add_settings(command)
  for _, field in ipairs(config.fields) do
    command:option("--" .. field[1]:gsub("_", "-"), field[3])
      :argname("<" .. field[2]:lower() .. ">")
  end
  command:option("--client-secret-file", "a file with the client's secret, which is then kept "
    .. "beside the tokens; - for stdin"):argname("<file>")
  command:option("--client-key-passphrase-file", "likewise with that of its key")
    :argname("<file>")
end

local function add_name(command)
  command:argument("name", "of the account"):argname("NAME")
end

local function add_lifetime(command)
  command:option("--min-valid", "seconds that the token must last, or 10m, 2h; default: 1m")
    :argname("<time>"):convert(duration)
end

local add = {}

function add.login(command)
  add_name(command)
  add_settings(command)
  command:mutex(
    command:flag("--browser", "by the browser of this machine"),
    command:flag("--device", "by a code that is entered on another device"),
    command:flag("--paste", "by pasting the address that a browser ends at"))
  command:epilog [[
Examples:
  tokencache login gmail --provider google --scope https://mail.google.com/ \
    --client-id 123.apps.googleusercontent.com --client-secret-file secret.txt
  tokencache login work --issuer https://id.example.com --client-id abc --device
  tokencache login work]]
end

function add.token(command)
  add_name(command)
  add_lifetime(command)
  command:mutex(
    command:flag("--json", "an object with access_token, expires_at, scope and token_type"),
    command:option("--xoauth2", "for SASL XOAUTH2: the initial response of this user")
      :argname("<user>"),
    command:option("--oauthbearer", "for SASL OAUTHBEARER (RFC 7628)"):argname("<user>"))
  command:flag("--refused", "the token on stdin was refused (401): print another one")
end

function add.header(command)
  add_name(command)
  add_lifetime(command)
end

function add.exec(command)
  add_name(command)
  add_lifetime(command)
  command:option("--env", "the variable that the token is in"):argname("<variable>")
    :default("ACCESS_TOKEN"):convert(variable)
  command:argument("command", "and its arguments, after --"):args("+"):argname("COMMAND")
end

function add.status(command)
  command:argument("name", "of the account; default: all"):args("?"):argname("NAME")
  command:flag("--json", "an object for each account")
end

function add.list() end

function add.logout(command)
  add_name(command)
end

function add.add(command)
  add_name(command)
  add_settings(command)
end

function add.set(command)
  add_name(command)
  add_settings(command)
end

function add.remove(command)
  add_name(command)
end

function add.import(command)
  command:argument("file", "- for stdin"):argname("FILE")
  add_name(command)
  add_settings(command)
end

add["curl-config"] = add.header

local function add_helper(command, default)
  add_name(command)
  command:option("--username", "that goes with the token"):argname("<name>"):default(default)
  command:option("--host", "the only host that gets the token, with its port if any")
    :argname("<host>")
  return command:argument("operation", "get prints the token; erase: it was refused, and another "
    .. "is got"):argname("OPERATION")
end

add["git-credential"] = function(command)
  add_helper(command, "oauth2")
end

add["docker-credential"] = function(command)
  add_helper(command, "<token>"):choices { "get", "store", "erase", "list" }
end

add["keep-fresh"] = function(command)
  command:argument("names", "of accounts; default: all"):args("*"):argname("NAME")
  command:option("--margin", "renew so long before a token ends"):argname("<time>")
    :convert(duration):default("5m")
  command:option("--on-login-needed", "a command for the shell, with $TOKENCACHE_ACCOUNT")
    :argname("<command>")
  command:flag("--once", "look once, and end")
end

function add.completion(command)
  command:argument("shell"):argname("SHELL"):choices { "bash", "zsh", "fish" }
end

function add.man() end

--- Name, and what it does; the module that does it where that is not of the same name.
local COMMANDS = {
  { "login", "Log in; makes the account where there is none of that name." },
  { "token", "Print an access token, renewed if need be." },
  { "header", "Print the header Authorization with the token.", "token" },
  { "exec", "Run a command that finds the token in its environment." },
  { "status", "Show who is logged in, and for how long." },
  { "list", "Print the names of all accounts.", "status" },
  { "logout", "Log out: at the provider too, where that can be done." },
  { "add", "Make an account without logging in.", "manage" },
  { "set", "Change the settings of an account.", "manage" },
  { "remove", "Log out and forget the account.", "manage" },
  { "import", "Take over a login of another program's." },
  { "curl-config", "Print a configuration for curl -K -.", "tools" },
  { "git-credential", "Answer git as a credential helper.", "tools" },
  { "docker-credential", "Answer programs that ask as docker does.", "tools" },
  { "keep-fresh", "Stay, and renew tokens before they end.", "keep_fresh" },
  { "completion", "Print completions for a shell.", "completion" },
  { "man", "Print the manual page.", "man" },
}

local function epilog()
  local lines = { "tokencache help COMMAND is the same as tokencache COMMAND --help.", "",
    "Exit status:" }
  for _, exit in ipairs(say.exits) do
    lines[#lines + 1] = ("  %-3d %s"):format(exit[1], exit[3])
  end
  return table.concat(lines, "\n")
end

local parser = {}

---@type table<string, string>  by command: the module
parser.modules = {}
for _, command in ipairs(COMMANDS) do
  parser.modules[command[1]] = "tokencache.command." .. (command[3] or command[1])
end

--- Makes the parser: of one command alone where that is what is asked for, which is faster.
---@param only? string  a command
function parser.new(only)
  local argparse = require "argparse"
  local root = with_help(argparse("tokencache", "Prints OAuth access tokens: from a cache while "
    .. "they are fresh, renewed when they are not."))
  root:command_target "operand"
  root:require_command(true)
  root:help_max_width(80)
  root:flag("-q --quiet", "say nothing but errors")
  root:flag("-v --verbose", "say more; never a secret")
  root:flag("--version", "print the version"):action(function()
    tell("tokencache " .. require("tokencache")._VERSION)
  end)
  root:epilog(epilog())
  for _, command in ipairs(COMMANDS) do
    if not only or only == command[1] then
      add[command[1]](with_help(root:command(command[1], command[2])))
    end
  end
  return root
end

return parser

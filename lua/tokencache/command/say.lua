--- What the command says beside its results, and the status that it ends with.

local core = require "tokencache._core"
local log = require "tokencache.log"
local owed = require "tokencache.command.owed"

local say = {}

--- Exit statuses: of what kind of error each is, and what it means; docs/command.md tells them too.
say.exits = {
  { 0, nil, "it went well" },
  { 1, "internal", "something else" },
  { 2, "usage", "the command line was wrong" },
  { 3, "reauthorize", "somebody must log in: run tokencache login NAME" },
  { 4, "denied", "the provider or the user said no" },
  { 5, "transient", "try later: network, or the provider is away" },
  { 6, "timeout", "the time was over" },
  { 7, "config", "the settings, or the registration at the provider, must change" },
  { 8, "cache", "the tokens' store failed; the login is intact" },
  { 9, "protocol", "the provider answered what makes no sense" },
  { 10, "state", "an answer that belongs to another login" },
  { 130, "interrupted", "Ctrl-C" },
}

---@type table<string, integer>  by kind
say.statuses = {}
for _, exit in ipairs(say.exits) do
  say.statuses[exit[2] or 0] = exit[1]
end
say.statuses[0] = nil

local level = "normal"

--- The command that is being run, to be run again.
say.typed = "tokencache"

---@param arguments string[]  of the command line
function say.note_typed(arguments)
  for _, word in ipairs(arguments) do
    say.typed = say.typed .. " " .. say.quoted(word)
  end
end

--- A word of the shell.
---@param word string
---@return string
function say.quoted(word)
  return word:find("^[%w_./:@%%+=-]+$") and word or "'" .. word:gsub("'", "'\\''") .. "'"
end

--- A line on stderr.
---@param ... string
function say.line(...)
  io.stderr:write("tokencache: ", table.concat { ... }, "\n")
end

--- A line that --quiet suppresses.
---@param ... string
function say.note(...)
  if level ~= "quiet" then
    say.line(...)
  end
end

--- Events of the library's, in words.
local EVENTS = {
  hit = "the kept token serves", miss = "no kept token serves", refresh = "renewed",
  refused = "another token is wanted", wait = "waited for another process", save = "saved",
  owed = "not saved yet", failure = "failed", login = "logged in", log_out = "logged out",
}

--- An event as a line: "renewed, left=3600, seconds=0.1".
local function tell(event)
  local parts = { EVENTS[event.event] or event.event }
  for _, field in ipairs { "kind", "left", "seconds", "count" } do
    local value = event[field]
    parts[#parts + 1] = value and field .. "="
      .. (type(value) == "number" and ("%.4g"):format(value) or value)
  end
  say.line(event.key and event.key .. ": " or "", table.concat(parts, ", "))
end

--- Takes --quiet and --verbose; the library's warnings go the same way.
---@param arguments { quiet?: boolean, verbose?: boolean }
function say.heed(arguments)
  level = arguments.quiet and "quiet" or arguments.verbose and "verbose" or "normal"
  if arguments.verbose then
    require("tokencache.observer").set_observer(tell)
  end
  log.set_logger(function(of, message)
    if of == "error" or level == "verbose" or level == "normal" and of == "warning" then
      say.line(of, ": ", message)
    end
  end)
end

---@class tokencache.CommandFailure
---@field kind string      of say.statuses
---@field message string
---@field step? string     the command to run next

--- Ends the command; main() says why.
---@param kind string
---@param message string
---@param step? string  the command to run next
function say.fail(kind, message, step)
  error({ kind = kind, message = message, step = step }, 0)
end

--- Tells of such a failure.
---@param failure tokencache.CommandFailure
function say.failure(failure)
  say.line(failure.message, failure.step and "; run: " .. failure.step or "")
end

--- What helps after an error of the library.
local steps = {
  reauthorize = "tokencache login %s",
  denied = "tokencache login %s",
  state = "tokencache login %s",
  transient = "tokencache token %s",
  timeout = "tokencache token %s",
  protocol = "tokencache --verbose token %s",
  config = "tokencache set %s --help",
  cache = "tokencache status %s",
}

--- An error of the library; of some it names the account itself.
---@param name string
---@param err any
---@return string
function say.text_of(name, err)
  local text = tostring(err)
  return text:sub(1, #name + 2) == name .. ": " and text or name .. ": " .. text
end

---@param name string  of the account
---@param err any      of the library
---@param step? string
function say.fail_with(name, err, step)
  local kind = type(err) == "table" and err.kind or "internal"
  say.fail(kind, say.text_of(name, err), step or (steps[kind] or "%s"):format(name))
end

--- Whether what is printed is seen by a person who wants colours (https://no-color.org).
---@param fd integer
---@return boolean
function say.in_colour(fd)
  return (os.getenv "NO_COLOR" or "") == "" and os.getenv "TERM" ~= "dumb"
    and core.process.is_terminal(fd)
end

--- Prints the result. What nobody got is no success.
---@param ... string
function say.result(...)
  owed.save() -- whoever reads may keep this one waiting, and end it
  local ok, problem = io.stdout:write(...)
  if ok then
    ok, problem = io.stdout:flush()
  end
  if not ok then
    say.fail("internal", "stdout: " .. tostring(problem))
  end
end

return say

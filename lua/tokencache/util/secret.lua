--- Secrets that change: read anew whenever they are needed.

local core = require "tokencache._core"
local in_words = require "tokencache.util.in_words"
local log = require "tokencache.log"

local MOST = 65536 -- bytes

---@alias tokencache.Secret string|{ file: string }|fun(is_refused: boolean): string?, any

local secret = {}

--- What is wrong with it as an option, if anything.
---@param value any
---@return string?
function secret.problem(value)
  if type(value) ~= "table" then
    return nil
  elseif type(value.file) ~= "string" or value.file == "" or next(value, next(value)) then
    return "must be a text, { file = path }, or a function that returns it"
  elseif secret.is_no_path(value.file) then
    return "has in place of a path what is in the file; give { file = path }"
  end
end

--- The same of a key or a certificate, whose text cannot be taken for a path.
---@param value any
---@return string?
function secret.problem_of_key(value)
  if type(value) ~= "string" or value == "" then
    return secret.problem(value)
  elseif not secret.is_no_path(value) then
    return "is neither PEM nor a JWK; give { file = path } where it is in a file"
  end
  return secret.problem_of_pem(value)
end

--- What is wrong with a text that a configuration, or a variable, has made a single line of.
---@param text string
---@return string?
function secret.problem_of_pem(text)
  if text:find("-----BEGIN", 1, true) and not text:find "%-%-%-%-%-BEGIN[^\n]*%-\r?\n" then
    return 'is PEM without its line ends, or with "\\n" written out; give it line by line, as it '
      .. "was made"
  end
end

--- Reports whether a text that is to be a path is the content of a file by mistake. No message may
--- show it then.
---@param text string
---@return boolean
function secret.is_no_path(text)
  return (text:find "^%s*{" or text:find "%c" or text:find("-----BEGIN", 1, true)) ~= nil
end

--- What stands for a secret in a digest of what something is about: what changes in a file, or in
--- what a function returns, does not make another of it.
---@param value? tokencache.Secret
---@return string
function secret.source(value)
  return type(value) == "table" and "file " .. value.file
    or type(value) == "string" and "text " .. value or type(value)
end

--- Opens a file that somebody has named, for reading.
---@param path string
---@return file*?
---@return string? problem
function secret.open(path)
  local file, problem = io.open(path, "rb")
  return file, not file and problem .. "; check the path, and that this user may read it" or nil
end

local function read_file(path, is_public)
  local file, problem = secret.open(path)
  if not file then
    return nil, problem
  end
  local text
  text, problem = file:read(MOST + 1)
  file:close()
  if not text and problem == nil then
    text = ""
  elseif not text or #text > MOST then
    return nil, path .. ": " .. tostring(problem or "it is too large to hold a secret")
  end
  local _, _, is_open = core.file.stamp(path)
  if is_open and not is_public then
    log.once("warning", "open: " .. path, path, " holds a secret that everybody on this machine "
      .. "may read; take that right away (chmod o-r)")
  end
  return (text:gsub("\r?\n$", ""))
end

--- The text now; or nil and why there is none. A function may raise, and yield.
---@param value tokencache.Secret
---@param is_refused boolean  the last one was refused
---@param is_public? boolean   everybody may read it: a certificate
---@return string?
---@return string? problem
function secret.read(value, is_refused, is_public)
  if type(value) == "table" then
    return read_file(value.file, is_public)
  elseif type(value) ~= "function" then
    return value
  end
  local text, err = value(is_refused)
  if type(text) == "string" then
    return text
  end
  return nil, err ~= nil and tostring(err)
    or "its function must return a string, not " .. in_words(text)
end

return secret

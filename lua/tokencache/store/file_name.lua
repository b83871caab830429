--- Names of files that stand for keys. A key that is too long for a name is known by its digest,
--- and kept in the file, in a line before the bytes.

local key_names = require "tokencache.key"

local file_name = {}

--- Capitals are escaped too: some file systems do not tell them from small letters.
local UNSAFE = "[^a-z0-9._-]"

--- Temporary files and lock files lie beside a file and have other suffixes.
file_name.SUFFIX = ".token"

--- Of the names of long keys. The "=" is in no other name.
file_name.DIGEST = "sha256="

--- A name of 255 bytes is the most; those of temporary files are up to 32 longer than the file's.
local LONGEST = 255 - #file_name.SUFFIX - 32

local HEADER = "tokencache-key: %s\n"

--- Finds the key in such a line.
file_name.HEADER_PATTERN = "tokencache%-key: ([a-z0-9._%%-]*)\n"

--- Returns the beginning that the file names of all keys with this prefix have in common, except
--- those of long keys. No name begins with a dot.
---@param prefix string
---@return string
function file_name.start_of(prefix)
  return (key_names.escape(prefix, UNSAFE):gsub("^%.", "%%2e"))
end

---@param key string
---@return boolean
function file_name.is_long(key)
  return #file_name.start_of(key) > LONGEST
end

---@param key string
---@return string? name
---@return string|tokencache.Error header  what the file begins with; "" of most keys
function file_name.of(key)
  local escaped = file_name.start_of(key)
  if #escaped <= LONGEST then
    return escaped .. file_name.SUFFIX, ""
  end
  local digest, err = key_names.sha256(key)
  if not digest then
    return nil, err
  end
  return file_name.DIGEST .. digest .. file_name.SUFFIX, HEADER:format(escaped)
end

---@param name string
---@return boolean
function file_name.is_digest(name)
  return name:sub(1, #file_name.DIGEST) == file_name.DIGEST
end

---@param name string
---@return string
function file_name.stem(name)
  return name:sub(1, -1 - #file_name.SUFFIX)
end

local function unescaped(digits)
  return string.char(tonumber(digits, 16))
end

--- The key that a file's name stands for.
---@param name string
---@param escaped string  the name's stem, or what the file says
---@return string?        nil: the name is not one of ours
function file_name.key_of(name, escaped)
  local key = escaped:gsub("%%(%x%x)", unescaped)
  return file_name.of(key) == name and key or nil
end

return file_name

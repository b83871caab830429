--- Where a token is kept if only a user's name is known, or nothing: as spotipy has it.

local core = require "tokencache._core"

--- A name from a user must not lead to another directory.
local function for_user(name, value)
  if value:find("[/%z]") then
    return nil, name .. " holds a slash or a NUL byte", "; for a file elsewhere give cache_path"
  end
  return ".cache-" .. value
end

--- In a home directory `.cache` is where other programs keep what is theirs.
local function default()
  local _, err = core.file.read(".cache/.", true)
  if err and err.code == "EISDIR" then
    return nil, ".cache, the default, is a directory here", "; give cache_path or username"
  end
  return ".cache"
end

---@param username? string  default: the environment's SPOTIPY_CLIENT_USERNAME
---@return string? path
---@return string? problem
---@return string? way_out  by the options of cache.file
return function(username)
  if username then
    return for_user("username", username)
  end
  local name = "SPOTIPY_CLIENT_USERNAME"
  username = os.getenv(name)
  if username and username ~= "" then
    return for_user("the environment's " .. name, username)
  end
  return default()
end

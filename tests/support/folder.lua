--- A temporary directory for the specs of files, and questions about what lies in it.

local process = require "support.process"

local folder = {}

---@class Folder
---@field path string
local Folder = {}
Folder.__index = Folder

---@param parent? string  where to make it, if that can be done; "/dev/shm" for many small files
---@return Folder
function folder.new(parent)
  return setmetatable({ path = process.temporary_directory(parent) }, Folder)
end

---@param name string
---@return string
function Folder:file(name)
  return self.path .. "/" .. name
end

--- Runs a shell line in the directory.
---@param line string
---@return string output
function Folder:shell(line)
  local code, output = process.run({ "sh", "-c", "cd " .. self.path .. " || exit; " .. line })
  assert(code == 0, output)
  return (output:gsub("\n$", ""))
end

--- All names in it, hidden ones too, sorted and joined by spaces.
---@return string
function Folder:names()
  return (self:shell("LC_ALL=C ls -A"):gsub("\n", " "))
end

---@param name string
---@return string  "600"
function Folder:mode(name)
  return self:shell("stat -c %a " .. name)
end

function Folder:remove()
  process.remove_directory(self.path)
end

return folder

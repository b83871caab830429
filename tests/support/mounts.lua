--- Commands in a mount namespace of their own, in which a test may mount what it likes.

local process = require "support.process"

local mounts = {
  RIGHT = "takes a mount namespace (CAP_SYS_ADMIN, and no chroot)",
}

--- The command after a line of shell that mounts something.
---@param line string
---@param command string[]  of process.lua
---@param more? string      words of shell that run the command, such as strace and its options
---@return string[]
function mounts.own(line, command, more)
  local wrapper = { "unshare", "--mount" }
  if not process.is_root() then
    wrapper[3] = "--map-root-user"
  end
  line = line .. " || exit; exec " .. (more or "") .. " \"$@\""
  for _, word in ipairs { "sh", "-c", line, "sh" } do
    wrapper[#wrapper + 1] = word
  end
  return process.behind(wrapper, command)
end

--- Reports whether one may mount here.
---@return boolean
function mounts.are_possible()
  return (process.run(mounts.own("mount -t tmpfs tokencache /mnt", process.lua("")))) == 0
end

return mounts

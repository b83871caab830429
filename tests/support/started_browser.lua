--- What stands in for a browser: a command for $BROWSER that only tells where it was sent.

local http = require "socket.http"
local process = require "support.process"

local started_browser = {}

--- The address that it was given, in the file "start" of that folder.
---@param work Folder
---@return string command
function started_browser.command(work)
  process.write_file(work:file("browser"), ('printf %%s "$1" >%s && mv %s %s\n')
    :format(work:file("new"), work:file("new"), work:file("start")))
  return "sh " .. work:file("browser")
end

--- Waits for it, and goes where the listener sends it on.
---@param work Folder
---@param before? string   what an earlier browser was given
---@return string authorize_url
---@return string start    what this one was given
function started_browser.address(work, before)
  local start = process.wait_until("the browser", function()
    local given = process.read_file(work:file("start"))
    return given ~= before and given
  end)
  return started_browser.follow(start), start
end

---@param start string
---@return string authorize_url
function started_browser.follow(start)
  if start:find("[::1]", 1, true) then -- which LuaSocket's http does not know
    local code, output = process.run { "node", "-e",
      "require('http').get(process.argv[1], (answer) => console.log(answer.headers.location))",
      start }
    assert(code == 0, output)
    return (output:gsub("\n$", ""))
  end
  local _, status, headers = http.request { url = start, redirect = false }
  assert(status == 302, status)
  return headers.location
end

return started_browser

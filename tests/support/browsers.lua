--- Headless Chromium in the hands of several people, each with their own cookies.
---
---     local browsers = browsers.start(provider.url)   -- whose login pages they get past
---     local seen = browsers:open("alice", url)        -- { url =, status =, text = }
---     local seen = browsers:click("alice", "Log out")
---     local cookies = browsers:cookies("alice")       -- a list of { name =, value =, ... }
---     browsers:forget()                               -- closes all, cookies and all
---     browsers:stop()

local http = require "socket.http"
local json = require "tokencache.json"
local process = require "support.process"

local browsers = {}

---@class Browsers
local Browsers = {}
Browsers.__index = Browsers

---@param provider string  its URL
---@return Browsers
function browsers.start(provider)
  local child = process.start({ "node", "tests/servers/browsers.mjs", provider }, { ready = true })
  return setmetatable({ child = child }, Browsers)
end

local function control(self, name, person, body)
  local answer, status = http.request(("%s/%s?as=%s"):format(self.child.ready, name, person), body)
  assert(status == 200, answer)
  return assert(json.decode(answer))
end

---@param person string  who logs in, where that is asked for
---@param url string
---@return { url: string, status: integer, text: string }
function Browsers:open(person, url)
  return control(self, "open", person, url)
end

---@param person string
---@param words string  on the button or link
---@return { url: string, status: integer, text: string }
function Browsers:click(person, words)
  return control(self, "click", person, words)
end

---@param person string
---@return table[]  as playwright tells them: name, value, path, httpOnly, sameSite, secure
function Browsers:cookies(person)
  return control(self, "cookies", person, "")
end

function Browsers:forget()
  control(self, "forget", "all", "")
end

function Browsers:stop()
  self.child:stop()
end

return browsers

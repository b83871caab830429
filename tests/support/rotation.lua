--- Renews a login again and again at a real server that takes each refresh token once, by processes
--- that die at random, over a cache whose saves fail at random; and counts the logins lost.
---
--- A login is lost with right only where a process died while it alone knew the newest refresh
--- token: after the server's answer, before a save of it had worked.

local folder = require "support.folder"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"
local tokencache = require "tokencache"

local rotation = {}

---@class RotationReport
---@field seed integer
---@field refreshes integer     answers of the server
---@field failed_saves integer
---@field kills integer
---@field before_save integer   logins lost by a death between the answer and its first save
---@field after_failure integer  ... and between a save that failed and the next
---@field otherwise integer     logins lost in any other way, or thought lost and not
---@field surprises string[]    what else went wrong

local Rotation = {}
Rotation.__index = Rotation

function Rotation:log_in()
  local flow = tokencache.flow.pkce {
    provider = self.server.provider,
    client_id = self.server.clients.public.client_id,
    redirect_uri = "http://127.0.0.1:8080/callback",
    scope = "read",
    cache = tokencache.cache.file { cache_path = self.cache_path },
    clock = function() return self.now end,
  }
  local url, pending = flow:get_authorize_url()
  local info, err = flow:exchange(self.server:login(url), pending)
  assert(info, tostring(err))
  assert(info.refresh_token, "the server gave no refresh token")
end

--- The command, in a shell that keeps the notice of a kill to itself.
local function quietly(command)
  local wrapped = { "sh", "-c", "\"$@\"; exit $?", "sh", environment = command.environment }
  for _, word in ipairs(command) do
    wrapped[#wrapped + 1] = word
  end
  return wrapped
end

--- Lets one worker run to its end.
---@return string[] words  its journal
function Rotation:work(refreshes)
  local journal = self.folder:file("journal")
  self.workers = self.workers + 1
  local seed = (self.report.seed * 7919 + self.workers * 1000003) % 2147483646 + 1
  process.write_file(journal, "")
  local provider, client = self.server.provider, self.server.clients.public
  local _, output = process.run(quietly(process.lua(([[require("support.rotation_worker") {
    journal = %q, cache_path = %q, client = { client_id = %q },
    provider = { authorize_url = %q, token_url = %q, issuer = %q },
    now = %d, seed = %d, refreshes = %d }]]):format(journal, self.cache_path, client.client_id,
    provider.authorize_url, provider.token_url, provider.issuer, self.now,
    seed, refreshes))))
  if output:find("rotation_worker", 1, true) then
    self:surprise(output)
  end
  local words = {}
  for line in io.lines(journal) do
    words[#words + 1] = line
  end
  return words
end

function Rotation:surprise(what)
  self.report.surprises[#self.report.surprises + 1] = what
end

--- A worker's word about the login, against what is known of it.
function Rotation:lost()
  local report, window = self.report, self.window
  self.window = nil
  report[window or "otherwise"] = report[window or "otherwise"] + 1
  self:log_in()
end

local on = {}

function on.answered(self)
  self.report.refreshes = self.report.refreshes + 1
  if self.window then -- the server took a refresh token that it had taken before
    self:surprise("a login that should have been lost was not")
    self.window = nil
  end
  self.unsaved = "before_save"
end

function on.saved(self)
  self.unsaved = nil
end

function on.failed(self)
  self.report.failed_saves = self.report.failed_saves + 1
  self.unsaved = "after_failure"
end

function on.killed(self)
  self.report.kills = self.report.kills + 1
  self.window = self.unsaved or self.window
  self.unsaved = nil
end

function on.removed() end

function on.reauthorize(self)
  self:lost()
end

--- Until there were so many refreshes, and a process was killed.
---@param settings { refreshes: integer, seed: integer }
---@return RotationReport
function rotation.run(settings)
  local self = setmetatable({
    server = oidc_provider.start(),
    folder = folder.new(),
    workers = 0,
    now = 1e9,
    report = { seed = settings.seed, refreshes = 0, failed_saves = 0, kills = 0, before_save = 0,
      after_failure = 0, otherwise = 0, surprises = {} },
  }, Rotation)
  self.cache_path = self.folder:file("token")
  local ok, err = pcall(function()
    self:log_in()
    local report = self.report
    while (report.refreshes < settings.refreshes or report.kills == 0)
      and #report.surprises == 0 do
      self.now = self.now + 1e7
      for _, word in ipairs(self:work(math.max(1, settings.refreshes - report.refreshes))) do
        local act = on[word:match("^%S+")]
        if act then
          act(self)
        else
          self:surprise(word)
        end
      end
    end
  end)
  self.server:stop()
  self.folder:remove()
  assert(ok, err)
  return self.report
end

---@param report RotationReport
---@return string
function rotation.describe(report)
  return ("%d refreshes with seed %d: %d saves failed, %d processes killed; logins lost: %d killed "
    .. "between answer and save, %d between a failed save and the next, %d otherwise"):format(
    report.refreshes, report.seed, report.failed_saves, report.kills, report.before_save,
    report.after_failure, report.otherwise)
end

return rotation

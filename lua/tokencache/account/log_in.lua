--- The part of a run in which the user logs in.

local errors = require "tokencache.error"
local log = require "tokencache.log"
local token_info = require "tokencache.token_info"

local log_in = {}

--- Nobody logs in for a token that cannot be kept, where the cache tells without being changed. But
--- where a login was kept before, or where the cache cannot be read, a program may need one to go
--- on: that is a warning.
local function look_ahead(run)
  local handler, read = run.handler, run.read
  if not handler.can_save or not handler.can_save_anew then
    return nil
  end
  local entry, err = handler:can_save(read and read.entry, read and read.info)
  if entry ~= nil or err == nil then
    return nil
  end
  err = errors.wrap("cache", err)
  if read and read.info == nil then
    run.cache_error = err
    return err
  end
  log.warning("the user is asked to log in, though the new login cannot be kept: ", err)
end

--- Why nothing can be renewed.
local function lack(run)
  local info = run.read and run.read.info
  if not info then
    return "there is no login to renew"
  elseif info.client_id and info.client_id ~= run.flow.client_id then
    return "the cached login is that of another client_id"
  elseif run.flow.client:judge(run.flow.now(), token_info.flat(info)) == "unfit" then
    return "the cached login has not all the scopes that are asked for"
  elseif not token_info.has_refresh_token(info) then
    return "the cached token came without a refresh_token"
  end
  return "there is no login to renew"
end

--- Lets the user log in. Where that is not allowed here, the error's kind tells the caller to do
--- so.
---@param run tokencache.Run
---@return table? response  nil without an error: another login may have brought a token meanwhile
---@return tokencache.Error?
function log_in.ask(run)
  local flow = run.flow
  if run.options.response then
    return run.options.response
  elseif run.options.stays_out or not flow.may_log_in or not flow.io.log_in then
    return nil, errors.new("reauthorize", (run.options.login
      and "a login was asked for, but users are not asked here" or lack(run))
      .. "; the user must log in")
  end
  local problem = look_ahead(run)
  if problem then
    return nil, problem
  end
  local response, err
  response, err, run.turn = flow.io.log_in(flow, run.turn)
  if not response and err == nil and run.turn and run.options.login then
    response, err, run.turn = flow.io.log_in(flow, run.turn) -- whatever the other one has brought
  end
  if not response and (err ~= nil or not run.turn) then
    return nil, errors.wrap("denied", err)
  end
  return response
end

--- Lets the next login at that port begin.
---@param run tokencache.Run
function log_in.finish(run)
  if run.turn then
    run.turn:close()
    run.turn = nil
  end
end

return log_in

--- Scripts that run inside Redis, each in one step: nobody else's command comes in between. They
--- bear being executed twice, as every command here must.

local scripts = {}

--- A lock holds its owner, and behind a colon that it is kept for a debt.
local OWNER = [[
local function owner_of(lock)
  return lock and string.match(lock, "^[^:]*")
end
]]

--- Only the owner's lock is released or extended.
scripts.RELEASE = OWNER .. [[
if owner_of(redis.call("GET", KEYS[1])) == ARGV[1] then
  return redis.call("DEL", KEYS[1])
end
return 0]]

--- ARGV: the owner; milliseconds; what stands behind the owner from now on. A Redis without memory
--- does not write that, and extends the lock.
scripts.EXTEND = OWNER .. [[
if owner_of(redis.call("GET", KEYS[1])) ~= ARGV[1] then
  return 0
end
redis.pcall("SET", KEYS[1], ARGV[1] .. ARGV[3], "PX", ARGV[2])
return redis.call("PEXPIRE", KEYS[1], ARGV[2])]]

--- An error inside a script is returned as the command alone would have it, its code first. Redis 5
--- and 6 put the script's name and line before it; from Redis 7 on a lack of rights is ERR, in one
--- of two wordings.
local ERRORS = [[
local function has_failed(reply)
  return type(reply) == "table" and reply.err ~= nil
end
local function failure(reply)
  local text = string.gsub(reply.err, "^@user_script: *%d+: *%-?", "")
  text = string.gsub(text, "^ERR (The user executing)", "NOPERM %1")
  text = string.gsub(text, "^ERR (ACL failure in script)", "NOPERM %1")
  return { err = text }
end
]]

--- Replies of REPLACE, beside 0: nothing is done.
scripts.SAVED = 1
scripts.THERE = 2 -- nothing is done, but the entry is already as it should be

--- Saves an entry only if the one that is there is the one expected, and nobody else has the lock.
--- KEYS: the entry, and the lock where there is one. ARGV: the new bytes; the time to live in
--- milliseconds, "" for none, "same" for what the entry has left, "delete" where the entry is to go
--- and the new bytes mean nothing; the lock's owner; the old bytes; "1" if they are to be there,
--- else no entry is.
---
--- Where a user may not run PTTL, KEEPTTL does the same: Redis 6 brought both that and users.
scripts.REPLACE = ERRORS .. OWNER .. [[
local found = redis.pcall("GET", KEYS[1])
if has_failed(found) then
  return failure(found)
end
local holder = KEYS[2] and redis.pcall("GET", KEYS[2])
if has_failed(holder) then
  return failure(holder)
end
local old = false
if ARGV[5] == "1" then
  old = ARGV[4]
end
if found ~= old or holder and owner_of(holder) ~= ARGV[3] then
  return found == (ARGV[2] ~= "delete" and ARGV[1]) and 2 or 0
end
local ttl, saved = ARGV[2], nil
if ttl == "delete" then
  saved = redis.pcall("DEL", KEYS[1])
elseif ttl == "same" then
  local left = redis.pcall("PTTL", KEYS[1])
  if has_failed(left) then
    saved = redis.pcall("SET", KEYS[1], ARGV[1], "KEEPTTL")
  else
    ttl = left < 0 and "" or math.max(left, 1)
  end
end
if not saved and ttl == "" then
  saved = redis.pcall("SET", KEYS[1], ARGV[1])
elseif not saved then
  saved = redis.pcall("SET", KEYS[1], ARGV[1], "PX", ttl)
end
return has_failed(saved) and failure(saved) or 1]]

--- A page of the keys of strings. ARGV: SCAN's cursor, its pattern, its count, and the node of a
--- cluster to which the command goes. The reply is one text, the next cursor first and then the
--- keys, each as "LENGTH:BYTES". A key that this user may not look at is none of the store's; one
--- that a cluster is moving cannot be looked at.
scripts.KEYS = ERRORS .. [[
local page = redis.pcall("SCAN", ARGV[1], "MATCH", ARGV[2], "COUNT", ARGV[3])
if has_failed(page) then
  return failure(page)
end
local texts = { page[1] }
for _, key in ipairs(page[2]) do
  local kind = redis.pcall("TYPE", key)
  local is_moving = has_failed(kind) and string.find(kind.err, "non local key")
  if has_failed(kind) and not string.find(kind.err, "access") then
    return failure(kind)
  elseif kind.ok == "string" or is_moving then
    texts[#texts + 1] = key
  end
end
for i, text in ipairs(texts) do
  texts[i] = #text .. ":" .. text
end
return table.concat(texts)]]

return scripts

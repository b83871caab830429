--- Bytes and the values of a session. Each has `decode(bytes)` -> value | nil, problem and
--- `encode(values)` -> bytes | nil, problem.

local lazy = require "tokencache.util.lazy"

return lazy("serializer", {
  json = "tokencache.json",
  msgpack = "tokencache.session.msgpack",
  pickle = "tokencache.session.pickle",
  tagged_json = "tokencache.session.tagged_json",
})

--- What may come of a call, whatever a stranger has written: something; or nil, and an error that
--- is fit to be shown and holds no secret.

local core = require "tokencache._core"

local outcome = { SECRET = "the secret/of the fuzzer", CODE = "the-code-of-the-fuzzer" }

local KINDS = { reauthorize = true, denied = true, transient = true, config = true, state = true,
  cache = true, protocol = true, timeout = true }

---@param text any
function outcome.check_text(text)
  assert(type(text) == "string" and text ~= "", "no text")
  assert(core.printable(text) == text, "what is shown is not printable")
  assert(not text:find(outcome.SECRET, 1, true) and not text:find(outcome.CODE, 1, true),
    "a secret is shown")
end

--- Returns what was returned.
function outcome.check(result, err, ...)
  if result == nil and err ~= nil then
    assert(type(err) == "table" and KINDS[err.kind], "an error without a kind")
    outcome.check_text(err.message)
    for _, name in ipairs { "code", "description" } do
      if err[name] ~= nil then
        outcome.check_text(err[name])
      end
    end
  end
  return result, err, ...
end

return outcome

-- What an editor offers: every constructor, and every option that one of them or a method takes,
-- is in the annotations, and nothing that they do not take.

local annotations = require "support.annotations"
local options = require "tokencache.util.options"
local table_store = require "support.table_store"
local tokencache = require "tokencache"

local classes = annotations.read()
local unpack = table.unpack or unpack -- luacheck: ignore 143 113

--- The tables of constructors, and what comes before the options of some.
local CLASSES = { cache = "Caches", flow = "Flows", provider = "Providers", session = "Sessions",
  store = "Stores", testing = "Testing", nginx = "NginxSettings" }
local FIRST = {
  ["cache.from_store"] = { table_store(), "key" },
  ["store.encrypted"] = { table_store() },
  ["testing.contract"] = { function() end },
}

--- Taken in place of all others.
local ALONE = { ["cache.redis"] = { client = true }, ["cache.memcached"] = { client = true },
  ["nginx.upstream"] = { flow = true } }

--- What a flow wants beside what all have.
local OWN = { jwt_bearer = { assertion = "signed" }, token_exchange = { subject_token = "theirs" },
  grant = { grant = "urn:example" } }

local REDIRECTS = { authorization_code = true, implicit = true, pkce = true }

local function listed(names, but)
  local list = {}
  for name in pairs(names) do
    list[#list + 1] = not (but and but[name]) and name or nil
  end
  table.sort(list)
  return table.concat(list, ", ")
end

--- What `call` says it knows when it is given an option that nobody has.
local function known_to(call, ...)
  local arguments = { ... }
  arguments[#arguments + 1] = { no_such_option = true }
  local _, message = pcall(call, unpack(arguments))
  return (tostring(message):gsub("^.*unknown option no_such_option; known are ", ""))
end

local function members_of(name)
  if name == "nginx" then -- whose table is made inside nginx only
    return annotations.all(classes, "tokencache.NginxSettings", "fields")
  end
  local _, message = pcall(function() return tokencache[name].no_such_member end)
  local members = {}
  for member in message:match "there is (.*)$":gmatch "[%w_]+" do
    members[member] = true
  end
  return members
end

local function constructor(name, member)
  return name == "nginx" and require("tokencache.nginx." .. member) or tokencache[name][member]
end

describe("an editor offers #once", function()
  for name, class in pairs(CLASSES) do
    local offered = annotations.all(classes, "tokencache." .. class, "fields")

    it("what there is in tokencache." .. name, function()
      assert.equal(listed(members_of(name)), listed(offered))
    end)

    for member, annotated in pairs(offered) do
      local where = name .. "." .. member
      local opts = annotated:match "opts%??: (.*)$"
      if opts and where ~= "store.shared_dict" then -- is made inside nginx only
        it("the options of " .. where, function()
          assert.equal(known_to(constructor(name, member), unpack(FIRST[where] or {})),
            listed(annotations.options(classes, opts), ALONE[where]))
        end)
      end
    end
  end

  it("all that a provider and an io table may have", function()
    for option, class in pairs { provider = "Provider", io = "Io" } do
      local opts = { provider = { token_url = "https://a/" }, client_id = "i", client_secret = "s" }
      opts[option] = { no_such_option = true }
      local _, message = pcall(tokencache.flow.client_credentials, opts)
      assert.equal(listed(annotations.all(classes, "tokencache." .. class, "fields")),
        message:match "known are (.*)$")
    end
  end)
end)

describe("of the methods of #once", function()
  setup(function() tokencache.set_logger(false) end) -- of flow.implicit
  teardown(function() tokencache.set_logger() end)

  local PROVIDER = { issuer = "https://login.example.com" }

  local function new(name)
    local opts = { provider = PROVIDER, client_id = "client", client_secret = "secret",
      cache = tokencache.cache.memory(),
      redirect_uri = REDIRECTS[name] and "http://127.0.0.1/callback" or nil }
    return tokencache.flow[name](options.merge(opts, OWN[name] or {}))
  end

  --- Which there are by the annotations, with the type of what they take last; false: no options.
  local function offered_of(class)
    local offered = {}
    for method, params in pairs(annotations.all(classes, class, "methods")) do
      local last = params[#params]
      offered[method] = last and last.name == "opts" and { type = last.type, first = #params - 1 }
        or false
    end
    for name, annotated in pairs(annotations.all(classes, class, "fields")) do
      local opts = annotated:match "^fun%(self.*opts%??: ([%w.]+)"
      if opts then
        offered[name] = { type = opts, first = 0 }
      elseif annotated:find "^nil" then
        offered[name] = nil
      end
    end
    return offered
  end

  for name, annotated in pairs(annotations.all(classes, "tokencache.Flows", "fields")) do
    local class = annotated:match "%): (tokencache%.%w+)$"

    it(name .. " an editor offers all, and no others", function()
      local flow, offered = new(name), offered_of(class)
      for _, other in pairs(classes) do
        for method in pairs(other.methods) do
          assert.equal(flow[method] ~= nil, offered[method] ~= nil, class .. " " .. method)
        end
      end
    end)

    it(name .. " an editor offers the options", function()
      local flow, count = new(name), 0
      for method, opts in pairs(offered_of(class)) do
        if opts then
          local first = { flow, "text", "text" }
          assert.equal(known_to(flow[method], unpack(first, 1, opts.first + 1)),
            listed(annotations.options(classes, opts.type)), method)
          count = count + 1
        end
      end
      assert.is_true(count > 3)
    end)
  end
end)

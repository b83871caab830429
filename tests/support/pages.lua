--- The pages of the manual: what is in them.

local process = require "support.process"

local pages = {}

--- Their paths: README.md and the like, and docs/.
---@return string[]
function pages.all()
  local paths = {}
  local _, lines = process.run { "sh", "-c", "ls README.md CHANGELOG.md CONTRIBUTING.md docs/*.md" }
  for path in lines:gmatch "%S+" do
    paths[#paths + 1] = path
  end
  return paths
end

---@param path string
---@return string
function pages.read(path)
  return assert(process.read_file(path), path)
end

--- The blocks of Lua in a page, in order.
---@param path string
---@return string[]
function pages.blocks(path)
  local blocks = {}
  for block in pages.read(path):gmatch "\n *```lua\n(.-\n) *```" do
    blocks[#blocks + 1] = block
  end
  return blocks
end

--- The first of them that has the text.
---@param path string
---@param text string
---@return string
function pages.block(path, text)
  for _, block in ipairs(pages.blocks(path)) do
    if block:find(text, 1, true) then
      return block
    end
  end
  error(path .. " has no block with " .. text)
end

--- A page without its blocks of code.
local function prose(path)
  return (("\n" .. pages.read(path)):gsub("\n *```.-\n *```", ""))
end

--- Where the links of a page lead, without those to other sites: a path in the checkout, and what
--- comes after #.
---@param path string
---@return { path: string, anchor?: string }[]
function pages.links(path)
  local found, folder = {}, path:match "^(.*/)" or ""
  for target in prose(path):gmatch "%]%(([^)]+)%)" do
    local file, anchor = target:match "^([^#]*)#?(.*)$"
    if not target:find "^%a+:" then
      local to = file == "" and path or folder .. file
      found[#found + 1] = { path = to:gsub("[^/]+/%.%./", ""),
        anchor = anchor ~= "" and anchor or nil }
    end
  end
  return found
end

--- What a link can name after #: of each heading, as forges and as mkdocs make it.
---@param path string
---@return table<string, true>[] two sets
function pages.anchors(path)
  local forges, sites = {}, {}
  for heading in prose(path):gmatch "\n#+ ([^\n]+)" do
    local text = heading:gsub("%[(.-)%]%(.-%)", "%1"):lower():gsub("[^%w%s_-]", "")
    forges[(text:gsub("%s", "-"))] = true
    sites[(text:gsub("^%s+", ""):gsub("%s+$", ""):gsub("[-%s]+", "-"))] = true
  end
  return { forges, sites }
end

return pages

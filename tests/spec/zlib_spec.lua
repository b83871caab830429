local core = require "tokencache._core"
local zlib = require "tokencache._zlib"

local TEXT = ("some text "):rep(1000)

local function unpack(text, most)
  return zlib.unpack(text, #text, most)
end

describe("zlib", function()
  it("makes bytes a shorter text, and gives them back", function()
    local packed = zlib.pack(TEXT)
    assert.is_true(#packed < 130)
    assert.equal(".", packed:sub(1, 1))
    assert.equal(TEXT, unpack(packed, #TEXT))
    assert.equal(TEXT, zlib.unpack(packed .. "!", #packed, #TEXT))
  end)

  it("leaves alone what it would make longer", function()
    for _, bytes in ipairs { "", "a", "some bytes" } do
      assert.equal(core.base64url_encode(bytes), zlib.pack(bytes))
      assert.equal(bytes, unpack(zlib.pack(bytes), #bytes))
    end
  end)

  it("tells what is wrong with a text", function()
    local packed = zlib.pack(TEXT)
    local bytes = core.base64url_decode(packed:sub(2))
    local function of(changed)
      return { unpack("." .. core.base64url_encode(changed), #TEXT) }
    end
    assert.same({ nil, "too long" }, { unpack(packed, #TEXT - 1) })
    assert.same({ nil, "too long" }, { unpack("YWJj", 2) })
    assert.same({ nil, "damaged" }, of(bytes .. "x"))
    assert.same({ nil, "damaged" }, of "text")
    assert.same({ nil, "not base64url" }, { unpack(".a+b", 100) })
    assert.same({ nil, "not base64url" }, { unpack("a+b", 100) })
    for length = 0, #bytes - 1 do
      assert.same({ nil, "truncated" }, of(bytes:sub(1, length)))
    end
    assert.equal(TEXT, unpack(packed, #TEXT)) -- and works on
  end)

  it("takes no more memory than a bomb may have", function()
    local packed = zlib.pack(("a"):rep(2 ^ 26))
    assert.same({ nil, "too long" }, { unpack(packed, 4096) })
    assert.has_error(function() unpack(packed, -1) end)
    assert.has_error(function() zlib.unpack(packed, #packed + 1, 1) end)
  end)
end)

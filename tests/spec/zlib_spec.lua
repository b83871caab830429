local zlib = require "tokencache._zlib"

local TEXT = ("some text "):rep(1000)

describe("zlib", function()
  it("makes bytes shorter, and gives them back", function()
    local packed = zlib.compress(TEXT)
    assert.is_true(#packed < 100)
    assert.equal(TEXT, zlib.decompress(packed, #TEXT))
    assert.equal("", zlib.decompress(zlib.compress "", 0))
  end)

  it("tells what is wrong with bytes", function()
    local packed = zlib.compress(TEXT)
    assert.same({ nil, "too long" }, { zlib.decompress(packed, #TEXT - 1) })
    assert.same({ nil, "damaged" }, { zlib.decompress(packed .. "x", #TEXT) })
    assert.same({ nil, "damaged" }, { zlib.decompress("text", 100) })
    for length = 0, #packed - 1 do
      assert.same({ nil, "truncated" }, { zlib.decompress(packed:sub(1, length), #TEXT) })
    end
  end)

  it("takes no more memory than a bomb may have", function()
    local packed = zlib.compress(("a"):rep(2 ^ 26))
    assert.same({ nil, "too long" }, { zlib.decompress(packed, 4096) })
    assert.has_error(function() zlib.decompress(packed, -1) end)
  end)
end)

"""The same as crowd.lua, once, by spotipy. Prints how many got a token.

Usage: spotipy_crowd.py COUNT CACHE_PATH TOKEN_URL
"""
import logging
import os
import sys
import types

sys.path.insert(0, "tests/vendor/spotipy")
sys.modules["redis"] = types.ModuleType("redis")
sys.modules["redis"].RedisError = OSError

from spotipy.cache_handler import CacheFileHandler  # noqa: E402
from spotipy.exceptions import SpotifyOauthError  # noqa: E402
from spotipy.oauth2 import SpotifyOAuth  # noqa: E402

logging.disable(logging.CRITICAL)
count, path, token_url = int(sys.argv[1]), sys.argv[2], sys.argv[3]
with open(path, "w") as file:
    file.write('{"access_token":"old","refresh_token":"refresh","expires_at":0,"scope":""}')
gate, opened = os.pipe()


def take_part():
    cache = CacheFileHandler(cache_path=path)
    oauth = SpotifyOAuth(client_id="client", client_secret="secret", cache_handler=cache,
                         redirect_uri="http://127.0.0.1/callback", open_browser=False)
    oauth.OAUTH_TOKEN_URL = token_url
    os.read(gate, 1)  # until the other end is closed
    try:
        return 0 if oauth.validate_token(cache.get_cached_token()) else 1
    except SpotifyOauthError:
        return 1


children = []
for _ in range(count):
    child = os.fork()
    if child == 0:
        os.close(opened)
        os._exit(take_part())
    children.append(child)
os.close(opened)
print(sum(os.waitpid(child, 0)[1] == 0 for child in children))

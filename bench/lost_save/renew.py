"""The same as renew.lua, by spotipy with its handler for Redis."""
import logging
import sys
import time
import types

LOGINS, HOURS, FAILS = 100, 24, 100

sys.path.insert(0, "tests/vendor/spotipy")
sys.modules["redis"] = types.ModuleType("redis")
sys.modules["redis"].RedisError = OSError

import spotipy.oauth2  # noqa: E402
from spotipy.cache_handler import RedisCacheHandler  # noqa: E402
from spotipy.exceptions import SpotifyOauthError  # noqa: E402

logging.disable(logging.CRITICAL)
now = time.time()
spotipy.oauth2.time = types.SimpleNamespace(time=lambda: now)


class Client:
    """As much of a Redis client as the handler needs."""

    entries, saves = {}, 0

    def get(self, key):
        return self.entries.get(key)

    def set(self, key, text):
        Client.saves += 1
        if Client.saves % FAILS == 0:
            raise OSError("the store is away")
        self.entries[key] = text


def login(number):
    cache = RedisCacheHandler(Client(), key=str(number))
    oauth = spotipy.oauth2.SpotifyOAuth(
        client_id="client", client_secret="secret", cache_handler=cache,
        redirect_uri="http://127.0.0.1/callback", open_browser=False)
    oauth.OAUTH_TOKEN_URL = sys.argv[1]
    Client.entries[str(number)] = (
        '{"access_token":"a","refresh_token":"r%d","expires_at":0,"scope":""}' % number)
    return cache, oauth


logins = [login(number) for number in range(LOGINS)]
for hour in range(HOURS):
    left = 0
    for cache, oauth in logins:
        try:
            left += oauth.validate_token(cache.get_cached_token()) is not None
        except SpotifyOauthError:
            pass
    print(left)
    now += 3600

"""A program that uses spotipy over a cache file: renews the token once in each round.

Usage: spotipy_renews.py TOKEN_URL CACHE_PATH DIRECTORY ROUNDS
Round N begins when there is a file DIRECTORY/N, and ends with one line of output: the access token,
or the error.
"""
import os
import sys
import time
import types

sys.path.insert(0, "tests/vendor/spotipy")
sys.modules["redis"] = types.ModuleType("redis")  # spotipy imports it for another cache handler
sys.modules["redis"].RedisError = OSError

from spotipy.cache_handler import CacheFileHandler  # noqa: E402
from spotipy.exceptions import SpotifyOauthError  # noqa: E402
from spotipy.oauth2 import SpotifyOAuth  # noqa: E402

token_url, cache_path, directory, rounds = sys.argv[1:]
cache = CacheFileHandler(cache_path=cache_path)
oauth = SpotifyOAuth(client_id="an-id", client_secret="a-secret", cache_handler=cache,
                     redirect_uri="http://127.0.0.1:8080/callback", open_browser=False)
oauth.OAUTH_TOKEN_URL = token_url
with open(os.environ["READY_FILE"], "w") as ready:
    ready.write("ready\n")
for number in range(1, int(rounds) + 1):
    while not os.path.exists(os.path.join(directory, str(number))):
        time.sleep(0.001)
    try:
        print(oauth.validate_token(cache.get_cached_token())["access_token"], flush=True)
    except SpotifyOauthError as error:
        print(error, flush=True)

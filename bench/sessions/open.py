"""A contestant: opens the cookies of sessions, by Flask or by Django, as they do it for each
request (`request`), or their signing alone (`signing`). Writes the cookies that all contestants
open. See bench/contestant.lua."""
import json
import sys
import time
import types

framework, way, cookies_file = sys.argv[1:4]


def flask_opener():
    import flask
    application = flask.Flask("bench")
    application.secret_key = "secret"
    interface = flask.sessions.SecureCookieSessionInterface()
    serializer = interface.get_signing_serializer(application)

    def request(cookie):
        asked = types.SimpleNamespace(cookies={"session": cookie})
        return interface.open_session(application, asked)
    if way == "request":
        return request, serializer.dumps
    return lambda cookie: serializer.loads(cookie, max_age=2678400), serializer.dumps


def django_opener():
    from django.conf import settings
    settings.configure(SECRET_KEY="secret")
    from django.contrib.sessions.backends.signed_cookies import SessionStore
    from django.contrib.sessions.serializers import JSONSerializer
    from django.core import signing
    options = {"salt": "django.contrib.sessions.backends.signed_cookies",
               "serializer": JSONSerializer}

    def dumps(session):
        return signing.dumps(session, compress=True, **options)
    if way == "request":
        return SessionStore, dumps
    return lambda cookie: signing.loads(cookie, max_age=1209600, **options), dumps


opener, write = django_opener() if framework == "django" else flask_opener()
if way == "write":
    with open(cookies_file, "w") as file:
        for line in sys.stdin:
            print(write({"token_info": json.loads(line)}), file=file)
    sys.exit()
with open(cookies_file) as file:
    cookies = file.read().split()
for line in sys.stdin:
    times = int(line)
    for i in range(times // 10 + 1):
        opener(cookies[i % len(cookies)])["token_info"]
    start = time.process_time()
    for i in range(times):
        opener(cookies[i % len(cookies)])["token_info"]
    print("%.9f" % (time.process_time() - start), flush=True)

"""A contestant: opens the cookie of a session, by Flask or by Django. See bench/contestant.lua."""
import sys
import time

TOKEN = {"access_token": "BQDc7sQ4" * 20, "token_type": "Bearer", "expires_in": 86400,
         "expires_at": int(time.time()) + 86400, "scope": "", "client_id": "bench"}


def flask_opener():
    import flask
    application = flask.Flask("bench")
    application.secret_key = "secret"
    serializer = flask.sessions.SecureCookieSessionInterface().get_signing_serializer(application)
    with application.app_context():
        cookie = serializer.dumps({"token_info": TOKEN})
    return lambda: serializer.loads(cookie, max_age=2678400)


def django_opener():
    from django.conf import settings
    settings.configure(SECRET_KEY="secret")
    from django.core import signing
    from django.contrib.sessions.serializers import JSONSerializer
    salt = "django.contrib.sessions.backends.signed_cookies"
    cookie = signing.dumps({"token_info": TOKEN}, salt=salt, serializer=JSONSerializer,
                           compress=True)
    return lambda: signing.loads(cookie, salt=salt, serializer=JSONSerializer, max_age=1209600)


opener = django_opener() if sys.argv[1] == "django" else flask_opener()
for line in sys.stdin:
    times = int(line)
    for _ in range(times // 10 + 1):
        opener()
    start = time.monotonic()
    for _ in range(times):
        opener()
    print("%.9f" % (time.monotonic() - start), flush=True)

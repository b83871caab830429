"""Real sessions of Python's frameworks, for the specs: a line of JSON comes in, the answer goes out.

    {"app": {...}, "cookie": "session=...", "token": {...}, "values": {...}}

The application of that configuration gets a request with that cookie. The request puts the token
into its session by spotipy's handler, and the values beside it; the answer holds what the session
has then, and the header Set-Cookie; Flask's has the `formats` that its Flask-Session writes. "count" names a value that is raised by one, in as many requests
as "times" says. "serve" starts a web server over the application, which answers with its session's
token; the answer holds its "port".
"""
import datetime  # noqa: F401: for what is evaluated
import json
import os
import socketserver
import sys
import threading
import uuid  # noqa: F401

sys.path.insert(0, sys.argv[1])

import django
import flask
import flask_session
import markupsafe  # noqa: F401
import pylibmc
import redis
from django.conf import settings
from werkzeug.serving import make_server
from spotipy.cache_handler import DjangoSessionCacheHandler, FlaskSessionCacheHandler

applications = {}
database = {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[2] + "/db.sqlite3"}
if len(sys.argv) > 3:  # the port of a PostgreSQL
    database = {"ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "tester",
                "HOST": "127.0.0.1", "PORT": sys.argv[3]}
settings.configure(DATABASES={"default": database}, INSTALLED_APPS=["django.contrib.sessions"], USE_TZ=True, ALLOWED_HOSTS=["*"],
    SECRET_KEY="unset", ROOT_URLCONF="none", MIDDLEWARE=[])
django.setup()
from django.contrib.sessions.middleware import SessionMiddleware  # noqa: E402
from django.core import management  # noqa: E402
from django.core.handlers.wsgi import WSGIRequest  # noqa: E402
from django.http import HttpResponse, JsonResponse  # noqa: E402
from django.test import RequestFactory, override_settings  # noqa: E402

management.call_command("migrate", verbosity=0)


def plain(value):
    """What of a session JSON can hold; the rest as Python shows it."""
    return json.loads(json.dumps(value, default=repr))


def change(session, handler, given):
    """What a request does to its session, and what it has then."""
    if "token" in given:
        handler.save_token_to_cache(given["token"])
    for name, code in given.get("python", {}).items():
        session[name] = eval(code)
    for name, value in given.get("values", {}).items():
        session[name] = value
    if "count" in given:
        session[given["count"]] += 1
    if given.get("flush"):
        session.flush() if hasattr(session, "flush") else session.clear()
    return {"token": plain(handler.get_cached_token()), "session": plain(dict(session.items())),
            "shown": repr(sorted(session.items()))}


def django_application(config):
    """A request through Django's own middleware."""
    def ask(given):
        def view(request):
            answer.update(change(request.session, DjangoSessionCacheHandler(request), given))
            return HttpResponse("")

        answer = {}
        headers = {"HTTP_COOKIE": given["cookie"]} if "cookie" in given else {}
        with override_settings(**config):
            response = SessionMiddleware(view)(RequestFactory().get("/", **headers))
        cookies = response.cookies.output(header="").strip()
        return dict(answer, set_cookie=cookies or None)

    def wsgi(environ, start_response):
        def view(request):
            return JsonResponse(change(request.session, DjangoSessionCacheHandler(request), {}))

        with override_settings(**config):
            response = SessionMiddleware(view)(WSGIRequest(environ))
        headers = list(response.items())
        headers += [("Set-Cookie", cookie.OutputString()) for cookie in response.cookies.values()]
        start_response("200 OK", headers)
        return [response.content]

    return ask, wsgi


def flask_application(config):
    application = flask.Flask("sessions")
    application.config.update(config)
    if "redis" in config:
        application.config["SESSION_REDIS"] = redis.Redis(port=config["redis"])
    if "memcached" in config:
        application.config["SESSION_MEMCACHED"] = pylibmc.Client([config["memcached"]])
    if "SESSION_TYPE" in config:
        flask_session.Session(application)

    @application.route("/", methods=["GET", "POST"])
    def answer():
        given = flask.request.get_json(silent=True) or {}
        handler = FlaskSessionCacheHandler(flask.session)
        if "permanent" in given:
            flask.session.permanent = given["permanent"]
        return flask.jsonify(change(flask.session, handler, given))

    def ask(given):
        client = application.test_client(use_cookies=False)
        headers = {"Cookie": given["cookie"]} if "cookie" in given else {}
        response = client.post("/", json=given, headers=headers)
        if response.status_code != 200:
            return {"status": response.status_code}
        formats = ["msgpack", "json"] if hasattr(flask_session, "defaults") else ["pickle"]
        return dict(response.get_json(), set_cookie=response.headers.get("Set-Cookie"),
                    formats=formats)

    return ask, application


def serve(wsgi):
    server = make_server("127.0.0.1", 0, wsgi)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return {"port": server.server_port}


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            given = json.loads(line)
            name = json.dumps(given["app"], sort_keys=True)
            if name not in applications:
                make = django_application if "SESSION_ENGINE" in given["app"] else flask_application
                applications[name] = make(given["app"])
            ask, wsgi = applications[name]
            if given.get("serve"):
                answer = serve(wsgi)
            else:
                for _ in range(given.get("times", 1)):
                    answer = ask(given)
            self.wfile.write((json.dumps(answer) + "\n").encode())


server = socketserver.TCPServer(("127.0.0.1", 0), Handler)
with open(os.environ["READY_FILE"], "w") as ready:
    ready.write("%d\n" % server.server_address[1])
server.serve_forever()

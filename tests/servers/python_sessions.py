"""Real sessions of Python's frameworks, for the specs: a line of JSON comes in, the answer goes out.

    {"app": {...}, "cookie": "session=...", "token": {...}, "values": {...}}

The application of that configuration gets a request with that cookie. The request puts the token
into its session by spotipy's handler, and the values beside it; the answer holds what the session
has then, and the header Set-Cookie.
"""
import datetime  # noqa: F401: for what is evaluated
import json
import os
import socketserver
import sys
import uuid  # noqa: F401

sys.path.insert(0, sys.argv[1])

import flask
from spotipy.cache_handler import FlaskSessionCacheHandler

applications = {}


def plain(value):
    """What of a session JSON can hold; the rest as Python shows it."""
    return json.loads(json.dumps(value, default=repr))


def flask_application(config):
    application = flask.Flask("sessions")
    application.config.update(config)

    @application.route("/", methods=["POST"])
    def answer():
        given = flask.request.get_json()
        handler = FlaskSessionCacheHandler(flask.session)
        if "token" in given:
            handler.save_token_to_cache(given["token"])
        for name, code in given.get("python", {}).items():
            flask.session[name] = eval(code)
        for name, value in given.get("values", {}).items():
            flask.session[name] = value
        if "permanent" in given:
            flask.session.permanent = given["permanent"]
        return flask.jsonify(token=plain(handler.get_cached_token()), session=plain(dict(flask.session)),
                             shown=repr(sorted(flask.session.items())))

    def ask(given):
        client = application.test_client(use_cookies=False)
        headers = {"Cookie": given["cookie"]} if "cookie" in given else {}
        response = client.post("/", json=given, headers=headers)
        if response.status_code != 200:
            return {"status": response.status_code}
        return dict(response.get_json(), set_cookie=response.headers.get("Set-Cookie"))

    return ask


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            given = json.loads(line)
            name = json.dumps(given["app"], sort_keys=True)
            if name not in applications:
                applications[name] = flask_application(given["app"])
            answer = applications[name](given)
            self.wfile.write((json.dumps(answer) + "\n").encode())


server = socketserver.TCPServer(("127.0.0.1", 0), Handler)
with open(os.environ["READY_FILE"], "w") as ready:
    ready.write("%d\n" % server.server_address[1])
server.serve_forever()

"""Servers on the loopback that demand a token of the provider whose URL is the argument, and ask it
about each token that they are shown: SMTP with XOAUTH2, a resource, and git over HTTP.

Writes "SMTP-PORT HTTP-PORT", a line, to the file named by READY_FILE. The second argument is a
directory: mail.txt there gets the mails, and what is in repositories/ is served as /git/NAME.
  GET  /data     200 with Bearer; the answer says whether any command line of this machine shows it
  POST /refuse   body: a token that counts as no good from now on
"""

import asyncio
import base64
import glob
import http.server
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request

from aiosmtpd.smtp import SMTP, AuthResult

PROVIDER, DIRECTORY = sys.argv[1:]
refused = set()


def is_good(token):
    request = urllib.request.Request(PROVIDER + "/me", headers={"Authorization": "Bearer " + token})
    try:
        with urllib.request.urlopen(request) as answer:
            return token not in refused and answer.status == 200
    except urllib.error.HTTPError:
        return False


class Mails:
    async def auth_XOAUTH2(self, server, args):
        text = base64.b64decode(args[1]) if args[1:] else await server.challenge_auth("")
        user, bearer = text.decode().split("\1")[:2]
        success = user == "user=alice@example.com" and is_good(bearer.removeprefix("auth=Bearer "))
        return AuthResult(success=success, handled=False)

    async def handle_DATA(self, server, session, envelope):
        with open(DIRECTORY + "/mail.txt", "ab") as mails:
            mails.write(envelope.content)
        return "250 taken"


def is_shown(token):
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as words:
                if token.encode() in words.read():
                    return True
        except OSError:
            pass  # it has ended
    return False


class Http(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def log_message(self, *_):
        pass

    def token(self):
        kind, _, rest = self.headers.get("Authorization", "").partition(" ")
        if kind == "Basic":
            return base64.b64decode(rest).decode().partition(":")[2]
        return rest if kind == "Bearer" else ""

    def answer(self, status, text=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def git(self, body):
        path, _, query = self.path.removeprefix("/git").partition("?")
        environment = {**os.environ, "GIT_PROJECT_ROOT": DIRECTORY + "/repositories",
                       "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path, "QUERY_STRING": query,
                       "REQUEST_METHOD": self.command, "REMOTE_USER": "alice",
                       "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                       "GIT_PROTOCOL": self.headers.get("Git-Protocol", "")}
        ran = subprocess.run(["git", "http-backend"], input=body, env=environment,
                             stdout=subprocess.PIPE, check=True)
        head, _, text = ran.stdout.partition(b"\r\n\r\n")
        headers = [line.split(": ", 1) for line in head.decode().split("\r\n")]
        self.answer(200, text, headers)

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/refuse":
            refused.add(body.decode())
            self.answer(200)
        elif not self.token() or not is_good(self.token()):
            self.answer(401, headers=[("WWW-Authenticate", 'Basic realm="git"')])
        elif self.path.startswith("/git/"):
            self.git(body)
        else:
            self.answer(200, b"shown\n" if is_shown(self.token()) else b"hidden\n")

    do_POST = do_GET


async def serve():
    smtp = await asyncio.get_running_loop().create_server(
        lambda: SMTP(Mails(), auth_required=True, auth_require_tls=False), "127.0.0.1", 0)
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Http)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    ready = os.environ["READY_FILE"]
    with open(ready + ".new", "w", encoding="ascii") as file:
        print(smtp.sockets[0].getsockname()[1], web.server_address[1], file=file)
    os.rename(ready + ".new", ready)
    await smtp.serve_forever()


asyncio.run(serve())

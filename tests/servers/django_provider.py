"""An authorization server for the tests: django-oauth-toolkit on a loopback port, with its database
in the directory of $READY_FILE, to which its issuer is written. Whoever asks is logged in as alice.
"""
import os
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from jwcrypto import jwk

ready = os.environ["READY_FILE"]


class Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        pass


server = WSGIServer(("127.0.0.1", 0), Quiet)
origin = "http://127.0.0.1:%d" % server.server_port

settings.configure(
    SECRET_KEY="of the tests alone",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ready + ".sqlite"}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    USE_TZ=True,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware", __name__ + ".as_alice"],
    OAUTH2_PROVIDER={
        "OIDC_ENABLED": True,
        "OIDC_RSA_PRIVATE_KEY": jwk.JWK.generate(kty="RSA", size=2048)
        .export_to_pem(private_key=True, password=None)
        .decode(),
        "PKCE_REQUIRED": True,
        "SCOPES": {"openid": "who", "read": "read"},
    },
)
django.setup()

from django.contrib.auth import get_user_model
from django.urls import include, path
from django.utils import timezone
from oauth2_provider.models import get_application_model

urlpatterns = [path("o/", include("oauth2_provider.urls", namespace="oauth2_provider"))]


def as_alice(get_response):
    def answer(request):
        request.user = get_user_model().objects.get(username="alice")
        return get_response(request)

    return answer


call_command("migrate", verbosity=0)
get_user_model().objects.create_user("alice", last_login=timezone.now())
Application = get_application_model()
for name, kind, grant in (
    ("machine", Application.CLIENT_CONFIDENTIAL, Application.GRANT_CLIENT_CREDENTIALS),
    ("web", Application.CLIENT_CONFIDENTIAL, Application.GRANT_AUTHORIZATION_CODE),
    ("public", Application.CLIENT_PUBLIC, Application.GRANT_AUTHORIZATION_CODE),
):
    Application.objects.create(
        client_id=name,
        client_secret="" if name == "public" else name + "-secret",
        client_type=kind,
        authorization_grant_type=grant,
        redirect_uris="http://127.0.0.1:8123/callback",
        skip_authorization=True,
        algorithm=Application.RS256_ALGORITHM,
    )

server.set_app(get_wsgi_application())
with open(ready + ".new", "w") as file:
    file.write(origin + "/o\n")
os.rename(ready + ".new", ready)
server.serve_forever()

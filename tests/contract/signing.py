"""Makes senders of schemathesis' requests: names that are configured, and the signature that each body needs.

Part of the requests stays as it was made up, unsigned or for nobody, so that refusals are seen, too. Which, the request
itself decides, so that it is the same in every run.
"""

import base64
import hashlib
import hmac
import json
import os
import time
import urllib.request
import zlib

import requests
import schemathesis
from schemathesis.core.parameters import ParameterLocation

# The sandbox's, see src/sandbox.
GIGYA_SECRET = base64.b64decode("c2ltdWxhdGVkLXdlYmhvb2stc2VjcmV0")
SITE = "4_SimulatedSite"
CALLBACK_TOKEN = "sandbox-callback-token-0123456789"
LIST = "a58ee1d3039b8bec838e6d1482a8a965"
SIGNATURE_KEY = b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
BUSINESS_UNIT = 100001
CONNECTIONS = {"gigya": "main", "campaign-monitor": "news", "marketing-cloud": "crm"}

PAGE = os.environ["SANDBOX_PAGE"]


def act(**action):
    """Does something on the sandbox's page."""
    body = json.dumps(action).encode()
    request = urllib.request.Request(f"{PAGE}/act", body, {"content-type": "application/json"})
    urllib.request.urlopen(request, timeout=10).close()


def settle():
    """Somebody to be talked about, on all sides; their UID."""
    act(do="sign_up", name=f"ann {os.getpid()}")
    with urllib.request.urlopen(f"{PAGE}/state", timeout=10) as answer:
        uid = json.load(answer)["people"][0]["accounts"][0]["uid"]
    act(do="subscribe", uid=uid)
    return uid


def change_weather(kind):
    """How all systems are doing, from now on."""
    for system in ["gigya", "campaign-monitor", "marketing-cloud"]:
        act(do="weather", system=system, kind=kind)


UID = settle()
change_weather(os.environ.get("WEATHER", "fine"))


class Signature(requests.auth.AuthBase):
    """Signs the body as it goes over the wire."""

    def __init__(self, header, key, digest):
        self.header, self.key, self.digest = header, key, digest

    def __call__(self, request):
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        signature = hmac.new(self.key, body, self.digest).digest()
        request.headers[self.header] = base64.b64encode(signature).decode()
        return request


SIGNATURES = {
    "gigya": Signature("x-gigya-sig-hmac-sha1", GIGYA_SECRET, hashlib.sha1),
    "marketing-cloud": Signature("x-sfmc-ens-signature", SIGNATURE_KEY, hashlib.sha256),
}


def sender(path):
    parts = path.split("/")
    return parts[2] if len(parts) > 2 and parts[1] == "webhooks" else None


@schemathesis.hook
def before_call(ctx, case, kwargs):
    who = sender(case.operation.path)
    if who is None:
        return
    made_up = repr((case.operation.path, case.method, case.path_parameters, case.body)).encode(errors="replace")
    dice = zlib.crc32(made_up)
    meta = case.meta
    if "connection" in case.path_parameters and not meta.is_negative_at(ParameterLocation.PATH):
        if dice % 8 != 0:
            # A sandbox has no connection that is only described.
            case.path_parameters["connection"] = CONNECTIONS.get(who, "nobody")
        if "token" in case.path_parameters and dice % 8 != 1:
            case.path_parameters["token"] = CALLBACK_TOKEN
    if not meta.is_negative_at(ParameterLocation.BODY):
        if case.media_type == "application/xml":
            kwargs["data"] = xml(case.body)
        else:
            case.body = believable(who, case.body, dice)
    if who in SIGNATURES and dice % 8 != 2:
        kwargs["auth"] = SIGNATURES[who]


def believable(who, body, dice):
    """The same body about this site, this list, and somebody who is there: else nobody gets to see more than 401."""
    if who == "gigya" and isinstance(body, dict):
        body = dict(body)
        if isinstance(body.get("timestamp"), int) and dice % 16 != 3:
            body["timestamp"] = int(time.time())
        body["events"] = [about(event, number, dice) for number, event in enumerate(body.get("events", []))]
    if who == "campaign-monitor" and isinstance(body, dict) and "ListID" in body:
        body = {**body, "ListID": LIST}
    if who == "marketing-cloud" and isinstance(body, dict) and "mid" in body:
        body = {**body, "mid": BUSINESS_UNIT}
    return body


def xml(made_up):
    """A callback in XML, which the document describes in words: somebody's name is what was made up."""
    text = str(made_up)
    if text.startswith("<"):
        text = "the example"
    name = zlib.crc32(text.encode(errors="replace"))
    event = f"<Type>Deactivate</Type><EmailAddress>{name}@example.org</EmailAddress><State>Unsubscribed</State>"
    return f"<Callback><ListID>{LIST}</ListID><Events><Event>{event}</Event></Events></Callback>".encode()


def about(event, number, dice):
    event = dict(event)
    if isinstance(event.get("apiKey"), str) and dice % 16 != 3:
        event["apiKey"] = SITE
    if (dice + number) % 3 == 0:
        event["type"], event["data"] = "accountUpdated", {"uid": UID}
    return event


@schemathesis.check
def only_who_is_known_is_heard(ctx, response, case):
    """Nobody hears 2xx without a signature or the token."""
    who = sender(case.operation.path)
    if who is None or not 200 <= response.status_code < 300:
        return
    if who in SIGNATURES:
        assert SIGNATURES[who].header in response.request.headers, "taken without a signature"
    else:
        assert response.request.path_url.split("?")[0].endswith(f"/{CALLBACK_TOKEN}"), "taken without the token"


@schemathesis.check
def what_the_document_forbids_is_refused(ctx, response, case):
    """As a whole; or, where only some of its events are no events, each of these by itself, so that it keeps no other from
    being heard. (The built-in check knows the first only.)"""
    meta = case.meta
    if meta is None or not meta.is_negative_at(ParameterLocation.BODY) or not 200 <= response.status_code < 300:
        return
    assert response.json()["rejected"] > 0, "taken although the document forbids it"


@schemathesis.check
def a_problem_says_its_status(ctx, response, case):
    """What JSON Schema can't say of a problem: it repeats the status, and the request's id unless it is a 401."""
    if response.headers.get("content-type", [""])[0] != "application/problem+json" or not response.content:
        return
    problem = response.json()
    assert problem["status"] == response.status_code, "another status in the body"
    expected = None if response.status_code == 401 else response.headers["x-request-id"][0]
    assert problem.get("instance") == expected, "another id in the body"

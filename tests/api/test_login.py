"""Logging in and out of the operator plane: by token and by password, for programs and for the console, and what ends a session."""
import base64
import hashlib
import hmac
import json
import re
import time

import pytest

from harness.operator import Operator
from harness.plain import RawConnection, call

PASSWORD = "a password of 27 characters"


def encode(value):
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text):
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def login(operator, status=200, headers=None, **body):
    return operator.post("/auth/login", body, headers=headers, status=status)


def bearer(operator, **body):
    return login(operator, **body).json()["access_token"]


def me(operator, token, status=200):
    return operator.get("/auth/me", token=token, status=status)


@pytest.fixture(scope="module")
def ada(operator):
    """An admin with a password and a token."""
    made = operator.post("/api/v1/operators", {"name": "ada", "email": "ada@example.com", "role": "admin", "password": PASSWORD}).json()
    made["token"] = operator.post(f"/api/v1/operators/{made['id']}/tokens", {"name": "laptop"}).json()["token"]
    return made


@pytest.fixture
def make_person(operator):
    """make_person(**fields): an operator of this test's own, with his token."""
    def make(**fields):
        name = f"person-{time.monotonic_ns()}"
        made = operator.post("/api/v1/operators", {"name": name, "role": "admin", **fields}).json()
        token = operator.post(f"/api/v1/operators/{made['id']}/tokens", {"name": "his"}).json()
        return {**made, "token": token["token"], "token_id": token["id"]}

    return make


@pytest.mark.smoke
def test_a_token_gives_a_signed_token(operator, ada):
    before = time.time()
    given = login(operator, api_key=ada["token"]).json()
    assert given["token_type"] == "bearer"
    assert given["expires_in"] == 28800
    header, payload, signature = given["access_token"].split(".")
    assert decode(header)["alg"] == "HS256"
    claims = decode(payload)
    assert set(claims) == {"sub", "role", "team_id", "is_admin", "email", "org_id", "is_platform_admin", "org_roles", "exp", "iat", "jti"}
    assert (claims["sub"], claims["role"], claims["email"]) == (ada["id"], "admin", "ada@example.com")
    assert (claims["is_admin"], claims["is_platform_admin"]) == (True, True)
    assert (claims["team_id"], claims["org_id"], claims["org_roles"]) == (None, None, [])
    assert claims["exp"] - claims["iat"] == 28800
    assert abs(claims["iat"] - before) < 60
    key = bytes.fromhex((operator.gateway.data_folder / "session-key").read_text().strip())
    assert base64.urlsafe_b64decode(signature + "=") == hmac.digest(key, f"{header}.{payload}".encode(), hashlib.sha256)


@pytest.mark.smoke
def test_what_a_login_gave_says_who_it_is(operator, ada):
    for token in (ada["token"], bearer(operator, api_key=ada["token"]), bearer(operator, username="ada", password=PASSWORD)):
        who = me(operator, token).json()
        assert (who["id"], who["name"], who["role"], who["kind"], who["is_admin"]) == (ada["id"], "ada", "admin", "token", True)


def test_a_viewer_may_log_in_and_is_no_admin(operator):
    token = bearer(operator, api_key=operator.token("viewer"))
    assert decode(token.split(".")[1])["is_admin"] is False
    assert me(operator, token).json()["is_admin"] is False
    operator.get("/api/v1/operators", token=token, status=403)


def test_the_last_login_is_shown(operator, ada):
    login(operator, username="ada", password=PASSWORD)
    first = operator.get(f"/api/v1/operators/{ada['id']}").json()["last_login_at"]
    login(operator, api_key=ada["token"])
    assert operator.get(f"/api/v1/operators/{ada['id']}").json()["last_login_at"] > first


@pytest.mark.parametrize("body", [
    {}, {"cookie": True}, {"username": "ada"}, {"password": "x"}, {"api_key": "x", "username": "ada", "password": "y"}, {"api_key": "x", "password": "y"},
    {"api_key": ""}, {"api_key": None}, {"username": "", "password": "x"}, {"token": "x"}, {"api_key": "x", "cookie": "yes"}, [], "x",
])
def test_a_login_is_one_of_two_forms(operator, body):
    assert operator.post("/auth/login", body, status=400).reason in ("field_invalid", "field_missing")


def test_every_failure_looks_the_same(make_gateway, sim):
    operator = Operator(make_gateway(sim))
    ada = operator.post("/api/v1/operators", {"name": "ada", "role": "admin", "password": PASSWORD}).json()
    gone = operator.post("/api/v1/operators", {"name": "gone", "role": "admin", "password": PASSWORD}).json()
    operator.post("/api/v1/operators", {"name": "none", "role": "admin"})
    operator.post(f"/api/v1/operators/{gone['id']}/disable?confirm={gone['id']}")
    answers = [login(operator, 401, **body) for body in (
        {"username": "ada", "password": "wrong"}, {"username": "nobody", "password": PASSWORD}, {"username": "none", "password": PASSWORD},
        {"username": "gone", "password": PASSWORD}, {"username": "ADA", "password": PASSWORD}, {"api_key": operator.gateway.key},
        {"api_key": "weir_op_dev_" + "A" * 49}, {"api_key": ada["id"]})]
    for answer in answers:
        assert answer.headers["www-authenticate"] == "Bearer"
        assert {**answer.json(), "request_id": 0} == {**answers[0].json(), "request_id": 0}
        assert answer.json()["detail"] and answer.reason == "login_failed"
        assert "set-cookie" not in answer.headers


# --- what is no token of ours ---

def signed(operator, header, payload):
    key = bytes.fromhex((operator.gateway.data_folder / "session-key").read_text().strip())
    text = f"{encode(header)}.{encode(payload)}"
    return f"{text}.{encode(hmac.digest(key, text.encode(), hashlib.sha256))}"


def test_a_made_up_signed_token_is_refused(operator, ada):
    good = bearer(operator, api_key=ada["token"])
    header, payload, signature = good.split(".")
    claims = decode(payload)
    hs256 = {"alg": "HS256", "typ": "JWT"}
    assert me(operator, signed(operator, hs256, claims)).status == 200
    assert me(operator, signed(operator, {**hs256, "kid": "1", "x": [1]}, claims)).status == 200  # unknown headers say nothing
    wrong = {
        "none": f"{encode({'alg': 'none'})}.{payload}.",
        "none, signed": signed(operator, {"alg": "none"}, claims),
        "another algorithm": signed(operator, {"alg": "HS512"}, claims),
        "asymmetric": signed(operator, {"alg": "RS256"}, claims),
        "no algorithm": signed(operator, {"typ": "JWT"}, claims),
        "two algorithms": signed(operator, b'{"alg":"HS256","alg":"HS256"}', claims),
        "what must be understood": signed(operator, {**hs256, "crit": ["exp"]}, claims),
        "header is no object": signed(operator, [], claims),
        "another payload": f"{header}.{encode({**claims, 'role': 'owner'})}.{signature}",
        "no signature": f"{header}.{payload}.",
        "a cut signature": good[:-1],
        "padding": good + "=",
        "another last character": good[:-1] + ("B" if good[-1] != "B" else "C"),
        "four parts": good + ".x",
        "a space inside": good.replace(".", ". "),
        "no expiry": signed(operator, hs256, {name: value for name, value in claims.items() if name != "exp"}),
        "expiry as a text": signed(operator, hs256, {**claims, "exp": str(claims["exp"])}),
        "no subject": signed(operator, hs256, {**claims, "sub": ""}),
        "expired": signed(operator, hs256, {**claims, "exp": int(time.time()) - 1}),
        "no session": signed(operator, hs256, {**claims, "jti": "ses_0000000000000000"}),
        "session of another": signed(operator, hs256, {**claims, "sub": "opr_0000000000000000"}),
        "very long": good + "A" * 8000,
    }
    for name, token in wrong.items():
        answer = call(operator.gateway.operator, "GET", "/auth/me", {"authorization": f"Bearer {token}"})
        assert answer.status == 401, f"{name}: {answer}"
        assert answer.json()["details"]["reason"] in ("operator_token_invalid", "operator_session_ended"), name


def test_a_signed_token_cannot_claim_a_role(operator):
    token = bearer(operator, api_key=operator.token("viewer"))
    header, payload, _ = token.split(".")
    forged = signed(operator, decode(header), {**decode(payload), "role": "owner", "is_admin": True})
    assert me(operator, forged).json()["role"] == "viewer"


# --- what ends a session ---

def sessions_of(operator, person, password=None):
    """A signed token and a cookie, by his token and by his password."""
    ways = [{"api_key": person["token"]}] + ([{"username": person["name"], "password": password}] if password else [])
    found = []
    for way in ways:
        found.append({"authorization": "Bearer " + bearer(operator, **way)})
        found.append({"cookie": login(operator, **way, cookie=True).headers["set-cookie"].split(";")[0]})
    return found


def statuses(operator, sessions):
    return [call(operator.gateway.operator, "GET", "/auth/me", headers).status for headers in sessions]


def test_logging_out_ends_this_session_and_no_other(operator, make_person):
    person = make_person()
    first, second = (bearer(operator, api_key=person["token"]) for _ in range(2))
    assert operator.post("/auth/logout", token=first).status == 204
    assert me(operator, first, 401).reason == "operator_session_ended"
    me(operator, second)
    me(operator, person["token"])


def test_a_token_is_not_logged_out(operator, make_person):
    assert operator.post("/auth/logout", token=make_person()["token"], status=409).reason == "state_conflict"


@pytest.mark.parametrize("end", ["disable", "delete", "role", "password", "revoke"])
def test_what_ends_all_sessions_of_an_operator(operator, make_person, end):
    person = make_person(password=PASSWORD)
    sessions = sessions_of(operator, person, PASSWORD)
    assert statuses(operator, sessions) == [200] * 4
    path = f"/api/v1/operators/{person['id']}"
    if end == "disable":
        operator.post(f"{path}/disable", {"confirm": person["id"]})
    elif end == "delete":
        operator.delete(f"{path}?confirm={person['id']}")
    elif end == "role":
        operator.patch(path, {"role": "viewer"})
    elif end == "password":
        operator.patch(path, {"password": PASSWORD + "!"})
    else:
        operator.delete(f"{path}/tokens/{person['token_id']}?confirm={person['token_id']}")
    by_token, by_password = statuses(operator, sessions[:2]), statuses(operator, sessions[2:])
    assert by_token == [401, 401]
    assert by_password == ([200, 200] if end == "revoke" else [401, 401])
    token = call(operator.gateway.operator, "GET", "/auth/me", {"authorization": f"Bearer {person['token']}"}).status
    assert token == (200 if end in ("role", "password") else 401)


def test_enabling_brings_tokens_back_and_no_session(operator, make_person):
    person = make_person()
    sessions = sessions_of(operator, person)
    path = f"/api/v1/operators/{person['id']}"
    operator.post(f"{path}/disable?confirm={person['id']}")
    assert me(operator, person["token"], 401).reason == "operator_token_invalid"
    operator.post(f"{path}/enable")
    me(operator, person["token"])
    assert statuses(operator, sessions) == [401, 401]


def test_sessions_survive_a_restart_and_end_with_their_key(make_gateway, sim):
    gateway = make_gateway(sim)
    operator = Operator(gateway)
    token = operator.token("admin")
    sessions = sessions_of(operator, {"token": token})
    gateway.restart()
    assert statuses(operator, sessions) == [200, 200]
    gateway.stop()
    key = gateway.data_folder / "session-key"
    key.write_text("ab" * 32 + "\n")
    gateway.start()
    assert statuses(operator, sessions) == [401, 200]
    gateway.stop()
    key.chmod(0o644)
    gateway.launch()
    assert gateway.wait() == 1
    assert "others may read" in gateway.stderr()
    key.chmod(0o600)
    gateway.start()


def test_a_session_ends_with_its_time(make_gateway, sim):
    operator = Operator(make_gateway(sim, operator={"session": "1m"}))
    given = login(operator, api_key=operator.token("viewer")).json()
    assert given["expires_in"] == 60
    header, payload, _ = given["access_token"].split(".")
    assert decode(payload)["exp"] - decode(payload)["iat"] == 60


def test_a_session_is_no_longer_than_its_token(operator, make_person):
    person = make_person()
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 600))
    short = operator.post(f"/api/v1/operators/{person['id']}/tokens", {"name": "short", "expires_at": until}).json()["token"]
    assert login(operator, api_key=short).json()["expires_in"] <= 600


# --- the console ---

class Browser:
    """What a browser does for a page of the plane itself."""

    def __init__(self, operator, **body):
        self.operator = operator
        answer = login(operator, **body, cookie=True, headers={"origin": f"http://{operator.gateway.operator}"})
        self.set_cookie, self.given = answer.headers["set-cookie"], answer.json()
        self.cookie = self.set_cookie.split(";")[0]

    def send(self, method, path, body=None, csrf=None, origin=None, status=None, **headers):
        headers = {"cookie": self.cookie, **headers}
        if method != "GET" or origin:
            headers["origin"] = origin or f"http://{self.operator.gateway.operator}"
        if csrf is not None:
            headers["x-csrf-token"] = csrf
        return self.operator.request(method, path, body, headers=headers, status=status)


@pytest.fixture
def browser(operator, ada):
    return Browser(operator, username="ada", password=PASSWORD)


@pytest.mark.smoke
def test_the_cookie_is_for_this_plane_alone(browser):
    name_and_value, *attributes = browser.set_cookie.split("; ")
    assert re.fullmatch(r"weir_session=[0-9A-Za-z]{43}", name_and_value)
    assert set(attributes) == {"Path=/", "Max-Age=28800", "HttpOnly", "SameSite=Strict"}
    assert browser.given["access_token"] is None
    assert browser.given["token_type"] == "cookie"
    assert browser.cookie.split("=")[1] not in json.dumps(browser.given)


def test_a_change_by_cookie_needs_the_token_of_its_session(operator, ada, browser):
    other = Browser(operator, username="ada", password=PASSWORD)
    me_answer = browser.send("GET", "/auth/me").json()
    assert me_answer["kind"] == "session"
    assert me_answer["csrf_token"] == browser.given["csrf_token"] != other.given["csrf_token"]
    body = {"name": "made by hand"}
    for wrong in (None, "", "x", other.given["csrf_token"], browser.given["csrf_token"][:-1], browser.given["csrf_token"] + "A", browser.cookie):
        refused = browser.send("POST", "/auth/tokens", body, csrf=wrong, status=403)
        assert refused.reason == "csrf_token_invalid"
        entry = operator.get("/api/v1/audit-logs?action=auth.tokens_create&limit=1").json()["data"][0]
        assert (entry["error_code"], entry["actor_name"], entry["actor_kind"]) == ("csrf_token_invalid", "ada", "session")
    assert browser.send("POST", "/auth/tokens", body, csrf=browser.given["csrf_token"]).status == 201


def test_a_page_of_another_origin_can_do_nothing(operator, browser):
    for origin in ("http://evil.example", "null", f"http://{operator.gateway.operator}.evil.example", "http://localhost:1"):
        for csrf in (None, browser.given["csrf_token"]):
            answer = browser.send("POST", "/auth/tokens", {"name": "x"}, csrf=csrf, origin=origin, status=403)
            assert answer.reason == "operator_origin_not_allowed"
        assert browser.send("GET", "/auth/me", origin=origin, status=403).reason == "operator_origin_not_allowed"
    # what a form of another page can send without being asked for permission first
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = call(operator.gateway.operator, "POST", "/auth/login", {"content-type": kind, "origin": "http://evil.example"},
                      json.dumps({"username": "ada", "password": PASSWORD, "cookie": True}).encode())
        assert answer.status == 403
        assert "set-cookie" not in answer.headers
    for name in ("access-control-allow-origin", "access-control-allow-credentials"):
        assert name not in answer.headers


def test_a_bad_cookie_makes_nobody_of_the_local_operator(operator, browser):
    cookies = ["weir_session=", "weir_session=x", "weir_session=" + "A" * 43, f"{browser.cookie}; weir_session={'A' * 43}",
               f"weir_session={'A' * 43}; {browser.cookie}", f"{browser.cookie}; {browser.cookie}"]
    for cookie in cookies:
        assert operator.get("/auth/me", headers={"cookie": cookie}, status=401).reason == "operator_session_ended", cookie
    assert operator.get("/auth/me", headers={"cookie": "other=1; weir_session2=x"}).json()["kind"] == "local"
    assert operator.get("/auth/me", headers={"cookie": f"a=b; {browser.cookie} ; c=d"}).json()["kind"] == "session"


def test_logging_out_takes_the_cookie_away(operator, browser):
    answer = browser.send("POST", "/auth/logout", csrf=browser.given["csrf_token"])
    assert answer.status == 204
    assert "Max-Age=0" in answer.headers["set-cookie"] and answer.headers["set-cookie"].startswith("weir_session=;")
    assert browser.send("GET", "/auth/me", status=401).reason == "operator_session_ended"


def test_a_cookies_session_is_no_signed_token(operator, ada, browser):
    session = browser.send("GET", "/auth/me").json()["token_id"]
    claims = decode(bearer(operator, api_key=ada["token"]).split(".")[1])
    me(operator, signed(operator, {"alg": "HS256"}, {**claims, "jti": session}), 401)


# --- too often ---

def test_ten_failures_hold_up_one_name_from_one_address(make_gateway, sim):
    """Behind a tunnel or a proxy everybody has one address: who mistypes holds up himself."""
    operator = Operator(make_gateway(sim))
    for name in ("ada", "grace"):
        operator.post("/api/v1/operators", {"name": name, "role": "admin", "password": PASSWORD})
    token = operator.token("viewer")
    for _ in range(9):  # a success forgets
        login(operator, 401, username="ada", password="wrong")
    login(operator, username="ada", password=PASSWORD)
    for _ in range(10):
        login(operator, 401, username="ada", password="wrong")
    refused = login(operator, 429, username="ada", password=PASSWORD)
    assert refused.reason == "login_too_often"
    assert 0 < int(refused.headers["retry-after"]) <= 300
    login(operator, username="grace", password=PASSWORD)
    login(operator, api_key=token)
    operator.get("/auth/me", token=token)  # who is known already goes on
    for _ in range(40):
        login(operator, 429, username="ada", password="wrong")
    entries = operator.get("/api/v1/admin/audit?limit=200&action=auth.login").json()["entries"]
    failed = [entry for entry in entries if entry["result"] == "failure"]
    assert 10 <= len(failed) <= 30, "failures are there, and a flood of refusals is not"
    assert sum("too many" in entry["error_message"] for entry in failed) <= 2


def test_a_hundred_failures_hold_up_an_address(make_gateway, sim):
    operator = Operator(make_gateway(sim))
    operator.post("/api/v1/operators", {"name": "ada", "role": "admin", "password": PASSWORD})
    for _ in range(100):
        login(operator, 401, api_key="no-token")
    assert login(operator, 429, username="ada", password=PASSWORD).reason == "login_too_often"
    assert login(operator, 429, api_key=operator.token("viewer")).reason == "login_too_often"


def test_the_trail_tells_of_logins_and_never_a_secret(make_gateway, sim):
    operator = Operator(make_gateway(sim))
    operator.post("/api/v1/operators", {"name": "ada", "role": "admin", "password": PASSWORD})
    token = operator.token("viewer")
    login(operator, username="ada", password=PASSWORD)
    login(operator, api_key=token, cookie=True)
    login(operator, 401, username="ada", password="wrong-and-secret")
    login(operator, 401, username="my-password-in-the-wrong-field", password="wrong-and-secret")
    login(operator, 401, api_key=token[:-1] + "x")
    text = operator.get("/api/v1/admin/audit?limit=200").body.decode()
    entries = [entry for entry in json.loads(text)["entries"] if entry["action"] == "auth.login"]
    viewer = operator.get("/auth/me", token=token).json()["name"]
    assert [(entry["user"], entry["result"]) for entry in reversed(entries)][:3] == [("ada", "success"), (viewer, "success"), ("ada", "failure")]
    everything = text + operator.gateway.stderr()
    for secret in (PASSWORD, token, "wrong-and-secret", "my-password-in-the-wrong-field", operator.owner_token):
        assert secret not in everything


# --- what nobody may read ---

def test_nothing_at_rest_lets_anybody_in(operator, ada):
    given = bearer(operator, api_key=ada["token"])
    cookie = login(operator, api_key=ada["token"], cookie=True).headers["set-cookie"].split(";")[0].split("=")[1]
    secrets = [value.encode() for value in (PASSWORD, ada["token"], given.split(".")[2], cookie)]
    for path in operator.gateway.data_folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [secret for secret in secrets if secret in content], path
    assert ((operator.gateway.data_folder / "session-key").stat().st_mode & 0o777) == 0o600


def test_a_request_may_carry_one_credential(operator, ada):
    with RawConnection(operator.gateway.operator) as raw:
        raw.send(f"GET /auth/me HTTP/1.1\r\nHost: {operator.gateway.operator}\r\nAuthorization: Bearer {ada['token']}\r\n"
                 f"Authorization: Bearer {ada['token']}\r\n\r\n".encode())
        assert raw.read_answer().status == 401
    for value in (ada["token"], f"bearer {ada['token']}", f"Bearer  {ada['token']}", "Basic YWRhOng=", "Bearer"):
        assert operator.get("/auth/me", headers={"authorization": value}, status=401).reason == "operator_token_invalid"


# --- one's own password ---

def test_changing_ones_password(operator, make_person):
    person = make_person(password=PASSWORD)
    mine, other = (bearer(operator, username=person["name"], password=PASSWORD) for _ in range(2))
    change = {"current_password": PASSWORD, "new_password": PASSWORD + " and more"}
    assert operator.post("/auth/password", {**change, "current_password": "wrong"}, token=mine, status=400).field == "current_password"
    assert operator.post("/auth/password", {"new_password": PASSWORD + "x"}, token=mine, status=400).field == "current_password"
    assert operator.post("/auth/password", {**change, "new_password": "short"}, token=mine, status=400).field == "new_password"
    assert operator.post("/auth/password", change, token=mine).status == 204
    me(operator, mine)
    assert me(operator, other, 401).reason == "operator_session_ended"
    login(operator, 401, username=person["name"], password=PASSWORD)
    login(operator, username=person["name"], password=PASSWORD + " and more")


def test_a_token_that_may_less_sets_no_password(operator, make_person):
    person = make_person()
    narrow = operator.post(f"/api/v1/operators/{person['id']}/tokens", {"name": "ci", "role": "viewer"}).json()["token"]
    assert operator.post("/auth/password", {"new_password": PASSWORD}, token=narrow, status=403).reason == "role_not_allowed"
    assert operator.post("/auth/password", {"new_password": PASSWORD}, token=person["token"]).status == 204


def test_the_local_operator_has_no_account(operator):
    assert operator.get("/auth/me").json()["id"] is None
    for method, path, body in (("POST", "/auth/password", {"new_password": PASSWORD}), ("GET", "/auth/tokens", None),
                               ("POST", "/auth/tokens", {"name": "x"}), ("POST", "/auth/logout", None)):
        assert operator.request(method, path, body, status=409).reason == "state_conflict"

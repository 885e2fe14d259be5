"""Limits: how often, how many tokens, how many at once; for keys, users, teams, workspaces, models, providers and plans."""
import itertools
import json
import re
import threading

import openai
import pytest

from harness.keys import set_rules, settle
from harness.limits import (answers, body_of, completion, held, in_effect, metered, metered_settings, prices, put_limit, remove_object, send,
                            LIMIT)
from harness.plain import RawConnection, call
from harness.processes import Gateway
from harness.upstream import Upstream, provider
from harness.waiting import until

NUMBERS = itertools.count()
RESET = re.compile(r"(\d+h)?(\d+m)?(\d+(\.\d+)?m?s)")


@pytest.fixture(scope="module")
def shared_upstream():
    made = Upstream()
    yield made
    made.stop()


@pytest.fixture
def upstream(shared_upstream):
    """One for all tests: each sets its handler."""
    shared_upstream.handler = answers()
    del shared_upstream.calls[:]
    return shared_upstream


@pytest.fixture(scope="module")
def limited(weir_binary, sim, shared_upstream, module_folder):
    instance = Gateway(weir_binary, module_folder / "limited", metered_settings(sim, shared_upstream, server={"workers": 2}))
    (instance.folder / "prices.json").write_text(json.dumps(prices("plain", "other")))
    yield instance.start()
    instance.close()


def key_with(gateway, **limits):
    """A fresh key with these limits in its rules."""
    name = f"limited-{next(NUMBERS)}"
    key = gateway.create_key(name)
    set_rules(gateway, name, {"limits": limits})
    settle(gateway)
    return key


def refusal(answer, reason, **details):
    """A 429 as it must be; gives its details."""
    assert answer.status == 429, answer
    body = answer.json()
    error = body["error"]
    assert (error["code"], error["type"], error["error_code"]) == (reason, "rate_limit_error", "WEIR_RATE_LIMITED"), body
    assert body["error_code"] == error["error_code"] and body["details"] == error["details"]
    assert body["request_id"] == answer.headers["x-request-id"]
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.headers["x-should-retry"] in ("true", "false")
    for name, value in details.items():
        assert error["details"][name] == value, error["details"]
    return error["details"]


@pytest.mark.smoke
@pytest.mark.tsan
def test_requests_a_minute(limited, upstream):
    key = key_with(limited, requests_per_minute=3)
    told = [send(limited, key) for _ in range(3)]
    assert [answer.status for answer in told] == [200] * 3
    assert [answer.headers["x-ratelimit-limit-requests"] for answer in told] == ["3"] * 3
    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in told] == ["2", "1", "0"]
    assert all(RESET.fullmatch(answer.headers["x-ratelimit-reset-requests"]) for answer in told)
    refused = send(limited, key)
    refusal(refused, "rate_limited", scope="key", window="minute", limit_name="requests_per_minute", limit=3)
    assert refused.headers["x-ratelimit-remaining-requests"] == "0" and int(refused.headers["retry-after"]) <= 21
    assert len(upstream.calls) == 3


def test_the_sdk_raises_a_rate_limit_error(limited, upstream):
    key = key_with(limited, requests_per_minute=1)
    with openai.OpenAI(base_url=limited.base_url, api_key=key, max_retries=0) as client:
        message = [{"role": "user", "content": "Hi"}]
        client.chat.completions.create(model="plain", messages=message, max_tokens=5)
        for stream in (False, True):
            with pytest.raises(openai.RateLimitError) as caught:
                client.chat.completions.create(model="plain", messages=message, max_tokens=5, stream=stream)
            error = caught.value
            assert error.code == "rate_limited" and error.body["details"]["limit_name"] == "requests_per_minute"
            assert int(error.response.headers["retry-after"]) >= 1


def test_the_sdk_waits_and_comes_through(limited, upstream):
    key = key_with(limited, requests_per_second=1)
    with openai.OpenAI(base_url=limited.base_url, api_key=key, max_retries=5) as client:
        for _ in range(3):
            client.chat.completions.create(model="plain", messages=[{"role": "user", "content": "Hi"}], max_tokens=5)
    assert len(upstream.calls) == 3


def test_requests_a_second(limited, upstream):
    key = key_with(limited, requests_per_second=1)
    refused = next(answer for answer in (send(limited, key) for _ in range(1000)) if answer.status != 200)
    details = refusal(refused, "rate_limited", scope="key", window="second", limit_name="requests_per_second", limit=1)
    assert "budget" not in details
    assert refused.headers["retry-after"] == "1"


def test_a_burst_may_be_more_than_the_limit(limited, upstream):
    key = key_with(limited, requests_per_minute=2, burst_percent=300)
    assert [send(limited, key).status for _ in range(7)] == [200] * 6 + [429]


def test_requests_that_are_answered_here_count(limited, upstream):
    key = key_with(limited, requests_per_minute=2)
    path, head = "/v1/models", {"authorization": f"Bearer {key}"}
    assert call(limited.address, "GET", path, head).status == 200
    assert call(limited.address, "GET", "/v1/models/plain", head).headers["x-ratelimit-remaining-requests"] == "0"
    refusal(call(limited.address, "GET", path, head), "rate_limited")
    refusal(send(limited, key), "rate_limited")
    assert not upstream.calls
    assert call(limited.address, "GET", "/health").status == 200  # nobody's


def test_a_refused_body_is_not_waited_for(limited, upstream):
    key = key_with(limited, requests_per_minute=1)
    assert send(limited, key).status == 200
    with RawConnection(limited.address) as raw:
        raw.send(f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
                 "Content-Length: 100000\r\n\r\n".encode())
        refusal(raw.read_answer(), "rate_limited")


def test_failures_have_the_fields_too(limited, upstream):
    key = key_with(limited, requests_per_minute=9)
    answer = send(limited, key, b"{")
    assert answer.status == 400 and answer.headers["x-ratelimit-remaining-requests"] == "8"
    upstream.handler = lambda asked: (asked.read(), asked.answer({"error": {"message": "no", "type": "x"}}, 404,
                                                                 {"x-ratelimit-limit-requests": "9000", "x-ratelimit-limit-tokens": "1"}))
    answer = send(limited, key)
    assert answer.status == 404 and answer.headers["x-ratelimit-limit-requests"] == "9"
    assert "x-ratelimit-limit-tokens" not in answer.headers  # the provider's account is not the client's


def test_without_limits_a_providers_fields_pass(limited, upstream):
    upstream.handler = lambda asked: (asked.read(), asked.answer(completion(), headers={"x-ratelimit-limit-requests": "9000"}))
    assert send(limited, limited.key).headers["x-ratelimit-limit-requests"] == "9000"


def test_tokens_a_minute(limited, upstream):
    key = key_with(limited, tokens_per_minute=1000)
    upstream.handler = answers(100, 200)
    body = body_of(max_tokens=600)
    likely = (len(body) + 3) // 4 + 600
    first = send(limited, key, body)
    assert first.headers["x-ratelimit-limit-tokens"] == "1000"
    assert 0 <= int(first.headers["x-ratelimit-remaining-tokens"]) - (1000 - likely) <= 20, first.headers
    assert RESET.fullmatch(first.headers["x-ratelimit-reset-tokens"])
    # 300 were truly taken: what was taken in advance besides has come back
    second = send(limited, key, body)
    assert second.status == 200
    assert 0 <= int(second.headers["x-ratelimit-remaining-tokens"]) - (700 - likely) <= 40, second.headers
    refused = send(limited, key, body)
    refusal(refused, "token_rate_limited", scope="key", window="minute", limit_name="tokens_per_minute", limit=1000)
    assert len(upstream.calls) == 2


class Held:
    """A provider that answers when it is told to."""

    def __init__(self, upstream):
        self.release = threading.Event()
        upstream.handler = self.handle

    def handle(self, asked):
        wants = json.loads(asked.read())
        if not wants.get("stream"):
            self.release.wait(120)
            asked.answer(completion())
            return
        asked.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        asked.chunk(b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}\n\n')
        self.release.wait(120)
        asked.chunk(b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n')
        asked.end_chunks()


def in_background(function, *arguments):
    found = []
    thread = threading.Thread(target=lambda: found.append(function(*arguments)), daemon=True)
    thread.start()

    def join():
        thread.join(120)
        return found[0]

    return join


def test_requests_at_a_time(limited, upstream):
    key = key_with(limited, concurrent_requests=2)
    provider_here = Held(upstream)
    running = [in_background(send, limited, key) for _ in range(2)]
    until(lambda: len(upstream.calls) == 2, "two calls at the provider")
    details = refusal(send(limited, key), "concurrency_limited", scope="key", limit_name="concurrent_requests", limit=2)
    assert "window" not in details
    assert send(limited, limited.key, b"{").status == 400  # another key
    provider_here.release.set()
    assert [join().status for join in running] == [200, 200]
    # Who has the whole answer may ask again at once.
    assert [send(limited, key).status for _ in range(20)] == [200] * 20


def test_streams_at_a_time(limited, upstream):
    key = key_with(limited, concurrent_streams=1)
    held_back = Held(upstream)
    running = in_background(send, limited, key, body_of(stream=True))
    until(lambda: len(upstream.calls) == 1, "the stream's call")
    refusal(send(limited, key, body_of(stream=True)), "concurrency_limited", limit_name="concurrent_streams", limit=1)
    held_back.release.set()
    assert running().status == 200
    upstream.handler = answers()
    held_back = Held(upstream)
    second = in_background(send, limited, key, body_of(stream=True))
    until(lambda: len(upstream.calls) == 2, "the second stream's call")
    third = in_background(send, limited, key)  # no stream
    until(lambda: len(upstream.calls) == 3, "the call that is no stream")
    held_back.release.set()
    assert (second().status, third().status) == (200, 200)


def test_a_client_that_leaves_makes_room(limited, upstream):
    key = key_with(limited, concurrent_requests=1)
    Held(upstream)
    body = body_of(stream=True)
    with RawConnection(limited.address) as raw:
        raw.send(f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
                 f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        until(lambda: len(upstream.calls) == 1, "the stream's call")
        refusal(send(limited, key), "concurrency_limited")
    upstream.handler = answers()
    until(lambda: send(limited, key).status == 200, "room for another request")


def test_requests_a_day(weir_binary, sim, upstream, make_gateway):
    gateway = make_gateway(sim, start=False, **metered(upstream))
    (gateway.folder / "prices.json").write_text(json.dumps(prices("plain")))
    gateway.start()
    key = key_with(gateway, requests_per_day=4)
    assert [send(gateway, key).status for _ in range(2)] == [200] * 2
    gateway.restart()
    assert send(gateway, key).status == 200
    gateway.kill()
    gateway.start()
    assert send(gateway, key).status == 200
    refused = send(gateway, key)
    refusal(refused, "daily_limit_exceeded", scope="key", window="day", limit_name="requests_per_day", limit=4, used=4)
    assert 1 <= int(refused.headers["retry-after"]) <= 86400
    assert len(upstream.calls) == 4


def test_tokens_a_day(limited, upstream):
    key = key_with(limited, tokens_per_day=1000)
    upstream.handler = answers(100, 100)
    body = body_of(max_tokens=100)
    statuses = [send(limited, key, body).status for _ in range(6)]
    assert statuses[:3] == [200] * 3 and statuses[-1] == 429  # a request is let in where its worst case fits
    refusal(send(limited, key, body), "daily_limit_exceeded", window="day", limit_name="tokens_per_day", limit=1000)
    assert 200 * statuses.count(200) <= 1000 and len(upstream.calls) == statuses.count(200)


def owned_key(gateway, operator, **more):
    """A key with a workspace, a team and a user of its own: (key, workspace, id)."""
    home = f"home-{next(NUMBERS)}"
    operator.post("/api/v1/workspaces", {"id": home, **more}, status=201)
    operator.post(f"/api/v1/workspaces/{home}/teams", {"id": "red"}, status=201)
    operator.post(f"/api/v1/workspaces/{home}/users", {"id": "ann"}, status=201)
    made = operator.post("/api/v1/keys", {"name": home, "workspace": home, "team": "red", "user": "ann"}, status=201).json()
    return made["key"], home, made["id"]


@pytest.fixture(scope="module")
def operator(limited):
    from harness.operator import Operator
    return Operator(limited)


@pytest.mark.parametrize("scope", ["key", "user", "team", "workspace"])
@pytest.mark.parametrize("each", [False, True])
def test_limits_of_every_scope(limited, operator, upstream, scope, each):
    key, home, family = owned_key(limited, operator)
    other, _, _ = owned_key(limited, operator)
    own = {"key": family, "user": f"{home}/ann", "team": f"{home}/red", "workspace": home}[scope]
    name = f"limit-{next(NUMBERS)}"
    put_limit(limited, name, scope, "*" if each else own, requests_per_minute=2)
    assert [send(limited, key).status for _ in range(3)] == [200, 200, 429]
    refusal(send(limited, key), "rate_limited", scope=scope, limit_name="requests_per_minute")
    assert [send(limited, other).status for _ in range(3)] == ([200, 200, 429] if each else [200] * 3)
    remove_object(limited, LIMIT, name)
    in_effect(limited)
    assert send(limited, key).status == 200


def test_limits_of_a_model(limited, upstream):
    put_limit(limited, "of-plain", "model", "plain", requests_per_minute=2, tokens_per_minute=100000)
    assert [send(limited, limited.key, body_of("other")).status for _ in range(3)] == [200] * 3
    told = [send(limited, limited.key) for _ in range(3)]
    assert [answer.status for answer in told] == [200, 200, 429]
    assert told[0].headers["x-ratelimit-limit-requests"] == "2" and told[0].headers["x-ratelimit-limit-tokens"] == "100000"
    refusal(told[2], "rate_limited", scope="model", limit_name="requests_per_minute")
    assert "x-ratelimit-limit-requests" not in send(limited, limited.key, body_of("other")).headers
    remove_object(limited, LIMIT, "of-plain")
    in_effect(limited)


def test_limits_of_the_plan_are_each_keys(limited, operator, upstream):
    operator.post("/api/v1/plans", {"id": "slow", "name": "Slow", "requests_per_second": 1}, status=201)
    key, home, _ = owned_key(limited, operator, plan="slow")
    in_effect(limited)
    refused = next(answer for answer in (send(limited, key) for _ in range(1000)) if answer.status != 200)
    refusal(refused, "rate_limited", limit_name="requests_per_second", limit=1)
    operator.patch("/api/v1/plans/slow", {"requests_per_second": None})
    operator.patch(f"/api/v1/workspaces/{home}", {"plan": None})
    until(lambda: all(send(limited, key).status == 200 for _ in range(20)), "the plan's limit to be gone")


def test_a_provider_at_its_limit_is_passed_over(make_gateway, sim, upstream, make_upstream):
    second = make_upstream(answers())
    settings = metered(upstream, providers=[provider("here", upstream), provider("there", second)],
                       models=[{"name": "plain", "targets": [{"provider": "here", "model": "plain", "order": 1},
                                                             {"provider": "there", "model": "plain", "order": 2}]}])
    gateway = make_gateway(sim, start=False, **settings)
    (gateway.folder / "prices.json").write_text(json.dumps(prices("plain")))
    gateway.start()
    put_limit(gateway, "of-here", "provider", "here", requests_per_minute=2)
    told = [send(gateway, gateway.key) for _ in range(4)]
    assert [answer.status for answer in told] == [200] * 4
    assert (len(upstream.calls), len(second.calls)) == (2, 2)
    assert "x-ratelimit-limit-requests" not in told[0].headers  # the provider's account is not the client's affair
    attempts = gateway.entry_of(told[3].headers["x-request-id"])["attempts"]
    assert [(attempt["provider"], attempt["reason"]) for attempt in attempts] == [("here", "rate_limited"), ("there", None)], attempts
    put_limit(gateway, "of-there", "provider", "there", requests_per_minute=1)
    assert send(gateway, gateway.key).status == 200
    refused = send(gateway, gateway.key)
    refusal(refused, "rate_limited")
    assert gateway.metrics()[("weir_rate_limited_total", (("limit", "requests_per_minute"), ("scope", "provider")))] >= 3
    until(lambda: held(gateway) == (0, 0, 0), "nothing to be held")


def test_two_workers_share_a_limit(limited, upstream):
    key = key_with(limited, requests_per_minute=20)
    statuses = []
    threads = [threading.Thread(target=lambda: statuses.append(send(limited, key).status)) for _ in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # What comes back within the time that this takes may be used, too.
    assert 20 <= statuses.count(200) < 40 and statuses.count(200) + statuses.count(429) == 60, statuses
    until(lambda: held(limited) == (0, 0, 0), "nothing to be held")


def test_refusals_are_counted_and_recorded(limited, operator, upstream):
    key = key_with(limited, requests_per_minute=1)
    name = ("weir_rate_limited_total", (("limit", "requests_per_minute"), ("scope", "key")))
    send(limited, key)
    before = limited.metrics().get(name, 0)
    refused = send(limited, key)
    assert limited.metrics()[name] == before + 1
    record = until(lambda: [row for row in operator.get("/api/v1/requests?limit=100").json()["data"]
                            if row["id"] == refused.headers["x-request-id"]], "the refused request's record")[0]
    assert record["reason"] == "rate_limited"

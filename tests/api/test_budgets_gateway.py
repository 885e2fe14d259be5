"""Budgets as clients meet them: what is held, what is refused, clamped or waits, and that not one milli-CU more is charged than may be."""
import itertools
import json
import threading
import time

import openai
import pytest

from harness.keys import set_rules, settle
from harness.limits import (BUDGET, TOKEN, answers, body_of, completion, held, in_effect, metered_settings, prices, put_budget, put_limit, remove_object,
                            send, worst_case)
from harness.limits import metered as overrides
from harness.plain import RawConnection, call
from harness.processes import Gateway
from harness.upstream import Upstream, provider
from harness.waiting import until

NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def shared_upstream():
    made = Upstream()
    yield made
    made.stop()


@pytest.fixture
def upstream(shared_upstream):
    shared_upstream.handler = answers()
    del shared_upstream.calls[:]
    return shared_upstream


@pytest.fixture(scope="module")
def metered(weir_binary, sim, shared_upstream, module_folder):
    instance = Gateway(weir_binary, module_folder / "metered", metered_settings(sim, shared_upstream, server={"workers": 2}))
    (instance.folder / "prices.json").write_text(json.dumps(prices("plain", "other")))
    yield instance.start()
    instance.close()


@pytest.fixture
def make_metered(make_gateway, sim):
    def make(upstream, start=True, **more):
        gateway = make_gateway(sim, start=False, **overrides(upstream, **more))
        (gateway.folder / "prices.json").write_text(json.dumps(prices("plain", "other")))
        return gateway.start() if start else gateway

    return make


def key_with(gateway, **limits):
    """A fresh key with these limits in its rules, and its id."""
    name = f"capped-{next(NUMBERS)}"
    key = gateway.create_key(name)
    family = set_rules(gateway, name, {"limits": limits})
    settle(gateway)
    return key, family


def family_of(gateway, name):
    from harness.keys import id_of
    return id_of(gateway, name)


def exceeded(answer, **details):
    """A refusal for a budget as it must be; gives its details."""
    assert answer.status == 429, answer
    body = answer.json()
    error = body["error"]
    assert (error["code"], error["type"], error["error_code"]) == ("cu_limit_exceeded", "insufficient_quota", "WEIR_CU_LIMIT_EXCEEDED"), body
    assert body["error_code"] == error["error_code"] and body["details"] == error["details"]
    assert {"window", "used_cu_milli", "limit_cu_milli", "needed_cu_milli", "scope", "budget"} <= set(error["details"])
    assert error["details"]["used_cu_milli"] + error["details"]["needed_cu_milli"] > error["details"]["limit_cu_milli"]
    assert f" may cost {error['details']['needed_cu_milli']} " in error["message"], "who has spent nothing yet must see why"
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.headers["x-should-retry"] == ("true" if int(answer.headers["retry-after"]) <= 60 else "false")
    for name, value in details.items():
        assert error["details"][name] == value, error["details"]
    return error["details"]


def spent(gateway, family):
    return sum(entry["cost_cu_milli"] for entry in gateway.ledger() if entry["key_id"] == family)


def nothing_is_held(gateway):
    until(lambda: held(gateway) == (0, 0, 0), f"nothing to be held, and not {held(gateway)}")


@pytest.mark.smoke
@pytest.mark.tsan
def test_a_keys_cap_a_month(metered, upstream):
    upstream.handler = answers(30, 10)
    body = body_of(max_tokens=10)
    cap = worst_case(body) + 3 * 40 * TOKEN  # a fourth call's worst case would just fit, a fifth's not
    key, family = key_with(metered, cu_milli_per_month=cap)
    told = [send(metered, key, body) for _ in range(5)]
    assert [answer.status for answer in told] == [200] * 4 + [429]
    exceeded(told[4], window="month", scope="key", limit_cu_milli=cap, used_cu_milli=4 * 40 * TOKEN, budget=f"key:{family}:month")
    assert len(upstream.calls) == 4
    assert send(metered, metered.key, body).status == 200
    until(lambda: spent(metered, family) == 4 * 40 * TOKEN, "the ledger to have all of it")
    nothing_is_held(metered)


def test_the_sdk_raises_a_rate_limit_error(metered, upstream):
    key, _ = key_with(metered, cu_milli_total=1)
    with openai.OpenAI(base_url=metered.base_url, api_key=key, max_retries=2) as client:
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(model="plain", messages=[{"role": "user", "content": "Hi"}], max_tokens=5)
    assert caught.value.code == "cu_limit_exceeded"
    assert caught.value.body["details"]["window"] == "total" and caught.value.body["details"]["limit_cu_milli"] == 1
    assert not upstream.calls


def test_what_was_used_is_remembered(make_metered, upstream):
    gateway = make_metered(upstream, server={"workers": 2})
    upstream.handler = answers(30, 10)
    body = body_of(max_tokens=10)
    cap = worst_case(body) + 5 * 40 * TOKEN
    key, family = key_with(gateway, cu_milli_per_day=cap, cu_milli_total=10 * cap)
    assert send(gateway, key, body).status == 200
    gateway.restart()
    assert [send(gateway, key, body).status for _ in range(2)] == [200] * 2
    gateway.kill()
    gateway.start()
    assert [send(gateway, key, body).status for _ in range(4)] == [200] * 3 + [429]
    exceeded(send(gateway, key, body), window="day", used_cu_milli=6 * 40 * TOKEN)
    gateway.restart()
    exceeded(send(gateway, key, body), window="day", used_cu_milli=6 * 40 * TOKEN)
    assert spent(gateway, family) == 6 * 40 * TOKEN


def test_a_call_that_a_kill_has_ended_counts_with_its_reservation(make_metered, upstream):
    gateway = make_metered(upstream)
    body = body_of(max_tokens=10)
    key, family = key_with(gateway, cu_milli_per_month=2 * worst_case(body) - 1)
    upstream.handler = lambda asked: (asked.read(), upstream.stopped.wait(60))
    thread = threading.Thread(target=lambda: pytest.raises(Exception, send, gateway, key, body), daemon=True)
    thread.start()
    until(lambda: len(upstream.calls) == 1, "the call at the provider")
    gateway.kill()
    upstream.handler = answers()
    gateway.start()
    exceeded(send(gateway, key, body), used_cu_milli=worst_case(body))
    assert spent(gateway, family) == worst_case(body)


@pytest.mark.tsan
def test_many_at_once_never_exceed_it(metered, upstream):
    body = body_of(max_tokens=10)
    upstream.handler = answers(len(body), 10)
    fit = 10
    cap = fit * worst_case(body) + TOKEN - 1
    key, family = key_with(metered, cu_milli_per_month=cap)
    statuses = []
    threads = [threading.Thread(target=lambda: statuses.append(send(metered, key, body).status)) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200, 429} and statuses.count(200) >= fit
    until(lambda: spent(metered, family) == statuses.count(200) * (len(body) + 10) * TOKEN, "the ledger to have all of it")
    assert spent(metered, family) <= cap
    nothing_is_held(metered)


def test_two_processes_share_a_budget(make_metered, upstream):
    first = make_metered(upstream)
    second = make_metered(upstream, start=False, data_dir=str(first.data_folder))
    second.key = first.key
    second.start()
    body = body_of(max_tokens=10)
    upstream.handler = answers(len(body), 10)
    cap = 20 * worst_case(body)
    key, family = key_with(first, cu_milli_per_month=cap)
    second.wait_key(key)
    settle(second)
    statuses = []
    threads = [threading.Thread(target=lambda gateway=gateway: statuses.append(send(gateway, key, body).status))
               for _ in range(30) for gateway in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {200, 429}, statuses
    until(lambda: spent(first, family) == statuses.count(200) * (len(body) + 10) * TOKEN, "the ledger to have all of it")
    assert spent(first, family) <= cap
    second.kill()
    until(lambda: send(first, key, body).status == 429, "the cap to be reached")
    assert spent(first, family) <= cap


def test_a_change_takes_effect_while_it_runs(metered, upstream):
    upstream.handler = answers(30, 10)
    body = body_of(max_tokens=10)
    key, family = key_with(metered)
    name = f"bud_{next(NUMBERS)}"
    put_budget(metered, name, "key", family, limit=worst_case(body) - 1)
    exceeded(send(metered, key, body), budget=name, used_cu_milli=0)
    put_budget(metered, name, "key", family, limit=worst_case(body))
    until(lambda: send(metered, key, body).status == 200, "the higher limit to be in effect")
    exceeded(send(metered, key, body), budget=name, used_cu_milli=40 * TOKEN)
    remove_object(metered, BUDGET, name)
    in_effect(metered)
    assert send(metered, key, body).status == 200


@pytest.mark.parametrize("window", ["24h", "day", "week", "month", "total"])
def test_windows(metered, upstream, window):
    key, family = key_with(metered)
    name = f"bud_{next(NUMBERS)}"
    put_budget(metered, name, "key", family, limit=5, window=window, zone="Europe/Berlin")
    exceeded(send(metered, key), window=window, limit_cu_milli=5)
    remove_object(metered, BUDGET, name)
    in_effect(metered)


def test_a_soft_budget_refuses_nobody(metered, upstream):
    key, family = key_with(metered)
    name = f"bud_{next(NUMBERS)}"
    put_budget(metered, name, "key", family, limit=5, enforcement="soft")
    assert [send(metered, key).status for _ in range(3)] == [200] * 3
    assert send(metered, key, body_of("unpriced")).status == 200
    remove_object(metered, BUDGET, name)
    in_effect(metered)


def test_a_budget_of_a_model(metered, upstream):
    body = body_of()
    put_budget(metered, "bud_model", "model", "plain", limit=worst_case(body) - 1)
    exceeded(send(metered, metered.key, body), scope="model", budget="bud_model")
    assert send(metered, metered.key, body_of("other")).status == 200
    nothing_is_held(metered)
    remove_object(metered, BUDGET, "bud_model")
    in_effect(metered)


def test_a_budget_of_all(make_metered, upstream):
    gateway = make_metered(upstream)
    put_budget(gateway, "bud_all", limit=1)
    exceeded(send(gateway, gateway.key), scope="global", budget="bud_all")
    assert gateway.request("GET", "/v1/models").status == 200  # costs nothing
    assert gateway.metrics()[("weir_budget_refusals_total", (("scope", "global"),))] == 1


# --- asking for less, and waiting ---

def clamped(gateway, upstream, body, room_for, **more):
    """The answer and what the provider was asked, with a budget that has room for so many output tokens."""
    key, family = key_with(gateway)
    name = f"bud_{next(NUMBERS)}"
    bare = len(body) + 128
    put_budget(gateway, name, "key", family, limit=(bare + room_for) * TOKEN, on_exceeded="clamp")
    answer = send(gateway, key, body, **more)
    asked = json.loads(upstream.calls[-1].body) if upstream.calls else None
    remove_object(gateway, BUDGET, name)
    in_effect(gateway)
    return answer, asked


def test_an_output_limit_is_lowered(metered, upstream):
    upstream.handler = answers(10, 7)
    answer, asked = clamped(metered, upstream, body_of(max_tokens=500), 42)
    assert answer.status == 200 and answer.headers["x-weir-max-tokens-clamped"] == "42" and asked["max_tokens"] == 42
    entry = metered.entry_of(answer.headers["x-request-id"])
    assert entry["cost_cu_milli"] == 17 * TOKEN and entry["reserved_cu_milli"] == worst_case(body_of(max_tokens=500)) - 458 * TOKEN


def test_an_output_limit_is_set_where_there_was_none(metered, upstream):
    body = json.dumps({"model": "plain", "messages": []}).encode()
    answer, asked = clamped(metered, upstream, body, 42)
    assert answer.status == 200 and answer.headers["x-weir-max-tokens-clamped"] == "42" and asked["max_completion_tokens"] == 42


def test_each_choice_gets_its_part(metered, upstream):
    answer, asked = clamped(metered, upstream, body_of(max_tokens=500, n=4), 43)
    assert answer.status == 200 and asked["max_tokens"] == 10


def test_what_fits_is_not_clamped(metered, upstream):
    answer, asked = clamped(metered, upstream, body_of(max_tokens=42), 42)
    assert answer.status == 200 and "x-weir-max-tokens-clamped" not in answer.headers and asked["max_tokens"] == 42


def test_not_one_token_is_a_refusal(metered, upstream):
    answer, asked = clamped(metered, upstream, body_of(max_tokens=500), 0)
    exceeded(answer)
    assert asked is None


def test_what_makes_no_tokens_cannot_be_clamped(metered, upstream):
    body = json.dumps({"model": "plain", "input": "x" * 1000}).encode()
    answer, asked = clamped(metered, upstream, body, -900, path="/v1/embeddings")
    exceeded(answer)
    assert asked is None


def test_who_waits_gets_the_room_of_others(metered, upstream):
    body = body_of()
    key, family = key_with(metered)
    release = threading.Event()

    def slow(asked):
        asked.read()
        release.wait(60)
        asked.answer(completion())

    upstream.handler = slow
    name = f"bud_{next(NUMBERS)}"
    put_budget(metered, name, "key", family, limit=worst_case(body) + 10 * TOKEN, on_exceeded="wait", wait_ms=30000)
    found = []
    threads = [threading.Thread(target=lambda: found.append(send(metered, key, body))) for _ in range(3)]
    threads[0].start()
    until(lambda: len(upstream.calls) == 1, "the first call")
    for thread in threads[1:]:
        thread.start()
    until(lambda: metered.metrics()[("weir_meter_waits_total", ())] > 0, "the others to wait")
    assert len(upstream.calls) == 1
    release.set()
    for thread in threads:
        thread.join()
    assert [answer.status for answer in found] == [200] * 3
    nothing_is_held(metered)
    remove_object(metered, BUDGET, name)
    in_effect(metered)


def test_waiting_has_an_end(metered, upstream):
    key, family = key_with(metered)
    name = f"bud_{next(NUMBERS)}"
    put_budget(metered, name, "key", family, limit=1, on_exceeded="wait", wait_ms=200)
    exceeded(send(metered, key), budget=name)  # it will never fit
    body = body_of()
    put_budget(metered, name, "key", family, limit=worst_case(body), on_exceeded="wait", wait_ms=200)
    release = threading.Event()
    upstream.handler = lambda asked: (asked.read(), release.wait(60), asked.answer(completion()))
    first = threading.Thread(target=lambda: send(metered, key, body))
    first.start()
    until(lambda: len(upstream.calls) == 1, "the call that has all the room")
    exceeded(send(metered, key, body), budget=name)
    put_budget(metered, name, "key", family, limit=worst_case(body), on_exceeded="wait", wait_ms=30000)
    with RawConnection(metered.address) as raw:  # one that leaves meanwhile
        raw.send(f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
                 f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        until(lambda: metered.metrics()[("weir_active_requests", ())] == 2, "the request to be there")
    until(lambda: metered.metrics()[("weir_active_requests", ())] == 1, "the request to be gone")
    assert len(upstream.calls) == 1
    release.set()
    first.join()
    remove_object(metered, BUDGET, name)
    in_effect(metered)
    nothing_is_held(metered)


# --- what cannot be metered ---

@pytest.mark.parametrize("path, body", [
    ("/v1/chat/completions", {"model": "unpriced", "messages": []}),
    ("/v1/responses", {"model": "plain", "input": "x", "background": True}),
    ("/v1/batches", {"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h"}),
])
def test_under_a_hard_budget_only_what_is_metered_may_pass(metered, upstream, path, body):
    key, _ = key_with(metered, cu_milli_per_month=1_000_000_000_000)
    answer = send(metered, key, json.dumps(body).encode(), path=path)
    if path == "/v1/batches":
        assert answer.status in (400, 403, 404)
    else:
        assert answer.status == 403 and answer.json()["error"]["code"] == "not_meterable", answer
    assert not upstream.calls


# --- endings ---

def test_every_ending_gives_back_what_it_held(make_metered, upstream):
    gateway = make_metered(upstream, timeouts={"first_byte": "1s"})
    body, stream = body_of(), body_of(stream=True)
    key, family = key_with(gateway, cu_milli_per_month=1000 * worst_case(body), requests_per_minute=100000, tokens_per_minute=10_000_000,
                           concurrent_requests=100, concurrent_streams=100)
    endings = [answers(), lambda asked: (asked.read(), asked.answer({"error": {"message": "x"}}, 500)),
               lambda asked: (asked.read(), asked.answer({"error": {"message": "x"}}, 400)), lambda asked: (asked.read(), asked.reset()),
               lambda asked: (asked.read(), asked.close()), lambda asked: (asked.read(), asked.answer(b"{")),
               lambda asked: (asked.read(), time.sleep(2), asked.close())]
    for ending in endings:
        upstream.handler = ending
        for one in (body, stream, b"{", body_of("unpriced")):
            send(gateway, key, one)
    upstream.handler = lambda asked: (asked.read(), asked.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9\r\n\r\n"
                                                               b"data: "), upstream.stopped.wait(3))
    for _ in range(3):
        with RawConnection(gateway.address) as raw:
            before = len(upstream.calls)
            raw.send(f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
                     f"Content-Length: {len(stream)}\r\n\r\n".encode() + stream)
            until(lambda: len(upstream.calls) > before, "the call at the provider")  # pylint: disable=cell-var-from-loop
    nothing_is_held(gateway)
    entries = gateway.ledger()
    assert all(entry["cost_cu_milli"] <= entry["reserved_cu_milli"] for entry in entries)


def test_what_a_provider_says_beyond_its_reservation_is_told(metered, upstream):
    body = body_of()
    upstream.handler = answers(10_000, 10)
    key, family = key_with(metered, cu_milli_per_month=worst_case(body) + 5)
    before = metered.metrics().get(("weir_overrun_cu_milli_total", ()), 0)
    answer = send(metered, key, body)
    assert answer.status == 200 and answer.json()["usage"]["usedCUMilli"] == worst_case(body)
    entry = metered.entry_of(answer.headers["x-request-id"])
    assert entry["cost_cu_milli"] == worst_case(body) and entry["overrun_cu_milli"] == 10_010 * TOKEN - worst_case(body)
    assert metered.metrics()[("weir_overrun_cu_milli_total", ())] - before == entry["overrun_cu_milli"]
    assert any(line["event"] == "overrun" and line["request_id"] == answer.headers["x-request-id"] for line in metered.log_lines())
    exceeded(send(metered, key, body), used_cu_milli=worst_case(body))
    assert family


# --- providers ---

@pytest.fixture
def pair(make_metered, upstream, make_upstream):
    """A gateway with two providers for one model, tried in order: (gateway, first, second)."""
    second = make_upstream(answers(30, 10))
    upstream.handler = answers(30, 10)
    gateway = make_metered(upstream, start=False, providers=[provider("here", upstream), provider("there", second)], timeouts={"first_byte": "1s"},
                           models=[{"name": "plain", "targets": [{"provider": "here", "model": "plain", "order": 1},
                                                                 {"provider": "there", "model": "plain", "order": 2}]}])
    rows = prices("plain")["rows"] + prices("plain", provider_name="there")["rows"]
    (gateway.folder / "prices.json").write_text(json.dumps({"format": "weir-prices-1", "rows": rows}))
    return gateway.start(), upstream, second


def test_a_provider_at_its_budget_is_passed_over(pair):
    gateway, first, second = pair
    body = body_of()
    put_budget(gateway, "bud_here", "provider", "here", limit=worst_case(body))
    told = [send(gateway, gateway.key, body) for _ in range(2)]
    assert [answer.status for answer in told] == [200] * 2 and (len(first.calls), len(second.calls)) == (1, 1)
    attempts = gateway.entry_of(told[1].headers["x-request-id"])["attempts"]
    assert [(attempt["provider"], attempt["reason"]) for attempt in attempts] == [("here", "provider_budget_exceeded"), ("there", None)], attempts
    put_budget(gateway, "bud_there", "provider", "there", limit=worst_case(body))
    refused = send(gateway, gateway.key, body)
    assert refused.status == 503 and refused.json()["error_code"] == "WEIR_SERVICE_UNAVAILABLE"
    assert refused.json()["error"]["code"] == "provider_budget_exceeded" and int(refused.headers["retry-after"]) >= 1
    nothing_is_held(gateway)


def test_what_an_attempt_may_have_cost_is_its_providers_affair(pair):
    gateway, first, second = pair
    body = body_of()
    first.handler = lambda asked: (asked.read(), time.sleep(3), asked.close())  # it works on it, and no answer comes in time
    put_budget(gateway, "bud_here", "provider", "here", limit=100 * worst_case(body))
    put_budget(gateway, "bud_there", "provider", "there", limit=100 * worst_case(body))
    key, family = key_with(gateway, cu_milli_per_month=100 * worst_case(body))
    answer = send(gateway, key, body)
    assert answer.status == 200 and len(second.calls) == 1
    entry = gateway.entry_of(answer.headers["x-request-id"])
    assert entry["cost_cu_milli"] == 40 * TOKEN and entry["provider"] == "there"
    nothing_is_held(gateway)
    guess = (len(body) + 3) // 4 * TOKEN  # four bytes a token, and no output
    put_budget(gateway, "bud_here", "provider", "here", limit=guess + worst_case(body) - 1)
    first.handler = answers(30, 10)
    told = send(gateway, key, body)
    attempts = gateway.entry_of(told.headers["x-request-id"])["attempts"]
    assert [attempt["provider"] for attempt in attempts] == ["here", "there"] and attempts[0]["reason"] == "provider_budget_exceeded"
    put_budget(gateway, "bud_here", "provider", "here", limit=guess + worst_case(body))
    until(lambda: len(gateway.entry_of(send(gateway, key, body).headers["x-request-id"])["attempts"]) == 1, "room at the provider")
    assert family


def test_a_later_attempt_charges_no_more_than_its_provider_holds(pair):
    gateway, first, second = pair
    body = body_of()
    rows = prices("plain", per_token=10 * TOKEN)["rows"] + prices("plain", provider_name="there")["rows"]
    (gateway.folder / "prices.json").write_text(json.dumps({"format": "weir-prices-1", "rows": rows}))
    gateway.restart()
    first.handler = lambda asked: (asked.read(), asked.answer({"error": {"message": "no"}}, status=500))
    second.handler = answers(5 * worst_case(body) // TOKEN, 0)  # more than it could be, and less than the caller holds for the dearer one
    put_budget(gateway, "bud_there", "provider", "there", limit=worst_case(body))
    answer = send(gateway, gateway.key, body)
    assert answer.status == 200 and len(second.calls) == 1
    entry = gateway.entry_of(answer.headers["x-request-id"])
    assert (entry["provider"], entry["cost_cu_milli"], entry["overrun_cu_milli"]) == ("there", worst_case(body), 4 * worst_case(body)), entry
    nothing_is_held(gateway)


def test_what_a_provider_keeps_counts_for_the_model_that_made_it(make_metered, upstream):
    """The ledger has such requests under the model's name; what counts them must not count less."""
    def handler(asked):
        asked.read()
        asked.answer({"id": "resp_kept", "object": "response", "created_at": 1, "model": "plain", "status": "completed", "output": [],
                      "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}})

    upstream.handler = handler
    gateway = make_metered(upstream)
    put_limit(gateway, "lim_plain", "model", "plain", requests_per_day=3)
    made = send(gateway, gateway.key, json.dumps({"model": "plain", "input": "Hi", "max_output_tokens": 10}).encode(), path="/v1/responses")
    assert made.status == 200, made
    heads = {"authorization": f"Bearer {gateway.key}"}
    told = [call(gateway.address, "GET", "/v1/responses/resp_kept", heads) for _ in range(3)]
    assert [answer.status for answer in told] == [200, 200, 429], told
    assert told[2].json()["error_code"] == "WEIR_DAILY_LIMIT_EXCEEDED" or told[2].json()["error"]["code"] == "daily_limit_exceeded"
    assert len(upstream.calls) == 3
    nothing_is_held(gateway)


def test_an_unpriced_target_is_passed_over_under_its_providers_hard_budget(pair):
    gateway, first, second = pair
    rows = prices("plain", provider_name="there")["rows"]
    (gateway.folder / "prices.json").write_text(json.dumps({"format": "weir-prices-1", "rows": rows}))
    gateway.restart()
    put_budget(gateway, "bud_here", "provider", "here", limit=10 ** 12)
    assert send(gateway, gateway.key).status == 200
    assert (len(first.calls), len(second.calls)) == (0, 1)

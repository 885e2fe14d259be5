"""Same dialect on both sides: bodies go through as they are, save the edits on one list: the model's name, the stream
options that metering needs, and usedCUMilli on the way back."""
import json
import re

import pytest

from harness import plain
from harness.processes import chat_body

USED = re.compile(rb',"usedCUMilli":\d+')
ODD_BODY = (b'{ "vendor" : {"deep":[1,2.50,1e3,-0.0,{"x":null}], "big":12345678901234567890.123456789} ,\r\n\t'
            b'"messages":[{"role":"user","content":"\\u0041\\ud83d\\ude00 \xc3\xa9 \\/ x","vendor_extra":true}],'
            b'"model":"sim-small" , "temperature":0.70 ,"zz":"","stream":%s}  ')


def send(gateway, body, **headers):
    return gateway.request("POST", "/v1/chat/completions", body,
                           {"content-type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}})


def test_a_request_arrives_byte_for_byte(gateway, sim):
    body = ODD_BODY % b"false"
    assert send(gateway, body).status == 200
    assert sim.last_bytes() == body


@pytest.mark.parametrize(("sent", "expected"), [
    (b'"stream":true', b'"stream":true,"stream_options":{"include_usage":true}'),
    (b'"stream":true,"stream_options":null', b'"stream":true,"stream_options":{"include_usage":true}'),
    (b'"stream":true,"stream_options":{}', b'"stream":true,"stream_options":{"include_usage":true}'),
    (b'"stream":true,"stream_options":{"vendor":1}', b'"stream":true,"stream_options":{"include_usage":true,"vendor":1}'),
    (b'"stream":true,"stream_options":{"include_usage":false}', b'"stream":true,"stream_options":{"include_usage":true}'),
    (b'"stream":true,"stream_options":{"include_usage":true}', b'"stream":true,"stream_options":{"include_usage":true}'),
    (b'"stream":false,"stream_options":{}', b'"stream":false,"stream_options":{}'),
])
def test_the_stream_options_are_the_only_edit_of_a_stream(gateway, sim, sent, expected):
    body = b'{"model":"sim-small","messages":[{"role":"user","content":"a"}],%s , "x":[ 1 ]}'
    # Options without a stream are the provider's to refuse, not ours.
    assert send(gateway, body % sent).status == (200 if b'"stream":true' in sent else 400)
    assert sim.last_bytes() == body % expected


def test_the_models_name_is_the_only_edit_of_another_target(make_gateway, sim):
    instance = make_gateway(sim, models=[{"name": "alias", "targets": [{"provider": "sim", "model": 'real "model" é'}]}])
    body = b'{"messages":[{"role":"user","content":"alias"}],  "model" : "ali\\u0061s","m":"alias"}'
    assert send(instance, body).status == 200
    upstream = sim.last_bytes()
    assert json.loads(upstream)["model"] == 'real "model" é'
    start, _, end = upstream.partition(json.dumps('real "model" é', ensure_ascii=False).encode())
    assert start + b'"ali\\u0061s"' + end == body


def test_an_answer_comes_back_byte_for_byte(gateway, sim):
    body = json.dumps(chat_body("echo this", vendor=1)).encode()
    through = send(gateway, body, x_sim_echo="1")
    direct = plain.call(sim.address, "POST", "/v1/chat/completions",
                        {"authorization": "Bearer sim-key", "content-type": "application/json", "x-sim-echo": "1"}, body)
    assert len(USED.findall(through.body)) == 1
    assert same(USED.sub(b"", through.body)) == same(direct.body)


@pytest.mark.parametrize("headers", [{}, {"x_sim_crlf": "1"}, {"x_sim_comments": "1"}, {"x_sim_split": "1"},
                                     {"x_sim_crlf": "1", "x_sim_comments": "1", "x_sim_split": "3"}])
@pytest.mark.parametrize("usage", [True, False])
def test_a_stream_comes_back_byte_for_byte(gateway, sim, headers, usage):
    more = {"stream_options": {"include_usage": True}} if usage else {}
    body = json.dumps(chat_body("stream this", stream=True, **more)).encode()
    through = send(gateway, body, **headers)
    direct = plain.call(sim.address, "POST", "/v1/chat/completions", {
        "authorization": "Bearer sim-key", "content-type": "application/json",
        **{name.replace("_", "-"): value for name, value in headers.items()}}, body)
    assert len(USED.findall(through.body)) == 1
    assert same(USED.sub(b"", through.body)) == same(direct.body)


def same(data):
    """Without what a provider makes anew for every call: its id, its clock, and what its cache holds by now."""
    data = re.sub(rb'"id":"chatcmpl-[^"]*"', b'"id":"chatcmpl"', data)
    return re.sub(rb'"(created|cached_tokens|served)":\d+', rb'"\1":0', data)


def test_used_cu_milli_stands_in_the_last_data_event(gateway):
    for usage in (False, True):
        more = {"stream_options": {"include_usage": True}} if usage else {}
        events = gateway.chat(chat_body(stream=True, **more)).events()
        assert events[-1] == b"[DONE]"
        assert "usedCUMilli" in json.loads(events[-2])
        assert not any(b"usedCUMilli" in event for event in events[:-2])


def test_used_cu_milli_in_header_and_trailer(gateway):
    gateway.chat()  # a prompt seen before is partly cached from now on
    whole = gateway.chat()
    used = whole.json()["usage"]["usedCUMilli"]
    assert whole.headers["x-weir-used-cu-milli"] == str(used)
    data = json.dumps(chat_body(stream=True)).encode()
    with plain.RawConnection(gateway.address) as raw:
        raw.send(f"POST /v1/chat/completions HTTP/1.1\r\nHost: {gateway.address}\r\nAuthorization: Bearer {gateway.key}\r\n"
                 f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\nTE: trailers\r\n\r\n".encode() + data)
        answer = raw.read_answer()
    assert answer.trailers["x-weir-used-cu-milli"] == str(used)


def test_our_credential_and_the_clients_never_mix(gateway, sim):
    assert send(gateway, json.dumps(chat_body()).encode(), cookie="a=b", x_api_key="other",
                proxy_authorization="Basic x", connection="keep-alive, x-hop", x_hop="1").status == 200
    headers = sim.last_request()["headers"]
    headers = {name.lower(): value for name, value in (headers.items() if isinstance(headers, dict) else headers)}
    assert headers["authorization"] == "Bearer sim-key"
    for name in ("cookie", "x-api-key", "proxy-authorization", "x-hop"):
        assert name not in headers
    assert gateway.key not in str(headers)


def test_request_ids_and_trace_context(gateway, sim):
    answer = send(gateway, json.dumps(chat_body()).encode(), x_request_id="mine-1",
                  traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", x_weir_tags="team=a,feature=b")
    own = answer.headers["x-request-id"]
    assert own != "mine-1"
    headers = {name.lower(): value for name, value in dict(sim.last_request()["headers"]).items()}
    assert headers["traceparent"].split("-")[1] == "0af7651916cd43dd8448eb211c80319c"
    assert headers["traceparent"].split("-")[2] != "b7ad6b7169203331"
    entry = gateway.entry_of(own)
    assert entry["client_request_id"] == "mine-1"
    assert entry["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert "team=a" in str(entry["tags"]) and "feature=b" in str(entry["tags"])


def upstream_headers(sim):
    return {name.lower(): value for name, value in dict(sim.last_request()["headers"]).items()}


@pytest.mark.parametrize("stream", [False, True])
def test_without_a_trace_one_begins_here(gateway, sim, stream):
    answer = gateway.chat(stream=stream)
    trace = re.fullmatch("00-([0-9a-f]{32})-([0-9a-f]{16})-0[01]", upstream_headers(sim)["traceparent"])
    assert trace and set(trace[1]) != {"0"} and set(trace[2]) != {"0"}
    assert gateway.entry_of(answer.headers["x-request-id"])["trace_id"] == trace[1]


@pytest.mark.parametrize("wrong", [
    "00-00000000000000000000000000000000-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
    "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
    "0af7651916cd43dd8448eb211c80319c", "x" * 500,
])
def test_a_wrong_traceparent_is_replaced(gateway, sim, wrong):
    answer = send(gateway, json.dumps(chat_body()).encode(), traceparent=wrong)
    assert answer.status == 200
    sent = upstream_headers(sim)["traceparent"]
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]", sent) and sent.split("-")[1] not in wrong.lower()
    assert gateway.entry_of(answer.headers["x-request-id"])["trace_id"] == sent.split("-")[1]


@pytest.mark.parametrize(("sent", "kept"), [
    ("team=search, feature=summary", "team=search,feature=summary"),
    (" team=search ,, ,", "team=search"),
    (",".join(f"t{number}=v" for number in range(12)), ",".join(f"t{number}=v" for number in range(10))),
    (f"a=1,{'x' * 65}=2,b=3", "a=1,b=3"),
    ("a=1,b=<script>,c=\u00e9,d=4", "a=1,d=4"),
    ("", None),
])
def test_tags_are_kept_in_the_ledger_and_stay_here(gateway, sim, sent, kept):
    for stream in (False, True):
        answer = gateway.chat(chat_body(stream=stream), headers={"x-weir-tags": sent.encode("utf-8").decode("latin-1")})
        assert answer.status == 200
        assert (gateway.entry_of(answer.headers["x-request-id"])["tags"] or None) == kept
        assert "x-weir-tags" not in upstream_headers(sim)

"""The official Python package over /v1/files and /v1/batches."""
import json

import openai
import pytest

from harness.clients import CHAT
from harness.waiting import until


def lines(count=2):
    def line(number):
        body = {"model": CHAT, "messages": [{"role": "user", "content": f"number {number}"}]}
        return json.dumps({"custom_id": f"r{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}) + "\n"

    return "".join(line(number) for number in range(count)).encode()


def upload(client, name="batch.jsonl", content=None):
    return client.files.create(file=(name, content or lines(), "application/jsonl"), purpose="batch")


def test_a_file_from_beginning_to_end(pair):
    def run(client):
        made = upload(client)
        assert made.bytes == len(lines()) and made.filename == "batch.jsonl"
        found = client.files.retrieve(made.id)
        ready = client.files.wait_for_processing(made.id, poll_interval=0.05, max_wait_seconds=30)
        content = client.files.content(made.id).content
        assert content == lines()
        removed = client.files.delete(made.id)
        assert removed.deleted and removed.id == made.id
        with pytest.raises(openai.NotFoundError):
            client.files.retrieve(made.id)
        return [made, found, ready, content, removed]

    pair.same(run)


@pytest.mark.parametrize("given", ["path", "bytes", "tuple"])
def test_a_file_however_it_is_given(pair, tmp_path, given):
    path = tmp_path / "given.jsonl"
    path.write_bytes(lines())
    file = {"path": path, "bytes": lines(), "tuple": ("given.jsonl", lines())}[given]
    pair.same(lambda client: client.files.create(file=file, purpose="batch"))


def test_a_list_page_by_page(pair):
    def run(client):
        made = [upload(client, f"{number}.jsonl").id for number in range(5)]
        listed = [file.id for file in client.files.list(limit=2)]
        assert set(made) <= set(listed) and len(set(listed)) == len(listed)
        return len([identifier for identifier in listed if identifier in made])

    assert pair.same(run) == 5


def test_a_batch_from_beginning_to_end(pair):
    def run(client):
        file = upload(client)
        made = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
        assert made.input_file_id == file.id

        def ended():
            found = client.batches.retrieve(made.id)
            return found if found.status in ("completed", "failed") else None

        found = until(ended, "the batch to end")
        assert found.status == "completed" and found.request_counts.completed == 2
        rows = [json.loads(line) for line in client.files.content(found.output_file_id).text.splitlines()]
        assert [row["custom_id"] for row in rows] == ["r0", "r1"]
        assert all(row["response"]["body"]["choices"] for row in rows)
        listed = [batch.id for batch in client.batches.list(limit=1)]
        assert made.id in listed
        return [found.status, [row["response"]["body"]["choices"] for row in rows]]

    pair.same(run)


def test_a_batch_is_cancelled(pair):
    def run(client):
        made = client.batches.create(input_file_id=upload(client, content=lines(500)).id, endpoint="/v1/chat/completions",
                                     completion_window="24h")
        return client.batches.cancel(made.id).status

    assert pair.same(run) in ("cancelling", "cancelled")

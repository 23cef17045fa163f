"""A W&B server on loopback that answers what a run sends and keeps it."""

import gzip
import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import wandb

ENTITY = {"id": "e", "name": "lab"}
PROJECT = {"id": "p", "name": "awlab", "entity": ENTITY}


class FakeWandb(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.status = 200
        """Of all answers."""
        self.delay = 0.0
        """Seconds before each answer."""
        self.runs: dict[str, dict[str, Any]] = {}
        """What was said about each run, by its id; `history` holds its rows."""
        self.artifacts: dict[str, bool] = {}
        """Whether each was committed."""
        self.uploads: set[str] = set()
        self.views: dict[str, dict[str, Any]] = {}
        """Workspaces by id."""
        self.unknown: list[str] = []
        """Operations that this server does not know: W&B has changed."""
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # A client that went away.

    def place(self, name: str) -> dict[str, Any]:
        return {"name": name, "uploadUrl": f"{self.url}/{name}", "uploadHeaders": []}

    def answer(self, operation: str, given: dict[str, Any]) -> Any:
        answer = getattr(self, f"on_{operation}", None)
        if answer is None:
            self.unknown.append(operation)
        return answer and answer(given)

    def on_Viewer(self, _: Any) -> Any:  # noqa: N802 W&B's name, as below
        return {"viewer": {"id": "u", "entity": "lab", "username": "me", "flags": "{}"}}

    def on_ServerFeaturesQuery(self, _: Any) -> Any:  # noqa: N802
        return {"serverInfo": {"features": []}}

    def on_OrganizationCoreWeaveOrganizationID(self, _: Any) -> Any:  # noqa: N802
        return {"entity": {"organization": None}}

    def on_RunResumeStatus(self, given: Any) -> Any:  # noqa: N802
        run = self.runs.get(given["name"])
        bucket = run and {
            "id": given["name"],
            "name": given["name"],
            "config": run["config"],
            "summaryMetrics": "{}",
            "historyLineCount": len(run["history"]),
            "historyTail": json.dumps([json.dumps(row) for row in run["history"][-1:]]),
            "eventsLineCount": 0,
            "eventsTail": "[]",
            "logLineCount": 0,
            "tags": [],
            "wandbConfig": '{"t": 1}',
        }
        return {"model": {**PROJECT, "bucket": bucket}}

    def on_UpsertBucket(self, given: Any) -> Any:  # noqa: N802
        name = given.get("name") or given["id"]
        run = self.runs.setdefault(name, {"history": [], "sessions": 0})
        run["sessions"] += "config" in given and "name" in given
        run.update({key: value for key, value in given.items() if value is not None})
        bucket = {"id": name, "name": name, "displayName": name, "project": PROJECT}
        return {"upsertBucket": {"bucket": bucket, "inserted": True}}

    def on_GetDefaultEntity(self, _: Any) -> Any:  # noqa: N802
        return {"viewer": {"id": "u", "entity": "lab"}}

    def on_UpsertView2(self, given: Any) -> Any:  # noqa: N802
        key = given.get("id") or f"view-{len(self.views)}"
        self.views[key] = given
        view = {"id": key, "name": given["name"]}
        return {"upsertView": {"view": view, "inserted": True}}

    def on_RunStoppedStatus(self, _: Any) -> Any:  # noqa: N802
        return {"project": {"run": {"stopped": False}}}

    def on_CreateRunFiles(self, given: Any) -> Any:  # noqa: N802
        files = [self.place(name) for name in given["files"]]
        return {"createRunFiles": {"runID": "r", "uploadHeaders": [], "files": files}}

    def on_ArtifactType(self, _: Any) -> Any:  # noqa: N802
        return {"project": {"artifact": None}}

    def on_CreateArtifact(self, given: Any) -> Any:  # noqa: N802
        key = given["input"]["digest"]
        self.artifacts[key] = False
        artifact = {"id": key, "state": "PENDING", "artifactSequence": {"latestArtifact": None}}
        return {"createArtifact": {"artifact": artifact}}

    def on_CreateArtifactManifest(self, _: Any) -> Any:  # noqa: N802
        manifest = {"id": "m", "file": {"id": "f", **self.place("manifest")}}
        return {"createArtifactManifest": {"artifactManifest": manifest}}

    def on_UpdateArtifactManifest(self, _: Any) -> Any:  # noqa: N802
        manifest = {"id": "m", "file": {"id": "f", **self.place("manifest")}}
        return {"updateArtifactManifest": {"artifactManifest": manifest}}

    def on_CreateArtifactFiles(self, given: Any) -> Any:  # noqa: N802
        files = given.get("artifactFiles") or given["input"]["artifactFiles"]
        nodes = [
            {
                "storagePath": file["name"],
                "uploadMultipartUrls": None,
                "artifact": {"id": file["artifactID"]},
                **self.place(file["name"]),
            }
            for file in files
        ]
        return {"createArtifactFiles": {"files": {"edges": [{"node": node} for node in nodes]}}}

    def on_CommitArtifact(self, given: Any) -> Any:  # noqa: N802
        self.artifacts[given["artifactID"]] = True
        return {"commitArtifact": {"artifact": {"id": given["artifactID"], "digest": "d"}}}


def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeWandb]:
    """What a fixture yields: a server that W&B takes for its own, and a key for it."""
    server = FakeWandb()
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    wandb.teardown()
    yield server
    wandb.teardown()
    server.stop()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def fake(self) -> FakeWandb:
        assert isinstance(self.server, FakeWandb)
        return self.server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the name in the base
        pass

    def do_PUT(self) -> None:
        self.body()
        self.fake.uploads.add(self.path.lstrip("/"))
        self.reply({})

    def do_POST(self) -> None:
        request = json.loads(self.body())
        time.sleep(self.fake.delay)
        if self.fake.status != 200:
            self.reply({})
        elif self.path == "/graphql":
            found = re.search(r"(?:query|mutation)\s+(\w+)", request["query"])
            assert found
            data = self.fake.answer(found[1], request.get("variables") or {})
            self.reply({"data": data})
        else:  # /files/ENTITY/PROJECT/RUN/file_stream
            run = self.fake.runs[self.path.split("/")[-2]]
            rows = (request.get("files") or {}).get("wandb-history.jsonl", {"content": []})
            run["history"] += map(json.loads, rows["content"])
            self.reply({})

    def body(self) -> bytes:
        length = self.headers["Content-Length"]
        body = self.rfile.read(int(length)) if length else b"".join(iter(self.chunk, b""))
        return gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body

    def chunk(self) -> bytes:
        chunk = self.rfile.read(int(self.rfile.readline(), 16))
        self.rfile.readline()
        return chunk

    def reply(self, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(self.fake.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

"""A stand-in for the W&B server: real HTTP, spoken to by the real client, everything kept in memory.

It answers what wandb 0.31 asks for a run's life (UpsertBucket, file_stream, uploads), what its public API reads
back, and what `wandb-workspaces` saves. A row of history stands at the offset that the client names, as on W&B.
"""

# ruff: noqa: N802 - methods are named like the GraphQL operations that they answer
from __future__ import annotations

import base64
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

ENTITY = "tester"
KEY = "0123456789abcdef" * 2 + "01234567"


@dataclass
class StoredRun:
    """What the server knows about one run."""

    project: str
    name: str
    config: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    history: dict[int, str] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    state: str = "running"

    def rows(self) -> list[dict[str, Any]]:
        """The history as Python values, in the order of its lines."""
        return [json.loads(self.history[line]) for line in sorted(self.history)]

    def values(self) -> dict[str, Any]:
        """The config without W&B's wrapping."""
        return {key: item["value"] for key, item in self.config.items() if key != "_wandb"}


HANG_SECONDS = 600.0
"""How long a hanging request is not answered: who waits for one on a busy machine is told from who does not."""


class StandIn:
    """The server; `fault` may be set to `500`, `hang` or None at any time."""

    def __init__(self) -> None:
        self.runs: dict[str, StoredRun] = {}
        self.views: list[dict[str, Any]] = []
        self.artifacts: list[dict[str, Any]] = []
        self.received: list[bytes] = []
        self.unknown: list[str] = []
        self.projects: set[str] = set()
        self.fault: str | None = None
        self.calm = threading.Event()  # ends every hanging request
        handler = type("Handler", (_Handler,), {"standin": self})
        self.server = _Quiet(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def close(self) -> None:
        """Stop listening: from now on connections are refused."""
        self.calm.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def environment(self) -> dict[str, str]:
        """What points the real client at this server."""
        return {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": KEY}

    def graphql(self, operation: str, values: dict[str, Any], query: str) -> dict[str, Any]:
        """The data of a GraphQL answer."""
        answer = getattr(self, f"_{operation}", None)
        if answer is None:
            self.unknown.append(operation)
            return {}
        return answer(values)

    def file_stream(self, project: str, name: str, body: dict[str, Any]) -> None:
        """Rows at their offsets, the summary, and how the run ended."""
        run = self.runs[name]
        for file, chunk in body.get("files", {}).items():
            for at, line in enumerate(chunk["content"], start=chunk["offset"]):
                if file == "wandb-history.jsonl":
                    run.history[at] = line
                elif file == "wandb-summary.json":
                    run.summary = json.loads(line)
        if body.get("complete"):
            run.state = "finished" if body.get("exitcode") == 0 else "failed"

    def _GetDefaultEntity(self, values: dict[str, Any]) -> dict[str, Any]:
        return {"viewer": {"id": "VQ==", "entity": ENTITY}}

    def _Viewer(self, values: dict[str, Any]) -> dict[str, Any]:
        viewer = {"id": "VQ==", "entity": ENTITY, "username": ENTITY, "email": "", "flags": "{}", "admin": False}
        return {"viewer": {**viewer, "name": ENTITY, "teams": {"edges": []}, "apiKeys": {"edges": []}}}

    def _ServerFeaturesQuery(self, values: dict[str, Any]) -> dict[str, Any]:
        return {"serverInfo": {"features": []}}

    def _OrganizationCoreWeaveOrganizationID(self, values: dict[str, Any]) -> dict[str, Any]:
        return {"entity": {"organization": {"coreWeaveOrganizationId": None}}}

    def _RunResumeStatus(self, values: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.get(values["name"])
        bucket = run and {
            "id": _id(run.name),
            "name": run.name,
            "summaryMetrics": json.dumps(run.summary),
            "displayName": run.attributes.get("displayName"),
            "logLineCount": 0,
            "historyLineCount": len(run.history),
            "eventsLineCount": 0,
            "historyTail": json.dumps([run.history[max(run.history)]] if run.history else []),
            "eventsTail": "[]",
            "config": json.dumps(run.config),
            "tags": run.attributes.get("tags") or [],
            "notes": None,
            "wandbConfig": '{"t": 1}',
        }
        return {"model": {"id": "UA==", "name": values["project"], "entity": _ENTITY, "bucket": bucket}}

    def _UpsertBucket(self, values: dict[str, Any]) -> dict[str, Any]:
        name = values.get("name") or base64.b64decode(values["id"]).decode()
        inserted = name not in self.runs
        run = self.runs.setdefault(name, StoredRun(values.get("project") or "", name))
        self.projects.add(run.project)
        if values.get("config"):
            run.config = json.loads(values["config"])
        if values.get("summaryMetrics"):
            run.summary = json.loads(values["summaryMetrics"])
        for key, value in values.items():
            if value is not None:
                run.attributes[key] = value
        project = {"id": "UA==", "name": run.project, "entity": _ENTITY}
        bucket = {"id": _id(name), "name": name, "displayName": run.attributes.get("displayName"), "description": None}
        bucket |= {"config": json.dumps(run.config), "sweepName": None, "project": project, "tags": []}
        return {"upsertBucket": {"bucket": {**bucket, "historyLineCount": len(run.history)}, "inserted": inserted}}

    def _CreateRunFiles(self, values: dict[str, Any]) -> dict[str, Any]:
        files = [{"name": n, "uploadUrl": f"{self.url}/storage/{values['run']}/{n}"} for n in values["files"]]
        return {"createRunFiles": {"runID": _id(values["run"]), "uploadHeaders": [], "files": files}}

    def _MarkRunFilesUploaded(self, values: dict[str, Any]) -> dict[str, Any]:
        return {"markRunFilesUploaded": {"success": True}}

    def _ArtifactType(self, values: dict[str, Any]) -> dict[str, Any]:
        return {"project": None}

    def _CreateArtifact(self, values: dict[str, Any]) -> dict[str, Any]:
        self.artifacts.append(values["input"])
        artifact = {"id": "QQ==", "state": "COMMITTED", "artifactSequence": {"latestArtifact": None}}
        return {"createArtifact": {"artifact": artifact}}

    def _UpsertView2(self, values: dict[str, Any]) -> dict[str, Any]:
        self.views.append(values)
        return {"upsertView": {"view": {"id": "Vg==", "name": values["name"]}, "inserted": True}}

    def _RunStopStatus(self, values: dict[str, Any]) -> dict[str, Any]:
        return {"project": {"run": {"stopped": False}}}

    def _Runs(self, values: dict[str, Any]) -> dict[str, Any]:
        if values["project"] not in self.projects:
            return {"project": None}
        wanted = json.loads(values["filters"])
        found = [r for r in self.runs.values() if r.project == values["project"] and _matches(r, wanted)]
        edges = [{"node": _node(run), "cursor": str(at)} for at, run in enumerate(found)]
        page = {"edges": edges, "pageInfo": {"endCursor": None, "hasNextPage": False}}
        return {"project": {"internalId": "1", "runCount": len(found), "readOnly": False, "runs": page}}

    def _Run(self, values: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.get(values["name"])
        return {"project": {"run": run and _node(run)}}

    def _RunHistoryKeys(self, values: dict[str, Any]) -> dict[str, Any]:
        return {"project": {"run": {"historyKeys": _history_keys(self.runs[values["name"]])}}}

    def _RunParquetHistory(self, values: dict[str, Any]) -> dict[str, Any]:
        live = _strict(self.runs[values["runName"]].rows())
        return {"project": {"run": {"parquetHistory": {"parquetUrls": [], "liveData": live}}}}

    def _HistoryPage(self, values: dict[str, Any]) -> dict[str, Any]:
        rows = _strict(self.runs[values["run"]].rows())
        kept = [json.dumps(row) for row in rows if values["minStep"] <= row["_step"] < values["maxStep"]]
        return {"project": {"run": {"history": kept}}}


def _strict(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows as the real server sends them: what JSON has no number for is a word."""
    odd = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
    return [{key: odd.get(str(value), value) for key, value in row.items()} for row in rows]


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that was killed leaves its connection open; that is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    standin: StandIn

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = self._body()
        if self._faulty():
            return
        if self.path == "/graphql":
            asked = json.loads(body)
            found = re.search(r"(?:query|mutation)\s+(\w+)", asked["query"])
            operation = asked.get("operationName") or (found and found[1]) or "anonymous"
            self._answer({"data": self.standin.graphql(operation, asked.get("variables") or {}, asked["query"])})
        elif match := re.fullmatch(r"/files/(?:[^/]*/)?([^/]+)/([^/]+)/file_stream", self.path):
            self.standin.file_stream(match[1], match[2], json.loads(body))
            self._answer({"exitcode": None, "limits": {}})
        else:
            self.standin.unknown.append(self.path)
            self._answer({})

    def do_PUT(self) -> None:
        body = self._body()
        if self._faulty():
            return
        _, _, owner, name = unquote(self.path).split("/", 3)
        if owner in self.standin.runs:
            self.standin.runs[owner].files[name] = body
        self._answer({})

    def do_GET(self) -> None:
        self.standin.unknown.append(self.path)
        self._answer({})

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.standin.received.append(self.path.encode() + b"\n" + body)
        return body

    def _faulty(self) -> bool:
        if self.standin.fault == "hang":
            self.standin.calm.wait(HANG_SECONDS)
            self.close_connection = True
        elif self.standin.fault:
            self.send_error(int(self.standin.fault))
        return bool(self.standin.fault)

    def _answer(self, content: dict[str, Any]) -> None:
        encoded = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)


_ENTITY = {"id": "RQ==", "name": ENTITY}


def _id(name: str) -> str:
    return base64.b64encode(name.encode()).decode()


def _node(run: StoredRun) -> dict[str, Any]:
    """A run as the public API reads it."""
    return {
        "id": _id(run.name),
        "projectId": "1",
        "name": run.name,
        "displayName": run.attributes.get("displayName"),
        "tags": run.attributes.get("tags") or [],
        "sweepName": None,
        "state": run.state,
        "config": json.dumps(run.config),
        "group": run.attributes.get("groupName"),
        "jobType": run.attributes.get("jobType"),
        "commit": None,
        "readOnly": False,
        "createdAt": "2026-01-01T00:00:00Z",
        "heartbeatAt": "2026-01-01T00:00:00Z",
        "description": None,
        "notes": None,
        "systemMetrics": "{}",
        "summaryMetrics": json.dumps(run.summary),
        "historyLineCount": len(run.history),
        "user": {"name": ENTITY, "username": ENTITY},
        "historyKeys": _history_keys(run),
    }


def _history_keys(run: StoredRun) -> dict[str, Any]:
    return {"lastStep": max((row["_step"] for row in run.rows()), default=-1), "keys": {}}


def _matches(run: StoredRun, wanted: dict[str, Any]) -> bool:
    """Whether a run passes the filters that algoprog uses."""
    known = {"group": run.attributes.get("groupName"), "jobType": run.attributes.get("jobType")}
    return all(known[key] in (value["$in"] if isinstance(value, dict) else [value]) for key, value in wanted.items())

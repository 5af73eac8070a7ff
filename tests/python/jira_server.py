"""A JIRA Data Center 8.20 for tests: jira820 on 127.0.0.1, with what it lacks and Tatami needs.

The first line on stdout is its port. It ends when its stdin does. The project is SEC, its user admin. Beside JIRA's
API it takes POST /as/<user>/<key>: a comment of somebody else.
"""

import os
import re
import socket
import sys
import threading
from datetime import datetime, timezone

os.environ["JIRA820_PROJECT_KEY"] = "SEC"

import uvicorn
from fastapi import Request
from fastapi.responses import JSONResponse, Response
from jira820 import jql, make_app
from jira820.config import load_config
from jira820.serialize import iid

app = make_app(config=load_config())
store = app.state.store
properties = {}
touched = {}


def now():
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"


# its issues are all changed at nine o'clock
shown = store.serializer.issue_res


def issue_res(it, *args, **kwargs):
    issue = shown(it, *args, **kwargs)
    if "updated" in issue["fields"]:
        issue["fields"]["updated"] = touched.setdefault(it["key"], now())
    return issue


store.serializer.issue_res = issue_res


@app.post("/rest/api/2/search")
async def search(request: Request):
    body = await request.json()
    keys = jql.filter_keys(store, body.get("jql", ""))
    start, size = body.get("startAt", 0), body.get("maxResults", 50)
    base = str(request.base_url).rstrip("/")
    fields = ",".join(body.get("fields", []))
    page = [store.serializer.issue_res(store.issues[key], base, fields) for key in keys[start:start + size]]
    return {"startAt": start, "maxResults": size, "total": len(keys), "issues": page}


@app.put("/rest/api/2/issue/{key}/properties/{name}")
async def set_property(key: str, name: str, request: Request):
    store.get_issue(key)
    made = (key, name) not in properties
    properties[key, name] = await request.json()
    return Response(status_code=201 if made else 200)


@app.get("/rest/api/2/issue/{key}/properties/{name}")
def get_property(key: str, name: str):
    store.get_issue(key)
    if (key, name) not in properties:
        return JSONResponse({"errorMessages": ["no such property"], "errors": {}}, status_code=404)
    return {"key": name, "value": properties[key, name]}


@app.post("/as/{user}/{key}")
async def comment_as(user: str, key: str, request: Request):
    store.add_comment(key, (await request.body()).decode(), author=user)
    touched[key] = now()
    return Response(status_code=201)


class ById:
    """Issues are found by their ids, too, and whoever changes one touches it."""

    def __init__(self, inner):
        self.inner = inner

    async def __call__(self, scope, receive, send):
        path = scope.get("path", "")
        found = re.match(r"(/rest/api/2/issue/)([^/]+)(.*)", path)
        if found:
            keys = {iid(key): key for key in store.issues}
            key = keys.get(found[2], found[2])
            path = found[1] + key + found[3]
            scope = {**scope, "path": path, "raw_path": path.encode()}
            if scope["method"] != "GET":
                touched[key] = now()
        await self.inner(scope, receive, send)


def end_with_stdin():
    sys.stdin.read()
    os._exit(0)


listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
threading.Thread(target=end_with_stdin, daemon=True).start()
server = uvicorn.Server(uvicorn.Config(ById(app), log_level="warning", lifespan="off"))
server.run(sockets=[listener])

#!/usr/bin/env python3
"""Holds the API against its OpenAPI document: schemathesis makes requests of all kinds from the document,
right ones and wrong ones, and no answer may be a 500, or of a status or a media type that the document doesn't
have; with --strict, nor of a shape.

    pip install -r tests/openapi/requirements.txt
    cargo build --release
    tests/openapi/run.py [--examples N] [--seed N] [--only REGEX] [--strict]

It runs against `tatami demo` on this machine, with the sample reports in it, and is bounded: so many requests
of each kind for each operation. The exit code is 0 only if nothing was found.
"""

import argparse
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TOKEN = "00112233445566778899aabbccddeeff00112233"
START_SECONDS = 120
REQUEST_SECONDS = 60

CHECKS = ("not_a_server_error", "status_code_conformance", "content_type_conformance")
STRICT = (*CHECKS, "response_schema_conformance")

# Who runs the test could lose the right to go on by these: they have a run and a server of their own.
OWN_RIGHTS = r"^(PUT|PATCH|DELETE|POST) /api/v2/(users/\{id\}|tokens/\{id\}|global_roles/\{id\}|change-password|session)/"


class Failure(Exception):
    """The test cannot go on; the message says why."""


def target_dir():
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


@contextlib.contextmanager
def server(tatami):
    """The address of `tatami demo` with its sample reports, on data that goes with it."""
    with tempfile.TemporaryDirectory(prefix="tatami-openapi-") as data:
        log_path = pathlib.Path(data) / "log"
        env = dict(
            os.environ,
            TATAMI_ADMIN_TOKEN=TOKEN,
            TATAMI_ADMIN_PASSWORD="preset for the test",
            TATAMI_TOKEN_RATE="100000",
            TATAMI_TOKEN_BURST="1000000",
        )
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                [tatami, "demo", "--listen", "127.0.0.1:0", "--data", f"{data}/data"],
                stdout=subprocess.PIPE,
                stderr=log,
                env=env,
                text=True,
            )
        try:
            watchdog = signal.signal(signal.SIGALRM, too_late)
            signal.alarm(START_SECONDS)
            url = None
            for line in process.stdout:
                found = re.search(r"http://127\.0\.0\.1:\d+", line)
                url = url or (found and found.group())
                if "CVE-" in line:  # the table of findings comes last
                    break
            signal.alarm(0)
            signal.signal(signal.SIGALRM, watchdog)
            if not url:
                raise Failure(f"the server did not start:\n{log_path.read_text()}")
            yield url, process
            if process.poll() is not None:
                raise Failure(f"the server ended with {process.returncode}:\n{log_path.read_text()[-4000:]}")
        finally:
            process.terminate()
            process.wait(30)


def too_late(_signal, _frame):
    raise Failure(f"the server was not ready after {START_SECONDS} s")


def still_known(url):
    """Does the token still hold? Without it a run would see nothing but 401."""
    request = urllib.request.Request(f"{url}/api/v2/user_profile/", headers={"Authorization": f"Token {TOKEN}"})
    with contextlib.suppress(urllib.error.HTTPError):
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status == 200
    return False


def schemathesis(url, options, extra):
    command = [
        str(pathlib.Path(sys.executable).parent / "schemathesis"),
        "run",
        f"{url}/api/v2/oa3/schema/?format=json",
        f"--header=Authorization: Token {TOKEN}",
        f"--checks={','.join(STRICT if options.strict else CHECKS)}",
        "--phases=examples,coverage,fuzzing",
        f"--max-examples={options.examples}",
        f"--seed={options.seed}",
        f"--request-timeout={REQUEST_SECONDS}",
        "--workers=2",
        "--continue-on-failure",
        "--no-shrink",
        "--suppress-health-check=all",
        "--warnings=off",
        *extra,
    ]
    with tempfile.TemporaryDirectory() as folder:  # it writes into the folder that it runs in
        return subprocess.run(command, check=False, cwd=folder).returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--examples", type=int, default=5, help="random requests for each operation")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="operations whose path matches")
    parser.add_argument("--strict", action="store_true", help="look at the shape of answers too")
    parser.add_argument("--tatami", default=target_dir() / "release" / "tatami")
    options = parser.parse_args()
    only = [f"--include-path-regex={options.only}"] if options.only else []
    ok = True
    with server(options.tatami) as (url, _):
        ok &= schemathesis(url, options, [f"--exclude-name-regex={OWN_RIGHTS}", *only])
        if not still_known(url):
            raise Failure("the token was lost in the run; put what lost it among OWN_RIGHTS")
    if not options.only:
        with server(options.tatami) as (url, _):
            ok &= schemathesis(url, options, [f"--include-name-regex={OWN_RIGHTS}"])
    return 0 if ok else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        print(failure, file=sys.stderr)
        sys.exit(1)

#!/usr/bin/env python3
"""The deployment test: builds the functions, deploys infra/template.yaml and sends reports through it.

    pip install -r tests/deploy/requirements.txt
    tests/deploy/run.py [--no-build] [--keep]

Nothing leaves the machine and no account is needed: ministack takes the template through CloudFormation and
runs the compiled functions through Lambda's Runtime API. It also evaluates the functions' IAM policies, so
that a right that the template forgets fails here.

The last line is `N passed, N failed`; the exit code is 0 only if nothing failed.
"""

import argparse
import base64
import contextlib
import functools
import http.server
import json
import os
import pathlib
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile

import boto3
import yaml
from botocore.config import Config
from botocore.exceptions import ClientError

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TEMPLATE = ROOT / "infra" / "template.yaml"
FIXTURES = HERE / "fixtures"
FEEDS = ROOT / "shared" / "threat-intel" / "tests" / "fixtures"

FUNCTIONS = ("parser", "dedup", "sla", "jira", "notify", "enrich", "api")
REGION = "eu-west-1"
NAME = "tatami-test"
CODE_BUCKET = "tatami-test-code"

BUILD_SECONDS = 45 * 60
TEST_SECONDS = 8 * 60
DEPLOY_SECONDS = 120
IMPORT_SECONDS = 60
DEAD_LETTER_SECONDS = 90

IMAGE_FINDINGS = [
    ("CVE-2022-25883 semver 7.3.5", "High"),
    ("CVE-2022-48174 busybox 1.35.0-r29", "Critical"),
    ("CVE-2023-0464 libssl3 3.0.8-r0", "High"),
    ("CVE-2023-26115 word-wrap 1.2.3", "Medium"),
    ("CVE-2024-47764 cookie 0.5.0", "Low"),
]
REPOSITORY_FINDINGS = [
    ("CVE-2023-32681 requests 2.28.2", "Medium"),
    ("CVE-2023-37920 certifi 2022.12.7", "Critical"),
    ("CVE-2023-39325 golang.org/x/net v0.10.0", "High"),
]


class Failure(Exception):
    """A check that does not hold; the message says what was seen instead."""


class OutOfTime(Exception):
    """The whole test took longer than it may."""


def check(condition, message):
    if not condition:
        raise Failure(message)


def wait_for(what, seconds, probe, pause=0.5):
    """Calls `probe` until it returns something other than None, at most `seconds` long."""
    end = time.monotonic() + seconds
    seen = None
    while time.monotonic() < end:
        try:
            result = probe()
        except Failure as failure:
            result, seen = None, failure
        if result is not None:
            return result
        time.sleep(pause)
    raise Failure(f"{what} not within {seconds} s" + (f"; last seen: {seen}" if seen else ""))


class Checks:
    """Runs named steps and counts them. A step that needs a failed one is skipped as failed."""

    def __init__(self):
        self.passed = self.failed = 0
        self.broken = None

    @contextlib.contextmanager
    def step(self, name, vital=False):
        start = time.monotonic()
        if self.broken:
            print(f"FAIL  {name}: not tried, since “{self.broken}” failed", flush=True)
            self.failed += 1
            yield False
            return
        try:
            yield True
        except OutOfTime:
            self._failed(name, start, "the test's time is up", True)
        except Failure as failure:
            self._failed(name, start, str(failure), vital)
        except (ClientError, OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
            self._failed(name, start, f"{type(error).__name__}: {error}", vital)
        else:
            self.passed += 1
            print(f"ok    {name} ({time.monotonic() - start:.1f} s)", flush=True)

    def _failed(self, name, start, message, vital):
        self.failed += 1
        print(f"FAIL  {name} ({time.monotonic() - start:.1f} s): {message}", flush=True)
        if vital:
            self.broken = name


# ------------------------------------------------------------------ building


def target_directory():
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").absolute()


def environment_with_tools():
    """The environment in which `cargo lambda` and zig are found, also when the venv is not activated."""
    environment = dict(os.environ)
    environment["PATH"] = os.pathsep.join([str(pathlib.Path(sys.executable).parent), environment.get("PATH", "")])
    environment["CARGO_TARGET_DIR"] = str(target_directory())
    return environment


def build():
    print("building the functions with cargo-lambda ...", flush=True)
    start = time.monotonic()
    command = ["cargo", "lambda", "build", "--release", "--x86-64", "--locked"]
    command += ["--lambda-dir", str(target_directory() / "lambda")]
    for function in FUNCTIONS:
        command += ["--package", f"tatami-{function}", "--bin", f"tatami-{function}"]
    done = subprocess.run(command, cwd=ROOT, env=environment_with_tools(), timeout=BUILD_SECONDS, check=False)
    check(done.returncode == 0, f"cargo lambda build ended with {done.returncode}")
    print(f"built in {time.monotonic() - start:.0f} s", flush=True)


def bootstrap_of(function):
    path = target_directory() / "lambda" / f"tatami-{function}" / "bootstrap"
    check(path.is_file(), f"{path} is missing; run without --no-build")
    return path


def zip_of(function, directory):
    path = directory / f"{function}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        entry = zipfile.ZipInfo("bootstrap", date_time=(2020, 1, 1, 0, 0, 0))
        entry.external_attr = 0o755 << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(entry, bootstrap_of(function).read_bytes())
    return path


# ------------------------------------------------------------------ the template


class TemplateLoader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms (!Ref, !Sub, ...) turned into their long ones."""


def _intrinsic(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


TemplateLoader.add_multi_constructor("!", _intrinsic)


def allow_batches(node):
    """AWS lets whoever may send a message also send a batch of them; the emulator asks for a right of its own."""
    if isinstance(node, dict):
        if node.get("Action") == "sqs:SendMessage" and "Principal" not in node:
            node["Action"] = ["sqs:SendMessage", "sqs:SendMessageBatch"]
        for value in node.values():
            allow_batches(value)
    elif isinstance(node, list):
        for value in node:
            allow_batches(value)


def packaged_template():
    """The template as `sam package` leaves it: the code is in S3, all else is untouched but for the emulator's
    own names of rights."""
    template = yaml.load(TEMPLATE.read_text(), TemplateLoader)
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            function = pathlib.PurePosixPath(resource["Properties"]["CodeUri"]).name
            check(function in FUNCTIONS, f"{logical_id} has the unknown function {function}")
            resource["Properties"]["CodeUri"] = {"Bucket": CODE_BUCKET, "Key": f"{function}.zip"}
    allow_batches(template["Resources"])
    return json.dumps(template)


# ------------------------------------------------------------------ the emulator


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Cloud:
    """A ministack process and clients for it. The functions are its children, in its process group."""

    def __init__(self, directory):
        self.directory = directory
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.log = directory / "ministack.log"
        self.process = None

    def start(self):
        temporary = self.directory / "tmp"
        temporary.mkdir()
        environment = {k: v for k, v in os.environ.items() if not k.upper().startswith(("AWS_", "TATAMI_"))}
        environment.update(
            BIND_HOST="127.0.0.1",
            GATEWAY_PORT=str(self.port),
            # The functions inherit it.
            AWS_ENDPOINT_URL=self.endpoint,
            AWS_ACCESS_KEY_ID="test",
            AWS_SECRET_ACCESS_KEY="test",
            AWS_DEFAULT_REGION=REGION,
            MINISTACK_REGION=REGION,
            AUTH="true",
            IOT_MTLS_PORT="0",
            SFTP_ENABLED="0",
            TMPDIR=str(temporary),
            STATE_DIR=str(self.directory / "state"),
            S3_DATA_DIR=str(self.directory / "s3"),
            NO_PROXY="127.0.0.1,localhost",
            no_proxy="127.0.0.1,localhost",
            PYTHONUNBUFFERED="1",
        )
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ministack"],
                cwd=self.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_for("ministack's start", 60, self._is_up, pause=0.2)

    def _is_up(self):
        check(self.process.poll() is None, f"ministack ended with {self.process.returncode}")
        try:
            with urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=5) as answer:
                return answer.status == 200 or None
        except OSError:
            return None

    def stop(self):
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def client(self, service, access_key="test", secret_key="test"):
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            config=Config(
                proxies={},
                s3={"addressing_style": "path"},
                retries={"max_attempts": 2},
                connect_timeout=5,
                read_timeout=60,
            ),
        )

    def function_logs(self, lines):
        logs = self.client("logs")
        for function in FUNCTIONS:
            print(f"--- the last {lines} log lines of {function}")
            try:
                events = logs.filter_log_events(logGroupName=f"/aws/lambda/{NAME}-{function}")["events"]
            except ClientError as error:
                print(error)
                continue
            for event in sorted(events, key=lambda event: event["timestamp"])[-lines:]:
                print(event["message"].rstrip())


class Api:
    """Tatami's API as a client sees it."""

    def __init__(self, cloud, api_id, token):
        self.endpoint = cloud.endpoint
        # The emulator finds the API by the host name; a connection needs no name server this way.
        self.host = f"{api_id}.execute-api.localhost"
        self.token = token
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def request(self, method, path, body=None, content_type=None, token=None):
        request = urllib.request.Request(f"{self.endpoint}{path}", data=body, method=method)
        request.add_header("Host", self.host)
        request.add_header("Authorization", f"Token {token or self.token}")
        if content_type:
            request.add_header("Content-Type", content_type)
        try:
            with self.opener.open(request, timeout=45) as answer:
                return answer.status, self._json(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, self._json(error.read())

    @staticmethod
    def _json(body):
        try:
            return json.loads(body)
        except ValueError:
            return body.decode(errors="replace")

    def get(self, path):
        status, answer = self.request("GET", path)
        check(status == 200, f"GET {path}: {status} {answer}")
        return answer

    def findings(self):
        answer = self.get("/api/v2/findings/?limit=50")
        results = answer["results"]
        check(answer["count"] == len(results), f"count is {answer['count']}, but {len(results)} are listed")
        return results

    def import_scan(self, report, **fields):
        """Posts a report as a browser form does."""
        boundary = secrets.token_hex(16)
        parts = []
        for name, value in fields.items():
            parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
        parts.append(
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{report.name}"\r\n'
            "Content-Type: application/json\r\n\r\n".encode()
            + report.read_bytes()
            + b"\r\n"
        )
        parts.append(f"--{boundary}--\r\n".encode())
        return self.request(
            "POST", "/api/v2/import-scan/", b"".join(parts), f"multipart/form-data; boundary={boundary}"
        )

    def import_record(self, import_id):
        return self.get(f"/api/v2/imports/{import_id}/")

    def wait_until_imported(self, import_id):
        def done():
            record = self.import_record(import_id)
            check(record["state"] != "failed", f"import {import_id} failed: {record.get('error')}")
            if record["state"] == "done":
                return record
            raise Failure(f"import {import_id} is {record['state']}")

        return wait_for(f"import {import_id} done", IMPORT_SECONDS, done)


def titles(findings):
    return sorted((finding["title"], finding["severity"]) for finding in findings)


def compare(findings, expected):
    seen = titles(findings)
    check(
        seen == sorted(expected),
        f"{len(seen)} findings instead of {len(expected)}; "
        f"missing: {sorted(set(expected) - set(seen))}; unexpected: {sorted(set(seen) - set(expected))}",
    )


# ------------------------------------------------------------------ the steps


@contextlib.contextmanager
def feeds():
    """A server of small EPSS and KEV files; gives its address."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=FEEDS)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def deploy(cloud, token, feeds_url):
    s3, cloudformation = cloud.client("s3"), cloud.client("cloudformation")
    s3.create_bucket(Bucket=CODE_BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    for function in FUNCTIONS:
        s3.upload_file(str(zip_of(function, cloud.directory)), CODE_BUCKET, f"{function}.zip")
    # By its address, since a body may have 51,200 bytes at most.
    s3.put_object(Bucket=CODE_BUCKET, Key="template.json", Body=packaged_template().encode())
    kms_key = cloud.client("kms").create_key(Description="secrets of Tatami")["KeyMetadata"]["Arn"]
    parameters = {
        "Name": NAME,
        "KmsKeyArn": kms_key,
        "Architecture": "x86_64",
        "AdminPassword": secrets.token_urlsafe(18),
        "AdminToken": token,
        "LogLevel": "info",
        "EpssUrl": f"{feeds_url}/epss_scores-2026-11-29.csv",
        "KevUrl": f"{feeds_url}/known_exploited_vulnerabilities.json",
    }
    cloudformation.create_stack(
        StackName=NAME,
        TemplateURL=f"{cloud.endpoint}/{CODE_BUCKET}/template.json",
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
    )

    def finished():
        stack = cloudformation.describe_stacks(StackName=NAME)["Stacks"][0]
        return None if stack["StackStatus"].endswith("_IN_PROGRESS") else stack

    stack = wait_for("the stack", DEPLOY_SECONDS, finished)
    if stack["StackStatus"] != "CREATE_COMPLETE":
        events = cloudformation.describe_stack_events(StackName=NAME)["StackEvents"]
        reasons = [
            f"{event['LogicalResourceId']}: {event['ResourceStatusReason']}"
            for event in events
            if event["ResourceStatus"].endswith("FAILED") and event.get("ResourceStatusReason")
        ]
        raise Failure(f"{stack['StackStatus']}; " + "; ".join(reasons or [stack.get("StackStatusReason", "")]))
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def check_queues(cloud):
    """Every queue that feeds a function waits long enough and has a dead-letter queue."""
    functions, sqs = cloud.client("lambda"), cloud.client("sqs")
    seen = 0
    for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
        function = functions.get_function_configuration(FunctionName=mapping["FunctionArn"])
        name = mapping["EventSourceArn"].rsplit(":", 1)[1]
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        check(
            int(queue["VisibilityTimeout"]) >= 6 * function["Timeout"],
            f"{name} is invisible for {queue['VisibilityTimeout']} s, its function takes {function['Timeout']} s",
        )
        redrive = json.loads(queue["RedrivePolicy"])
        check(int(redrive["maxReceiveCount"]) == 5, f"{name} is tried {redrive['maxReceiveCount']} times")
        dead = sqs.get_queue_url(QueueName=redrive["deadLetterTargetArn"].rsplit(":", 1)[1])["QueueUrl"]
        retention = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["All"])["Attributes"][
            "MessageRetentionPeriod"
        ]
        check(int(retention) == 14 * 86400, f"the dead letters of {name} are kept {retention} s")
        check(
            mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"],
            f"{name} has no partial batch responses",
        )
        seen += 1
    check(seen == 5, f"{seen} queues feed functions instead of 5")


def check_buckets(cloud, outputs):
    """Plain HTTP is refused. The emulator speaks nothing else, so the policies go after this."""
    # A user who may do everything: the account's root is not held by these policies in the emulator.
    iam, s3 = cloud.client("iam"), cloud.client("s3")
    iam.create_user(UserName="anybody")
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_user_policy(UserName="anybody", PolicyName="everything", PolicyDocument=json.dumps(everything))
    key = iam.create_access_key(UserName="anybody")["AccessKey"]
    anybody = cloud.client("s3", key["AccessKeyId"], key["SecretAccessKey"])
    for bucket in (outputs["UploadsBucket"], outputs["DataBucket"]):
        try:
            anybody.head_bucket(Bucket=bucket)
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            check(status == 403, f"{bucket} answers plain HTTP with {status}")
        else:
            raise Failure(f"{bucket} answers plain HTTP")
        finally:
            s3.delete_bucket_policy(Bucket=bucket)
        anybody.head_bucket(Bucket=bucket)
        blocked = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        check(all(blocked.values()), f"{bucket} does not block all public access: {blocked}")
    versioning = s3.get_bucket_versioning(Bucket=outputs["UploadsBucket"]).get("Status")
    check(versioning == "Enabled", f"versioning of the uploads is {versioning}")


def check_tables(cloud, outputs):
    # Read in the template, since the emulator's CloudFormation leaves most of this out.
    resources = yaml.load(TEMPLATE.read_text(), TemplateLoader)["Resources"]
    for logical_id in ("CatalogTable", "FindingsTable", "JobsTable"):
        declared = resources[logical_id]["Properties"]
        check(
            declared["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True,
            f"{logical_id} has no point-in-time recovery",
        )
        check(declared["SSESpecification"]["SSEEnabled"] is True, f"{logical_id} is not encrypted")
        table = cloud.client("dynamodb").describe_table(TableName=outputs[logical_id])["Table"]
        check(table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST", f"{logical_id} is not on demand")
        check(
            declared["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True},
            f"{logical_id} has no time to live",
        )


def check_schedule(cloud, function, expression, name="daily"):
    """The rule calls the function, and the function takes the event that the rule sends; gives its answer."""
    events = cloud.client("events")
    rule = events.describe_rule(Name=f"{NAME}-{function}-{name}")
    check(rule["ScheduleExpression"] == expression, f"the schedule is {rule['ScheduleExpression']}")
    check(rule["State"] == "ENABLED", f"the schedule is {rule['State']}")
    targets = [target["Arn"] for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]]
    check(
        len(targets) == 1 and targets[0].endswith(f":function:{NAME}-{function}"), f"the schedule calls {targets}"
    )
    event = {
        "version": "0",
        "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "000000000000",
        "time": "2026-11-02T02:00:00Z",
        "region": REGION,
        "resources": [rule["Arn"]],
        "detail": {},
    }
    answer = cloud.client("lambda").invoke(FunctionName=f"{NAME}-{function}", Payload=json.dumps(event))
    payload = answer["Payload"].read().decode()
    check("FunctionError" not in answer, f"the {function} function fails: {payload}")
    return json.loads(payload)


def check_enrich(cloud, outputs):
    """The scores and the catalogue are loaded and stored, and not once more when they are the same."""
    for changed in (True, False):
        answer = check_schedule(cloud, "enrich", "cron(30 1 * * ? *)")
        seen = (answer["epss_cves"], answer["kev_cves"], answer["changed"])
        check(seen == (9, 4, changed), f"the enrich function answers {answer}")
    cloud.client("s3").head_object(Bucket=outputs["DataBucket"], Key="intel/exploitation")


def set_dedup_running(cloud, running):
    """Switches the event source of the dedup function on or off and waits until it is."""
    functions = cloud.client("lambda")
    mapping = functions.list_event_source_mappings(FunctionName=f"{NAME}-dedup")["EventSourceMappings"][0]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=running)
    wanted = "Enabled" if running else "Disabled"

    def switched():
        return functions.get_event_source_mapping(UUID=mapping["UUID"])["State"] == wanted or None

    wait_for(f"the event source {wanted.lower()}", 30, switched)


def take_all(sqs, queue):
    """Takes the messages off a queue and returns them; gives up waiting 3 s after the last one."""
    taken, empty = [], 0
    while empty < 3:
        messages = sqs.receive_message(
            QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1, MessageAttributeNames=["All"]
        ).get("Messages", [])
        empty = 0 if messages else empty + 1
        for message in messages:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            taken.append(message)
    return taken


def attributes_of(message):
    """Message attributes in the form in which they are sent."""
    return {
        name: {key: value for key, value in attribute.items() if key in ("DataType", "StringValue", "BinaryValue")}
        for name, attribute in message.get("MessageAttributes", {}).items()
    }


def hold_an_import(cloud, api, outputs):
    """Starts an import whose chunks never reach the dedup function; returns its id and the chunks."""
    set_dedup_running(cloud, False)
    status, answer = api.import_scan(
        FIXTURES / "trivy-repository.json",
        scan_type="Trivy Scan",
        product_type_name="Web",
        product_name="Back office",
        engagement_name="nightly",
        auto_create_context="true",
    )
    check(status == 202, f"import-scan without a dedup function answers {status} instead of 202: {answer}")
    check(answer.get("import_id") and answer.get("status_url"), f"no import_id and status_url in {answer}")
    record = api.get(urllib.parse.urlsplit(answer["status_url"]).path)
    check(record["state"] == "processing", f"the import is {record['state']} while its chunks wait")
    chunks = take_all(cloud.client("sqs"), outputs["FindingsQueueUrl"])
    check(chunks, "the import sent no chunk")
    return answer["import_id"], chunks


def poison(cloud, api, outputs, import_id):
    """A chunk of a version that nobody knows: five tries, then the dead-letter queue, and the import says so."""
    sqs = cloud.client("sqs")
    body = json.dumps({"version": 999, "import": import_id})
    sqs.set_queue_attributes(QueueUrl=outputs["FindingsQueueUrl"], Attributes={"VisibilityTimeout": "2"})
    sqs.send_message(
        QueueUrl=outputs["FindingsQueueUrl"],
        MessageBody=body,
        MessageAttributes={"import": {"DataType": "String", "StringValue": str(import_id)}},
    )
    set_dedup_running(cloud, True)

    def dead():
        # Long polling wakes the queue, whose dead letters the emulator moves when somebody looks.
        sqs.get_queue_attributes(QueueUrl=outputs["FindingsQueueUrl"], AttributeNames=["All"])
        messages = sqs.receive_message(
            QueueUrl=outputs["FindingsDeadLetterQueueUrl"], VisibilityTimeout=0, MessageAttributeNames=["All"]
        ).get("Messages")
        return messages or None

    messages = wait_for("the poison message in the dead-letter queue", DEAD_LETTER_SECONDS, dead)
    check([message["Body"] for message in messages] == [body], f"other dead letters: {messages}")


def check_failed(api, import_id):
    def failed():
        record = api.import_record(import_id)
        if record["state"] == "failed":
            return record
        raise Failure(f"state {record['state']}")

    error = wait_for(f"import {import_id} failed", 20, failed).get("error")
    message = error.get("message") if isinstance(error, dict) else error
    check(message, "the import gives no reason")
    print(f"      reason given: {message}", flush=True)


def redrive(cloud, api, outputs, import_id, chunks):
    """The held chunks come after all, as in a redrive: the import finishes."""
    sqs = cloud.client("sqs")
    sqs.set_queue_attributes(QueueUrl=outputs["FindingsQueueUrl"], Attributes={"VisibilityTimeout": "30"})
    for chunk in chunks:
        sqs.send_message(
            QueueUrl=outputs["FindingsQueueUrl"],
            MessageBody=chunk["Body"],
            MessageAttributes=attributes_of(chunk),
        )

    def done():
        record = api.import_record(import_id)
        if record["state"] == "done":
            return record
        raise Failure(f"state {record['state']}")

    wait_for(f"import {import_id} done", IMPORT_SECONDS, done)


def check_nothing_left(cloud, outputs):
    """All messages were dealt with, but for the poison in its dead-letter queue."""
    sqs = cloud.client("sqs")
    expected = {
        "UploadsQueueUrl": 0,
        "UploadsDeadLetterQueueUrl": 0,
        "FindingsQueueUrl": 0,
        "FindingsDeadLetterQueueUrl": 1,
        "SlaQueueUrl": 0,
        "SlaDeadLetterQueueUrl": 0,
    }

    def drained():
        seen = {}
        for output in expected:
            attributes = sqs.get_queue_attributes(QueueUrl=outputs[output], AttributeNames=["All"])["Attributes"]
            seen[output] = int(attributes["ApproximateNumberOfMessages"]) + int(
                attributes["ApproximateNumberOfMessagesNotVisible"]
            )
        check(seen == expected, f"{ {output: count for output, count in seen.items() if count} }")
        return True

    wait_for("empty queues", 30, drained)


def check_secrets(cloud, api, outputs):
    """A tool's password is taken, and lies in no table as it was sent; neither does the key of secrets."""

    def post(path, body):
        status, answer = api.request("POST", path, json.dumps(body).encode(), "application/json")
        check(status == 201, f"POST {path}: {status} {answer}")
        return answer["id"]

    password = secrets.token_urlsafe(12)
    kind = post("/api/v2/tool_types/", {"name": "Scanner"})
    tool = {"name": "Scanner", "tool_type": kind, "username": "tatami", "password": password}
    post("/api/v2/tool_configurations/", tool)
    dynamodb = cloud.client("dynamodb")
    items = dynamodb.scan(TableName=outputs["CatalogTable"])["Items"]
    check(password not in json.dumps(items, default=str), "the password lies in the catalog as it was sent")
    kept = [json.loads(item["d"]["S"]) for item in items if item["pk"]["S"] == "SECRETKEY"]
    check(len(kept) == 1, f"{len(kept)} keys of secrets are kept")
    check(len(base64.b64decode(kept[0])) > 32, "the key of secrets is kept as it is used")


def check_rights(cloud):
    """No call of a function was refused. The functions may retry or go on, so their results don't tell."""
    refused = set()
    for line in cloud.log.read_text(errors="replace").splitlines():
        found = re.search(r"assumed-role/[^/ ]+/([\w-]+) is not authorized to perform: ([\w:]+)", line)
        if found:
            refused.add(f"{found[1]} lacks {found[2]}")
    check(not refused, "; ".join(sorted(refused)))


def run(checks, cloud, feeds_url):
    token = secrets.token_hex(20)
    outputs, api = {}, None
    known = set()

    def new_findings(expected):
        """Waits for as many findings as expected beside those known, and remembers them."""

        def arrived():
            fresh = [finding for finding in api.findings() if finding["id"] not in known]
            if len(fresh) >= len(expected):
                return fresh
            raise Failure(f"{len(fresh)} new findings: {titles(fresh)}")

        fresh = wait_for(f"{len(expected)} findings", IMPORT_SECONDS, arrived)
        compare(fresh, expected)
        known.update(finding["id"] for finding in fresh)

    with checks.step("ministack starts", vital=True) as go:
        if go:
            cloud.start()

    with checks.step("the template deploys", vital=True) as go:
        if go:
            outputs = deploy(cloud, token, feeds_url)
            api = Api(cloud, outputs["ApiId"], token)

    with checks.step("queues: visibility, five tries, dead letters kept 14 days") as go:
        if go:
            check_queues(cloud)

    with checks.step("buckets: TLS only, not public, versions", vital=True) as go:
        if go:
            check_buckets(cloud, outputs)

    with checks.step("tables: on demand, recovery, encryption, time to live") as go:
        if go:
            check_tables(cloud, outputs)

    with checks.step("the API wants a token", vital=True) as go:
        if go:
            status, answer = api.request("GET", "/api/v2/findings/?limit=50", token="0" * 40)
            check(status in (401, 403), f"a wrong token is answered with {status} {answer}")
            check(api.findings() == [], "there are findings before the first import")

    with checks.step("a report dropped into the bucket becomes findings") as go:
        if go:
            cloud.client("s3").upload_file(
                str(FIXTURES / "trivy-image.json"), outputs["UploadsBucket"], "inbox/Shop/release 1.4/image/trivy.json"
            )
            new_findings(IMAGE_FINDINGS)

    with checks.step("import-scan through the API") as go:
        if go:
            status, answer = api.import_scan(
                FIXTURES / "trivy-repository.json",
                scan_type="Trivy Scan",
                product_type_name="Web",
                product_name="Shop backend",
                engagement_name="release 1.4",
                auto_create_context="true",
            )
            check(status in (201, 202), f"import-scan answers {status} {answer}")
            if status == 202:
                path = urllib.parse.urlsplit(answer["status_url"]).path
                api.wait_until_imported(path.rstrip("/").rsplit("/", 1)[1])
            new_findings(REPOSITORY_FINDINGS)

    with checks.step("the daily schedule reaches the sla function") as go:
        if go:
            check_schedule(cloud, "sla", "cron(0 2 * * ? *)")

    with checks.step("the daily schedule reaches the enrich function, which loads both files") as go:
        if go:
            check_enrich(cloud, outputs)

    with checks.step("a secret is kept under a key that KMS guards") as go:
        if go:
            check_secrets(cloud, api, outputs)

    with checks.step("an import is told of: its alert arrives") as go:
        if go:
            wait_for("an alert", 60, lambda: api.get("/api/v2/alerts/?topic=scan_added")["results"])

    with checks.step("the schedules reach the jira and the notify function") as go:
        if go:
            check_schedule(cloud, "jira", "rate(10 minutes)", "sweep")
            check_schedule(cloud, "notify", "rate(5 minutes)", "sweep")

    import_id, chunks = None, []
    with checks.step("an import whose findings wait is answered with 202", vital=True) as go:
        if go:
            import_id, chunks = hold_an_import(cloud, api, outputs)

    with checks.step("a poison message ends in the dead-letter queue") as go:
        if go:
            poison(cloud, api, outputs, import_id)

    with checks.step("its import says failed and why") as go:
        if go:
            check_failed(api, import_id)

    with checks.step("the missing chunks come after all and finish the import") as go:
        if go:
            redrive(cloud, api, outputs, import_id, chunks)
            new_findings(REPOSITORY_FINDINGS)

    with checks.step("no message is left over") as go:
        if go:
            check_nothing_left(cloud, outputs)

    with checks.step("no function lacks a right") as go:
        if go:
            check_rights(cloud)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    arguments.add_argument("--no-build", action="store_true", help="take the functions built before")
    arguments.add_argument("--keep", action="store_true", help="keep the working directory with the logs")
    options = arguments.parse_args()

    checks = Checks()
    if not options.no_build:
        with checks.step("the functions build", vital=True):
            build()

    directory = pathlib.Path(tempfile.mkdtemp(prefix="tatami-deploy-"))
    cloud = Cloud(directory)

    def out_of_time(*_):
        raise OutOfTime

    signal.signal(signal.SIGALRM, out_of_time)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.alarm(TEST_SECONDS)
    try:
        with feeds() as feeds_url:
            run(checks, cloud, feeds_url)
        signal.alarm(0)
        if checks.failed and cloud.process:
            cloud.function_logs(40)
            print("--- the end of the emulator's log")
            print("\n".join(cloud.log.read_text(errors="replace").splitlines()[-60:]), flush=True)
    finally:
        signal.alarm(0)
        cloud.stop()
        if options.keep:
            print(f"kept: {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)
    print(f"{checks.passed} passed, {checks.failed} failed", flush=True)
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())

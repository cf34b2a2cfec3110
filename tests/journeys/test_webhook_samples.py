"""The samples of docs/webhooks.md that verify: each program gets the same good, old, forged and malformed deliveries."""

import base64
import hashlib
import hmac
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from journeys.written_commands import ROOT, Block, blocks

SECRET = "whsec_" + base64.b64encode(b"the key of an endpoint, 32 bytes").decode()
OLD_SECRET = "whsec_" + base64.b64encode(b"the key that was there before it").decode()
BODY = '{"type":"event.created","timestamp":"2026-03-02T09:00:00Z","data":{"title":"Caf\\u00e9 é / \\/ 1.0"}}'.encode()
ID = "0199f3a2-6b1e-7c31-9d0a-5f2b8c7e4a10"

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
needs_openssl = pytest.mark.skipif(
    not (shutil.which("bash") and shutil.which("openssl")), reason="the sample for a shell needs bash and openssl"
)


TRIED = {"python", "js", "bash", "java", "go", "php", "ruby", "perl"}


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not on this machine")


class Delivery(NamedTuple):
    """What arrives, and whether it is to be believed."""

    body: bytes
    headers: dict[str, str]
    is_genuine: bool


def signature(body: bytes, stamp: int | str, secret: str = SECRET, identity: str = ID) -> str:
    """By the specification, and with none of the code under test."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{identity}.{stamp}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(digest).decode()


def headers(stamp: int | str, value: str, identity: str = ID) -> dict[str, str]:
    return {"webhook-id": identity, "webhook-timestamp": str(stamp), "webhook-signature": value}


def corpus() -> Iterator[tuple[str, Delivery]]:
    now = int(time.time())
    good = signature(BODY, now)
    both = f"{signature(BODY, now, OLD_SECRET)} {good}"
    yield "good", Delivery(BODY, headers(now, good), True)
    yield "rotated", Delivery(BODY, headers(now, both), True)
    yield "rotated, the new one first", Delivery(BODY, headers(now, " ".join(reversed(both.split()))), True)
    yield "another version first", Delivery(BODY, headers(now, f"v1a,AAAA {good}"), True)
    yield "stale", Delivery(BODY, headers(now - 600, signature(BODY, now - 600)), False)
    yield "future", Delivery(BODY, headers(now + 600, signature(BODY, now + 600)), False)
    yield "tampered", Delivery(BODY.replace(b"created", b"deleted"), headers(now, good), False)
    yield "re-serialised", Delivery(json.dumps(json.loads(BODY)).encode(), headers(now, good), False)
    yield "another id", Delivery(BODY, headers(now, good, "another"), False)
    yield "another time", Delivery(BODY, headers(now + 1, good), False)
    yield "another secret", Delivery(BODY, headers(now, signature(BODY, now, OLD_SECRET)), False)
    yield "another version", Delivery(BODY, headers(now, good.replace("v1,", "v1a,")), False)
    for malformed in (
        "",
        "v1",
        "v1,",
        "v1,%%%",
        good.removeprefix("v1,"),
        "x" * 5000,
        "v1,é",
        " ".join(["v1,AAAA"] * 1000),
    ):
        yield f"malformed {malformed[:8]!r} {len(malformed)}", Delivery(BODY, headers(now, malformed), False)
    for strange in ("", "now", "1e9", "-1", "9" * 40, f"0{now}", f"{now}.5"):
        yield f"time {strange[:8]!r}", Delivery(BODY, headers(strange, signature(BODY, strange)), False)


Corpus = dict[str, Delivery]
"""Made for the moment at which a sample reads it: five minutes later all of it would be stale."""

Run = Callable[[Path, Corpus], list[bool]]


def sample(language: str, having: str) -> Block:
    (found,) = (block for block in blocks("docs/webhooks.md") if block.language == language and having in block.text)
    return found


def run_all(command: list[str], program: Path, corpus: Corpus) -> list[bool]:
    """What a program says of the corpus: a line of JSON in for each delivery, a line out."""
    given = "".join(
        json.dumps({"secret": SECRET, "body": base64.b64encode(body).decode(), "headers": fields}) + "\n"
        for body, fields, _ in corpus.values()
    )
    done = subprocess.run([*command, program], input=given, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(answer is None or answer == json.loads(BODY) for answer in answers)
    return [answer is not None for answer in answers]


PYTHON = """
import base64, json, sys
for line in sys.stdin:
    given = json.loads(line)
    print(json.dumps(read_message(given["secret"], base64.b64decode(given["body"]), given["headers"])))
"""
NODE = """
import { createInterface } from "node:readline";
for await (const line of createInterface({ input: process.stdin })) {
  const { secret, body, headers } = JSON.parse(line);
  console.log(JSON.stringify(readMessage(secret, Buffer.from(body, "base64"), headers)));
}
"""
SHELL = """
set -eu -o pipefail
if verify_webhook "$1" "$2" "$3" "$4"; then echo genuine; else echo refused; fi
"""


def in_python(library: str) -> Run:
    def run(folder: Path, corpus: Corpus) -> list[bool]:
        program = folder / "sample.py"
        program.write_text(sample("python", f"from {library}").text + PYTHON)
        return run_all([sys.executable], program, corpus)

    return run


def in_node(folder: Path, corpus: Corpus) -> list[bool]:
    program = folder / "sample.mjs"
    program.write_text(sample("js", "readMessage").text + NODE)
    return run_all(["node"], program, corpus)


def in_a_shell(folder: Path, corpus: Corpus) -> list[bool]:
    program = folder / "sample.sh"
    program.write_text(sample("bash", "verify_webhook() {").text + SHELL)

    def believes(delivery: Delivery) -> bool:
        fields = [delivery.headers[f"webhook-{name}"] for name in ("id", "timestamp", "signature")]
        done = subprocess.run(
            ["bash", program, SECRET, *fields], input=delivery.body, capture_output=True, check=False, timeout=60
        )
        assert done.stdout in {b"genuine\n", b"refused\n"}, done.stderr
        return done.stdout == b"genuine\n"

    return [believes(delivery) for delivery in corpus.values()]


JAVA = """
class Main {
  public static void main(String[] arguments) throws Exception {
    var decoder = java.util.Base64.getDecoder();
    for (String line : new String(System.in.readAllBytes()).split("\\n")) {
      byte[][] given = java.util.Arrays.stream(line.split(",", -1)).map(decoder::decode).toArray(byte[][]::new);
      String[] texts = java.util.Arrays.stream(given).map(each -> new String(each, UTF_8)).toArray(String[]::new);
      System.out.println(Webhooks.isGenuine(texts[0], given[1], texts[2], texts[3], texts[4]) ? 1 : 0);
    }
  }
}
"""
GO = """
package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"os"
	"strings"

	"receiver/webhooks"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		given := strings.Split(lines.Text(), ",")
		for place, each := range given {
			decoded, _ := base64.StdEncoding.DecodeString(each)
			given[place] = string(decoded)
		}
		if webhooks.IsGenuine(given[0], []byte(given[1]), given[2], given[3], given[4]) {
			fmt.Println(1)
		} else {
			fmt.Println(0)
		}
	}
}
"""
PHP = """
foreach (file('php://stdin', FILE_IGNORE_NEW_LINES) as $line) {
    echo is_genuine(...array_map('base64_decode', explode(',', $line))) ? 1 : 0, "\\n";
}
"""
RUBY = """
$stdin.each_line { |line| puts genuine?(*line.chomp.split(",", -1).map { |each| each.unpack1("m") }) ? 1 : 0 }
"""
PERL = """
while (<STDIN>) { chomp; print is_genuine(map { decode_base64($_) } split /,/, $_, -1), "\\n" }
"""


def judged_by(command: list[str], folder: Path, corpus: Corpus) -> list[bool]:
    """What one process says of the whole corpus: in each line five values in base64, a 1 or a 0 out."""
    given = ""
    for body, fields, _ in corpus.values():
        values = [
            SECRET.encode(),
            body,
            *(fields[f"webhook-{name}"].encode() for name in ("id", "timestamp", "signature")),
        ]
        given += ",".join(base64.b64encode(value).decode() for value in values) + "\n"
    environment = os.environ | {"GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOTOOLCHAIN": "local", "GO111MODULE": "on"}
    done = subprocess.run(
        command, input=given, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) <= {"0", "1"}, done.stdout
    return [said == "1" for said in done.stdout.split()]


def in_java(folder: Path, corpus: Corpus) -> list[bool]:
    # A file that is run as it stands begins with the class that has `main`.
    program = sample("java", "isGenuine").text.replace("final class", f"{JAVA}final class", 1)
    (folder / "Main.java").write_text(program)
    return judged_by(["java", "-XX:TieredStopAtLevel=1", "Main.java"], folder, corpus)


def in_go(folder: Path, corpus: Corpus) -> list[bool]:
    (folder / "go.mod").write_text("module receiver\n\ngo 1.19\n")
    (folder / "main.go").write_text(GO)
    (folder / "webhooks").mkdir()
    (folder / "webhooks" / "webhooks.go").write_text(sample("go", "IsGenuine").text)
    return judged_by(["go", "run", "."], folder, corpus)


def by(command: str, language: str, rest: str) -> Run:
    """In a language whose programs need not be more than a file."""

    def run(folder: Path, corpus: Corpus) -> list[bool]:
        (folder / "sample").write_text(sample(language, "enuine").text + rest)
        return judged_by([command, "sample"], folder, corpus)

    return run


def test_every_language_of_the_samples_is_tried() -> None:
    verifying = (ROOT / "docs/webhooks.md").read_text().partition("## Verifying")[2].partition("\n## ")[0]
    assert set(re.findall(r"^```([a-z]+)$", verifying, re.MULTILINE)) - {"text"} == TRIED


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(in_python("standardwebhooks"), id="python-standardwebhooks"),
        pytest.param(in_python("svix"), id="python-svix"),
        pytest.param(in_node, id="node", marks=needs_node),
        pytest.param(in_a_shell, id="shell", marks=needs_openssl),
        pytest.param(in_java, id="java", marks=needs("java")),
        pytest.param(in_go, id="go", marks=needs("go")),
        pytest.param(by("php", "php", PHP), id="php", marks=needs("php")),
        pytest.param(by("ruby", "ruby", RUBY), id="ruby", marks=needs("ruby")),
        pytest.param(by("perl", "perl", PERL), id="perl", marks=needs("perl")),
    ],
)
def test_a_sample_believes_what_is_genuine_and_nothing_else(run: Run, tmp_path: Path) -> None:
    deliveries = dict(corpus())
    said = dict(zip(deliveries, run(tmp_path, deliveries), strict=True))
    wrong = [name for name, delivery in deliveries.items() if said[name] is not delivery.is_genuine]
    assert wrong == []

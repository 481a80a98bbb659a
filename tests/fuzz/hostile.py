"""Our own corpus of what breaks servers, for what a schema leads no generator to: tried on every operation
that the OpenAPI document of a server has. None may answer 5xx, and every refusal has the one form.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

import httpx

from app.base.http import EVENTS

Json = dict[str, Any]

WORDS: Sequence[str] = (
    "", " ", "\t\n", "0", "-1", "null", "true", "NaN", "Infinity", "1e400", "-1e-400", "9" * 400,
    str(2**53), str(2**63), str(-(2**63) - 1), "0x10", "1_000", "١٢٣", "½",
    "\x00", "a\x00b", "\x1b[31m", "\x7f", "\ufeffa", "\ufffd", "\ufffe", "\u2028", "\u202eabc",
    "a\u200d\u200bb",
    "e\u0301" * 50, "𝕏" * 250, "👩‍👩‍👧‍👦", "ß" * 100, "İ", "ﷺ" * 30, "x" * 501, "x" * 2001, "x" * 20_001,
    "'", "''", '"', "' OR 1=1 --", '"; DROP TABLE claims; --', "\\", "\\u0000", "%", "_", "%%%s%n",
    "{{7*7}}", "${x}",
    '"unclosed', "a AND", "NEAR(a b)", "a*b*", "-", "-a", "--a", '"a" "b', "^a", "a:b", "(((", "* OR *",
    "a" + " -a" * 80,
    "<script>alert(1)</script>", "../../etc/passwd", "file:///etc/passwd", "https://[::1",
    "https://a:b@c:99999/",
    "https://\u202e.example", "http://xn--", "javascript:alert(1)", "https://example.org/" + "%ff" * 600,
    "0000-00-00", "0000-01-01", "0001-01-01", "9999-12-31", "10000-01-01", "-0001-01-01", "2023-02-30",
    "2023-W12-3",
    "Y-17E7", "y170000002", "1985-04-12/..", "../..", "2022/2021", "199X-0X",
    "2004-06-(01)~/2004-06-(20)~", "24-24-24",
    "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999-23:59", "2023-03-22T10:00:00",
    "2023-03-22T25:00:00Z",
    "2023-03-22T10:00:00.123456789Z", "2023-06-30T23:59:60Z", "1e3 bcm", "90 bcm bcm", "-0 USD",
    "1e9999 USD", "10 furlong",
    "clm_01m87gne0veherp8apm1m6sqm3", "ent_7zzzzzzzzzzzzzzzzzzzzzzzzz", "clm_zzzzzzzzzzzzzzzzzzzzzzzzzz",
    "CLM_", "_",
    "a" + "\u0301" * 31, "\u0316\u0301" * 3000, "\u0f73" * 1000, "\uff9e" * 400, "Y1E5000000",
    "2022/Y9E99999999",
    "[" + "2022," * 18 + "2022]", "?" * 100, "9" * 5000, "ж" * 5000, "a-" * 5000, "a." * 5000, "word " * 3000,
    "1,000" * 800, '"' * 3000, "(" * 3000, "普" * 3000, "x" * 30_000, "http://" + "a." * 900,
    "https://x/" + "../" * 600,
)  # fmt: skip

# What stands in a body where a value would; most are JSON that a lenient reader takes.
VALUES: Sequence[bytes] = (
    *(json.dumps(word).encode() for word in WORDS),
    b"null", b"true", b"0", b"-0.0", b"-1", b"1.5", b"1e3", b"60.0", b"1e400", b"-1e400", b"1e-400",
    b"NaN", b"-Infinity",
    b"1e99999999999999999999", b"9" * 61, b"9" * 5000, str(2**53).encode(), str(2**63).encode(),
    str(-(2**63)).encode(),
    b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\u0000"', b'"\xff"', b'"\xed\xa0\x80"', b"'a'", b"[]",
    b"[null]", b"[[[]]]", b"{}",
    b'{"a": 1, "a": 2}', b'{"\\u0000": 1}', b'{"__proto__": {}}', b"[" * 70 + b"]" * 70, b"[" * 20_000,
    b'{"a":' * 500,
    b'["vladimir-putin", "vladimir-putin"]', b"[" + b'"x",' * 2000 + b'"x"]', b"/**/1", b"01", b"+1",
    b".5", b"undefined",
    *(json.dumps({f"field{n}": n for n in range(members)}).encode() for members in (190, 250, 8000)),
    b"[" + b'{"a":{"b":[]}},' * 9000 + b"{}]", b"[" + b"[]," * 500_000 + b"[]]",
    b"[" + b"null," * 500_000 + b"null]",
    b'"' + b"\\u0316\\u0301" * 50_000 + b'"', b'"' + b"x" * 19_999 + b'"',
    b'"' + "é".encode() * 19_999 + b'"',
    b'"' + b"a " * 9_999 + b'"', b'"' + b"1." * 9_999 + b'"', b'{"' + b"x" * 100_000 + b'": 1}',
    b"[" + b'"nobody-of-that-name",' * 49 + b'"x"]',
)  # fmt: skip

BODIES: Sequence[bytes] = (
    b"", b" ", b"null", b"[]", b"0", b'""', b"{", b"{}{}", b"{} trailing", b"\xef\xbb\xbf{}",
    b"\xff\xfe{\x00}\x00", b"\x00",
    b"a=b&c=d", b"<a/>", b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--x--",
    b"[" * 100_000, b"\r\n" * 3000,
    b'{"claim": {"text": "a", "mode": "paraphrase", "speakers": ["x"]}}\n{"claim"',
    b"text,mode,speaker\n\"a", b'"' * 999,
    json.dumps({f"field{n}": n for n in range(8000)}).encode(), b'{"a":1' + b',"a":1' * 199 + b"}",
    b"{" + b",".join(b'"%d":{}' % n for n in range(60_000)) + b"}",
    b'{"text":"' + b"\\u0301" * 300_000 + b'"}',
    b",".join(b"column%d" % n for n in range(9000)) + b"\n1", b"text,mode,speaker\n" + b"a,b,c\n" * 3000,
    b'{"claim":{"text":"a"}}\n' * 3000, b"<html><script type='application/ld+json'>" * 3000, b"\r" * 100_000,
)  # fmt: skip

IN_PATHS: Sequence[bytes] = (
    b"%00", b"a%00b", b"%ff", b"%c0%af", b"%ed%a0%80", b"%", b"%zz", b"%2", b"%252e%252e",
    b"..%2f..%2fetc%2fpasswd", b"%2e%2e",
    b"..", b".", b"%0d%0aX-Evil:%201", b"%e2%80%ae", b"%f0%9f%98%80", b"%20", b"%09", b"a;b=c", b"a%3fb",
    b"a%23b", b"*",
    b"%5c..%5c", b"x" * 5000, b"%41" * 3000, b"-1", b"null", b"%7b%7d",
    b"clm_01m87gne0veherp8apm1m6sqm3%00", b"%c3%a9",
)  # fmt: skip

HEADERS: Sequence[tuple[str, bytes]] = (
    *(("Accept", value) for value in (b"", b"*", b"*/*;q=0", b"text/html", b";;;,,,",
    b"application/json;q=x", b"\xff", b"a/" * 3000)),
    *(("Content-Type", value) for value in (
        b"", b"text/plain", b"application/json; charset=utf-16", b"application/json;;;",
        b"application/jsonx", b"\xe9/\xe9",
        b"multipart/form-data", b"application/x-ndjson", b"text/csv; header=absent",
        b"application/merge-patch+json",
    )),
    *(("If-Match", value) for value in (
        b"", b"*", b"v3", b'"v3', b'"v0"', b'"v99999999999999999999"', b'W/"v1"', b'"v-1"', b'"v1", "v2"',
        b"\xff", b'"' * 999,
    )),
    *(("If-None-Match", value) for value in (b"", b"*", b'W/"x"', b'"' * 999, b"\xff,\xff", b'"a",' * 900)),
    *(("Range", value) for value in (
        b"", b"bytes", b"bytes=", b"bytes=-", b"bytes=0-", b"bytes=-0", b"bytes=5-1",
        b"bytes=999999999999-", b"bytes=a-b",
        b"bytes=0-0,2-2", b"bytes=-99999999999999999999", b"lines=0-1", b"bytes=0-" + b"9" * 400,
        b"bytes=\xd9\xa1-",
    )),
    *(("If-Range", value) for value in (b"", b'"x"', b"Wed, 21 Oct 2015 07:28:00 GMT", b"\xff")),
    *(("Idempotency-Key", value) for value in (b"", b"\xff", b"x" * 256, b"\xe2\x80\x8b")),
    *(("Authorization", value) for value in (b"", b"Bearer", b"Basic YTpi", b"Bearer \xff",
    b"Bearer " + b"x" * 5000)),
    *(("X-Request-Id", value) for value in (b"", b"\xff", b"<script>", b"x" * 5000)),
    *(("Accept-Encoding", value) for value in (b"", b"*;q=0", b"gzip;q=x", b"br;q=1.5, \xff",
    b"identity;q=0")),
    ("Origin", b"null"), ("Origin", b"https://\xff"), ("Cookie", b"a=b;" * 900), ("Content-Encoding",
    b"gzip"),
    ("Expect", b"100-continue"), ("X-HTTP-Method-Override", b"DELETE"), ("Forwarded", b"for=\"[::1\";;"),
)  # fmt: skip

QUERIES: Sequence[bytes] = (
    b"&&&", b"=", b"limit", b"limit=1&limit=2", b"%00=1", b"limit=%00", b"limit=%ff", b"%ff=%ff",
    b"a[]=1&a[b]=2", b"limit=1;order=asc",
    b"cursor=" + b"A" * 900, b"cursor=%2B%2F%3D", b"?" * 50, b"limit=1#x",
    b"&".join(b"kind=%d" % n for n in range(500)), b"x" * 20_000,
    b"&".join(b"field%d=1" % n for n in range(5000)), b"a=" + b"%CC%81" * 9000, b"%CC%81" * 9000 + b"=1",
    b"said_from=Y1E5000000", b"period_from=2022/Y1E5000000", b"cursor=" + b"A" * 60_000, b"=&" * 25_000,
)  # fmt: skip

MARK = "the place of a value"
METHODS = ("HEAD", "OPTIONS", "PUT", "TRACE", "QUERY", "get")


@dataclass(frozen=True)
class Attempt:
    """A request of the corpus."""

    method: str
    target: bytes
    headers: tuple[tuple[str, bytes], ...] = ()
    content: bytes | None = None
    operation: str = ""
    """Of the document, whatever its method became."""

    def fault(self, answer: httpx.Response) -> str | None:
        """What is wrong with the answer, if anything is."""
        said = f"{self} → {answer.status_code} {answer.text[:300]}"
        if answer.status_code >= 500:
            return said
        if answer.status_code >= 400 and not _is_a_problem(self.method, answer):
            return said
        return None

    def __str__(self) -> str:
        return f"{self.method} {self.target[:200]!r} {self.headers!r:.300} {self.content!r:.300}"


def _is_a_problem(method: str, answer: httpx.Response) -> bool:
    if answer.headers.get("content-type") != "application/problem+json":
        return False
    return method == "HEAD" or {"type", "title", "status", "detail", "request_id"} <= answer.json().keys()


@dataclass
class Corpus:
    """The attempts on one server, whose document is asked for what there is to attack."""

    client: httpx.Client
    document: Json = field(init=False)

    def __post_init__(self) -> None:
        self.document = self.client.get("/openapi.json").json()

    def attempts(self) -> Iterator[Attempt]:
        """Every operation with everything in the corpus, each thing at one of its places after the other."""
        for path, methods in self.document["paths"].items():
            for method, operation in methods.items():
                at = self._address(path) or re.sub(r"{\w+}", "nothing-here", path)
                for attempt in self._of(path, operation, Attempt(method.upper(), at.encode())):
                    yield replace(attempt, operation=f"{method.upper()} {path}")

    def _of(self, path: str, operation: Json, usual: Attempt) -> Iterator[Attempt]:
        body = self._example(operation)
        content = json.dumps(body).encode() if body is not None else None
        kind = (("Content-Type", b"application/json"),) if content else ()
        match = (("If-Match", b"*"),)
        usual = replace(usual, headers=(*match, *kind), content=content)
        yield from _in_query(usual, operation)
        yield from _in_path(usual, path)
        for name, value in HEADERS:
            others = tuple(pair for pair in usual.headers if pair[0] != name)
            yield replace(usual, headers=(*others, (name, value)))
        if "requestBody" in operation:
            media = list(operation["requestBody"]["content"])
            for n, raw in enumerate(BODIES):
                kind = (("Content-Type", media[n % len(media)].encode()),)
                yield replace(usual, headers=(*match, *kind), content=raw)
        if body is not None:
            yield from _in_body(usual, body, self._fields(operation))
        for method in METHODS:
            yield replace(usual, method=method)

    def _example(self, operation: Json) -> Any:
        schema = self._schema(operation)
        return schema["examples"][0] if schema else None

    def _fields(self, operation: Json) -> list[str]:
        return list((self._schema(operation) or {}).get("properties", {}))

    def _schema(self, operation: Json) -> Json | None:
        content = operation.get("requestBody", {}).get("content", {})
        schema = content.get("application/json", {}).get("schema")
        if schema is None:
            return None
        name = next(each["$ref"] for each in schema.get("anyOf", [schema]) if "$ref" in each)
        found: Json = self.document["components"]["schemas"][name.rpartition("/")[2]]
        return found

    def _address(self, path: str) -> str | None:
        """The path with ids of records that are there, the newest of each list; None if there are none."""
        above, brace, rest = path.partition("/{")
        if not brace:
            return path
        listed = self.client.get(above, params={"limit": 1}).json().get("data")
        return self._address(f"{above}/{listed[0]['id']}{rest.partition('}')[2]}") if listed else None

    def send(self, attempt: Attempt) -> httpx.Response:
        """The answer to an attempt, whose target and headers are sent as they are."""
        headers = [(name.encode(), value) for name, value in attempt.headers]
        request = self.client.build_request(attempt.method, "/", headers=headers, content=attempt.content)
        request.extensions = {**request.extensions, "target": attempt.target}
        answer = self.client.send(request, stream=True)
        if answer.headers.get("content-type", "").startswith(EVENTS):
            answer.close()  # it has no end
            return httpx.Response(answer.status_code, headers=answer.headers)
        answer.read()
        return answer


def _in_query(usual: Attempt, operation: Json) -> Iterator[Attempt]:
    names = [each["name"] for each in operation["parameters"] if each["in"] == "query"]
    for n, word in enumerate(WORDS if names else ()):
        asked = urlencode({names[n % len(names)]: word}).encode()
        yield replace(usual, target=usual.target + b"?" + asked)
    for asked in QUERIES:
        yield replace(usual, target=usual.target + b"?" + asked)


def _in_path(usual: Attempt, path: str) -> Iterator[Attempt]:
    if "{" not in path:
        return
    before, _, after = path.rpartition("{")
    above = usual.target.split(b"/")[: before.count("/")]
    for junk in IN_PATHS:
        yield replace(usual, target=b"/".join([*above, junk]) + after.partition("}")[2].encode())


def _in_body(usual: Attempt, body: Any, fields: Sequence[str]) -> Iterator[Attempt]:
    places = [*_leaves(body), *((name,) for name in fields if name not in body)]
    for n, value in enumerate(VALUES):
        marked = json.dumps(_put(body, places[n % len(places)], MARK)).encode()
        yield replace(usual, content=marked.replace(json.dumps(MARK).encode(), value))


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, part in parts:
        yield (*path, step)
        yield from _leaves(part, (*path, step))


def _put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    step, *rest = path
    if isinstance(value, list):
        return [_put(part, tuple(rest), new) if n == step else part for n, part in enumerate(value)]
    return {**value, step: _put(value.get(step), tuple(rest), new)}

"""The blocks for nginx and Caddy in docs/scaling.md, run by them before two processes of the API."""

import datetime
import ipaddress
import re
import shutil
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from app.base import schema
from tests.newsroom import SECRET, Bases
from tests.postgres import free_port
from tests.served import Served, environment, served

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="each address of 127.0.0.0/8 is this machine's"
)

HOST = "record.example"
"""A reserved name (RFC 2606), as clients ask for it."""

QUOTA = 6
PROCESSES = ("127.0.0.2", "127.0.0.3")
FORGED = {
    "X-Real-IP": "203.0.113.1",
    "Forwarded": "for=203.0.113.1;proto=http;host=forged.example",
    "X-Forwarded-Host": "forged.example",
    "X-Forwarded-Port": "80",
    "X-Forwarded-Proto": "http",
}


def blocks(language: str) -> list[str]:
    text = (schema.ROOT / "docs" / "scaling.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


# --- what is around a proxy --------------------------------------------------------------------


class Names(socketserver.BaseRequestHandler):
    """A name server that gives the addresses of its server for any name."""

    def handle(self) -> None:
        query, connection = self.request
        end = query.index(b"\0", 12) + 5
        is_a = query[end - 4 : end - 2] == b"\0\1"
        answers = self.server.addresses if is_a else ()  # type: ignore[attr-defined]
        head = query[:2] + b"\x81\x80\0\1" + len(answers).to_bytes(2) + b"\0\0\0\0"
        records = (b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + ipaddress.ip_address(each).packed for each in answers)
        connection.sendto(head + query[12:end] + b"".join(records), self.client_address)


@contextmanager
def name_server() -> Iterator[socketserver.ThreadingUDPServer]:
    with socketserver.ThreadingUDPServer(("127.0.0.1", 0), Names) as server:
        server.addresses = ()  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def certificate(directory: Path) -> None:
    """Write a certificate that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = serialization.Encoding.PEM
    (directory / "record.pem").write_bytes(made.public_bytes(form))
    (directory / "record.key").write_bytes(
        key.private_bytes(form, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def placed(block: str, port: int, resolver: int) -> str:
    """Return a block of the documentation with the addresses and ports that are free here."""
    block = block.replace("127.0.0.1:8001", f"{PROCESSES[0]}:{port}")
    block = block.replace("127.0.0.1:8002", f"{PROCESSES[1]}:{port}").replace("api:8000", f"api.test:{port}")
    block = block.replace("a api 8000", f"a api.test {port}").replace("127.0.0.11", f"127.0.0.1:{resolver}")
    return block.replace("refresh 5s", f"refresh 1s\nresolvers udp/127.0.0.1:{resolver}").replace(
        "valid=5s", "valid=1s"
    )


def nginx(block: str, listens: int, directory: Path) -> list[str]:
    block = block.replace("listen 443", f"listen 127.0.0.1:{listens}").replace("/etc/nginx", str(directory))
    paths = "".join(
        f"{name}_temp_path {directory}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (directory / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {directory}/pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; {paths}\n{block} }}"
    )
    return ["nginx", "-p", str(directory), "-c", str(directory / "nginx.conf")]


def caddy(block: str, listens: int, directory: Path) -> list[str]:
    # Its own certificates, or it would ask an authority for one; and nothing outside of the directory.
    block = block.replace(HOST, f"{HOST}:{listens}")
    (directory / "Caddyfile").write_text(
        "{\nadmin off\nlocal_certs\nskip_install_trust\nauto_https disable_redirects\n"
        f"storage file_system {directory}/caddy\n}}\n{block}"
    )
    return ["caddy", "run", "--config", str(directory / "Caddyfile"), "--adapter", "caddyfile"]


@contextmanager
def proxy(command: list[str], listens: int, log: Path) -> Iterator[None]:
    """A proxy, once it listens."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdout=file,
            stderr=file,
            cwd=log.parent,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(log.parent)},
        )
    try:
        for _ in range(600):
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", listens)) == 0:
                    break
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def reader(address: str, listens: int) -> Iterator[httpx.Client]:
    """A client that comes from an address and asks for the public name."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    transport = httpx.HTTPTransport(local_address=address, verify=trusting)

    def named(request: httpx.Request) -> None:
        request.extensions = {**request.extensions, "sni_hostname": HOST}

    with httpx.Client(
        base_url=f"https://127.0.0.1:{listens}",
        transport=transport,
        headers={"Host": f"{HOST}:{listens}"},
        event_hooks={"request": [named]},
        timeout=30,
    ) as client:
        yield client


# --- the test ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def processes(
    postgres_bases: Bases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[int, list[Served]]]:
    """Two processes of the API on one port of two addresses, and that port."""
    directory, port = tmp_path_factory.mktemp("processes"), free_port()
    with postgres_bases.fresh(seeded=True) as url, ExitStack() as stack:
        env = environment(
            url, RECORD_SECRET=SECRET, RECORD_REQUESTS_PER_ADDRESS=str(QUOTA), RECORD_LOG_ADDRESSES="true"
        )
        yield (
            port,
            [
                stack.enter_context(served(env, directory / address, "--host", address, "--port", str(port)))
                for address in PROCESSES
            ],
        )


CASES = [("nginx", 0), ("nginx", 1), ("caddy", 0), ("caddy", 1)]


@pytest.mark.parametrize(("program", "number"), CASES)
def test_the_documented_proxy(
    processes: tuple[int, list[Served]], tmp_path: Path, program: str, number: int
) -> None:
    """Each case has clients at addresses of its own, since the processes remember those of the others."""
    if shutil.which(program, path="/usr/sbin:/usr/bin") is None:
        pytest.skip(f"{program} is not installed: apt-get install {program}")
    port, servers = processes
    block = blocks("nginx" if program == "nginx" else "caddyfile")[number]
    listens, near = free_port(), f"127.0.{CASES.index((program, number)) + 1}"
    certificate(tmp_path)
    with name_server() as names:
        names.addresses = ("127.0.0.9",)  # type: ignore[attr-defined]  # nobody is there any more
        text = placed(block, port, names.server_address[1])
        command = (nginx if program == "nginx" else caddy)(text, listens, tmp_path)
        before = [server.log.stat().st_size for server in servers]
        with proxy(command, listens, tmp_path / "log"):
            with reader(f"{near}.1", listens) as client:
                if "api.test" in text:
                    assert client.get("/healthz").status_code in (502, 503)
                    names.addresses = PROCESSES  # type: ignore[attr-defined]
                wait_until_good(client)
            check_links(f"{near}.2", listens)
            check_clients(f"{near}.3", f"{near}.4", listens)
    for server, size in zip(servers, before, strict=True):
        log = server.log.read_bytes()[size:].decode()
        assert f"{near}.3" in log, "both processes are asked"
        assert "203.0.113" not in log


def wait_until_good(client: httpx.Client) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if client.get("/healthz").status_code == 200:
            return
        time.sleep(0.1)
    raise AssertionError("the addresses of the API are not looked up again")


def check_clients(one: str, another: str, listens: int) -> None:
    """Each address has its quota, at each process, whatever it says of itself."""
    with reader(one, listens) as forger, reader(another, listens) as other:
        answers = [
            forger.get("/v1/stats?by=status", headers={**FORGED, "X-Forwarded-For": f"203.0.113.{number}"})
            for number in range(4 * QUOTA)
        ]
        statuses = [answer.status_code for answer in answers]
        assert 429 in statuses, "a forged address has a quota of its own"
        assert statuses.count(200) >= QUOTA
        assert set(statuses) == {200, 429}
        assert other.get("/v1/stats?by=status").status_code == 200, "all clients are one"


def check_links(address: str, listens: int) -> None:
    """Every address that an answer names is https, and of the host and port that the client asked for."""
    public = f"https://{HOST}:{listens}/"
    with reader(address, listens) as client:
        page = client.get("/v1/claims?limit=1", headers=FORGED)
        claim = page.json()["data"][0]["id"]
        assert client.build_request("GET", page.links["next"]["url"]).url.path == "/v1/claims"
        marked = client.get(f"/v1/claims/{claim}.jsonld", headers=FORGED)
        home = client.get("/", headers=FORGED)
    assert marked.status_code == 200
    named = re.findall(r'https?://[^"\s<>]*?/v1/[^"\s<>]*', marked.text)
    assert named
    assert all(each.startswith(public) for each in named), named
    for place in (page.links["next"]["url"], home.headers["location"]):
        assert place.startswith((public, "/")), place
        assert not place.startswith("//")

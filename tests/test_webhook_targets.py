"""Where webhooks lead: to public addresses and allowed networks, to none that a name was changed to since."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from app.base.times import now
from app.hooks import sending, targets
from app.hooks.targets import is_public
from tests.newsroom import Newsroom, ok, problem
from tests.receiver import Receiver, receiving
from tests.test_webhooks import HOOKS, allow, deliver, hooked, last, patched, seen

PUBLIC = "1.1.1.1 93.184.215.14 2606:4700::1111 ::ffff:8.8.8.8 64:ff9b::808:808".split()
NOT_PUBLIC = """0.0.0.0 10.0.0.1 100.64.0.1 127.0.0.1 169.254.169.254 172.16.0.1 192.0.0.1 192.0.0.8 192.0.2.1
    192.88.99.1 192.168.0.1 198.18.0.1 203.0.113.7 224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255 :: ::1
    ::7f00:1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 100::1 2001::1
    2001:db8::1 2002:7f00:1:: 2002:a00:1:: 3fff::1 fc00::1 fd00:ec2::254 fe80::1 fec0::1 ff02::1""".split()

REFUSED = {
    "http://desk.invalid/": "is not https",
    "http://1.1.1.1/": "is not https",
    "ftp://desk.invalid/": "is not an http or https URL",
    "https://": "is not an http or https URL",
    "https://user@desk.invalid/": "has a user in it",
    "https://user:secret@desk.invalid/": "has a user in it",
    "https://desk.invalid/#part": "has a fragment, which is sent to nobody",
    "https://desk.invalid:99999/": "that",
    "https://localhost/": "leads to an address that is not public",
    "https://127.1/": "leads to an address that is not public",
    "https://2130706433/": "leads to an address that is not public",
    "https://0x7f000001/": "leads to an address that is not public",
    "https://0177.0.0.1/": "is not an address that can be read",
    "https://169.254.169.254/latest/meta-data/": "leads to an address that is not public",
    "https://[::1]/": "leads to an address that is not public",
    "https://[::ffff:169.254.169.254]/": "leads to an address that is not public",
    "https://[fe80::1%25eth0]/": "http",
}


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_internet_at_large_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_every_other_address_is_not(address: str) -> None:
    assert not is_public(ip_address(address))


def test_what_leads_inward_is_refused_at_the_door(room: Newsroom) -> None:
    hook = hooked(room, "https://desk.invalid/hook")
    path = f"{HOOKS}/{hook['id']}"
    with room.unchanged():
        for url, says in REFUSED.items():
            for refused in (
                room.admin.post(HOOKS, json={"url": url}),
                room.admin.patch(path, headers={"If-Match": "*"}, json={"url": url}),
            ):
                [fault] = problem(refused, 422, "invalid")["errors"]
                assert fault["pointer"] == "/url", url
                assert says in fault["detail"], url


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def lead(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Has every name lead to these addresses."""

    async def looked_up(_host: str, _port: int) -> list[str]:
        return list(addresses)

    monkeypatch.setattr(targets, "looked_up", looked_up)


def test_a_name_with_one_address_inside_is_refused(room: Newsroom, monkeypatch: pytest.MonkeyPatch) -> None:
    for addresses in (("10.0.0.1",), ("1.1.1.1", "10.0.0.1"), ("1.1.1.1", "::1")):
        lead(monkeypatch, *addresses)
        problem(room.admin.post(HOOKS, json={"url": "https://desk.invalid/"}), 422, "invalid")
    lead(monkeypatch, "1.1.1.1", "2606:4700::1111")
    assert hooked(room, "https://desk.invalid/")["enabled"]


def test_a_name_that_leads_inward_later_leads_nobody_there(
    room: Newsroom, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = receiver.url.rpartition(":")[2].partition("/")[0]
    lead(monkeypatch, "1.1.1.1")
    hook = hooked(room, f"https://desk.invalid:{port}/")
    room.entity()
    lead(monkeypatch, "127.0.0.1")
    deliver(room)
    state = seen(room, hook)["deliveries"]
    assert state["last_error"] == "not sent: leads to an address that is not public"
    assert state["delivered"] < last(room)
    told = ok(room.admin.post(f"{HOOKS}/{hook['id']}/test"))
    assert (told["delivered"], told["error"]) == (False, state["last_error"])
    assert receiver.got == []


def test_a_network_that_is_allowed_no_more_is_not_sent_to(room: Newsroom, receiver: Receiver) -> None:
    allow(room)
    hook = hooked(room, receiver.url)
    room.entity()
    allow(room, webhook_networks=["10.0.0.0/8"])
    deliver(room)
    assert seen(room, hook)["deliveries"]["last_error"] == "not sent: is not https"
    assert receiver.got == []


def test_a_proxy_of_the_environment_is_not_asked(
    room: Newsroom, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(room)
    with receiving() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        hooked(room, receiver.url, types=["entity"])
        room.entity()
        deliver(room)
        assert proxy.got == []
    assert len(receiver.got) == 1


def test_a_name_that_is_not_known_yet_may_be_known_later(
    room: Newsroom, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(room)
    port = receiver.url.rpartition(":")[2]
    hook = hooked(room, f"http://desk.invalid:{port}", types=["entity"])
    room.entity()
    deliver(room)
    assert seen(room, hook)["deliveries"]["last_error"] == "not sent: its name is not known"
    lead(monkeypatch, "127.0.0.1")
    deliver(room, now() + timedelta(minutes=1))
    assert [got.headers["host"] for got in receiver.got] == [f"desk.invalid:{port.partition('/')[0]}"]


def test_another_address_is_tried_where_one_takes_no_connection(
    room: Newsroom, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(room)
    lead(monkeypatch, "127.0.0.2", "127.0.0.1")
    hooked(room, receiver.url, types=["entity"])
    room.entity()
    deliver(room)
    assert len(receiver.got) == 1


# --- TLS ---------------------------------------------------------------------------------------


class Authority:
    """Makes certificates."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.key = generate_private_key(SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority")])
        self.certificate = self._made(self.name, self.key, x509.BasicConstraints(ca=True, path_length=None))

    def _made(
        self, name: x509.Name, key: EllipticCurvePrivateKey, extension: x509.ExtensionType
    ) -> x509.Certificate:
        begin = now() - timedelta(days=1)
        builder = x509.CertificateBuilder(self.name, name, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(begin).not_valid_after(begin + timedelta(days=30))
        return builder.add_extension(extension, critical=False).sign(self.key, SHA256())

    def server(self, name: str) -> ssl.SSLContext:
        """What a server of that name shows."""
        key, file = generate_private_key(SECP256R1()), self.directory / f"{name}.pem"
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._made(subject, key, x509.SubjectAlternativeName([x509.DNSName(name)]))
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file.write_bytes(private + made.public_bytes(Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def trust(self) -> ssl.SSLContext:
        """What a client believes that knows this authority."""
        return ssl.create_default_context(cadata=self.certificate.public_bytes(Encoding.PEM).decode())


@contextmanager
def secure(authority: Authority, name: str) -> Iterator[tuple[Receiver, str]]:
    """A receiver with a certificate for a name, and its port."""
    with receiving(tls=authority.server(name)) as receiver:
        yield receiver, receiver.url.rpartition(":")[2]


def test_the_certificate_is_looked_at_for_the_name_though_the_connection_is_to_an_address(
    room: Newsroom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setattr(sending, "trust", authority.trust)
    lead(monkeypatch, "127.0.0.1")
    allow(room)
    with (
        secure(authority, "desk.invalid") as (good, port),
        secure(authority, "other.invalid") as (bad, other),
    ):
        hook = hooked(room, f"https://desk.invalid:{other}")
        path = f"{HOOKS}/{hook['id']}/test"
        assert ok(room.admin.post(path))["error"] == "its certificate is not good: it is for another name"
        patched(room, hook, url=f"https://desk.invalid:{port}")
        assert ok(room.admin.post(path))["delivered"]
        assert (good.names, bad.names) == (["desk.invalid"], ["desk.invalid"])
        assert (len(good.got), bad.got) == (1, [])
        monkeypatch.setattr(sending, "trust", ssl.create_default_context)
        assert "certificate" in ok(room.admin.post(path))["error"]

"""TLS: what clients need to be let in, what they may speak, certificates that are renewed."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from diskkv.config import Settings
from diskkv.errors import SettingError
from diskkv.server.tls import make_context
from tests.differential import servers
from tests.differential.wire import Connection, encode

FILES = Path(__file__).parent / "certificates"
OWN = ("--tls-cert-file", str(FILES / "server.pem"), "--tls-key-file", str(FILES / "server.key"))
TRUSTED = ("--tls-ca-cert-file", str(FILES / "ca.pem"))


class Served:
    """A server with TLS, a unix socket and no other port."""

    def __init__(self, *extra: str) -> None:
        self.port = servers.free_port()
        self.server = servers.diskkv("--tls-port", str(self.port), *OWN, *TRUSTED, *extra)

    def client(self, **more: object) -> redis.Redis:
        chosen: dict[str, object] = {"ssl_ca_certs": str(FILES / "ca.pem"), "decode_responses": True} | more
        return redis.Redis(port=self.port, host="localhost", ssl=True, **chosen)  # type: ignore[arg-type]

    def certified(self, name: str = "client", **more: object) -> redis.Redis:
        return self.client(ssl_certfile=str(FILES / f"{name}.pem"), ssl_keyfile=str(FILES / f"{name}.key"), **more)


@pytest.fixture(scope="module")
def strict() -> Iterator[Served]:
    served = Served()
    with served.server:
        yield served


@pytest.fixture(scope="module")
def lenient() -> Iterator[Served]:
    served = Served("--tls-auth-clients", "optional")
    with served.server:
        yield served


def refused(client: redis.Redis) -> bool:
    try:
        client.ping()
    except (redis.ConnectionError, ConnectionResetError, ssl.SSLError):
        return True
    finally:
        client.close()
    return False


def test_who_is_not_let_in_leaves_nothing_behind(strict: Served) -> None:
    for number in range(30):
        with socket.create_connection(("127.0.0.1", strict.port), timeout=60) as client:
            client.sendall((b"PING\r\n", b"\x16\x03\x01\x00", b"")[number % 3])
            if number % 3 == 0:
                with contextlib.suppress(ConnectionResetError):
                    while client.recv(1000):
                        pass
    with contextlib.closing(Connection(strict.server.address)) as client:
        assert client.call(b"CLIENT", b"LIST")[1].count(b"\n") == 1


def test_a_client_with_a_certificate_is_served(strict: Served) -> None:
    with strict.certified() as client:
        assert client.ping()
        client.set("k", "v" * 3_000_000)
        assert len(str(client.get("k"))) == 3_000_000
        with client.pipeline(transaction=False) as pipe:
            for number in range(1000):
                pipe.set(f"k{number}", number)
            assert all(pipe.execute())
        listener = client.pubsub()
        listener.subscribe("c")
        assert client.publish("c", "m") == 1
        listener.close()


def test_who_shows_none_or_a_strangers_is_refused(strict: Served, lenient: Served) -> None:
    assert refused(strict.client())
    assert refused(strict.certified("stranger"))
    assert not refused(lenient.client())
    assert not refused(lenient.certified())
    assert refused(lenient.certified("stranger"))


def test_clear_text_is_not_answered(lenient: Served) -> None:
    with socket.create_connection(("127.0.0.1", lenient.port), timeout=30) as plain:
        plain.sendall(b"PING\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert b"PONG" not in plain.recv(100)


def test_the_shell(strict: Served) -> None:
    words = ["--tls", "--cacert", FILES / "ca.pem", "--cert", FILES / "client.pem", "--key", FILES / "client.key"]
    command = [sys.executable, "-m", "diskkv", "shell", "-h", "localhost", "-p", str(strict.port)]

    def says(*arguments: object) -> str:
        done = subprocess.run([*command, *map(str, arguments)], cwd=servers.ROOT, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout + done.stderr

    assert says(*words, "ECHO", "hello") == "hello\n"
    assert "with TLS" in says("--tls", "PING")
    assert "certificates are for --tls" in says("--cacert", "x", "PING")


def test_redis_cli(lenient: Served) -> None:
    if shutil.which("redis-cli") is None:
        pytest.skip("redis-cli is not installed")
    command = ["redis-cli", "-p", str(lenient.port), "-h", "localhost", "--tls", "--cacert", str(FILES / "ca.pem"), "ping"]
    assert subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout == "PONG\n"


def test_certificates_are_renewed_and_mistakes_refused(tmp_path: Path) -> None:
    served = Served("--tls-auth-clients", "no")
    with served.server:
        control = Connection(served.server.address)
        change = (b"CONFIG", b"SET", b"tls-cert-file")
        kind, text = control.call(*change, b"/nonesuch")
        assert (kind, b"Unable to update TLS configuration" in text) == ("-", True)
        assert not refused(served.client())
        stranger = str(FILES / "stranger").encode()
        assert control.call(*change, stranger + b".pem", b"tls-key-file", stranger + b".key") == ("+", b"OK")
        for _ in range(3):
            assert refused(served.client())
            assert not refused(served.client(ssl_cert_reqs="none"))
        other = servers.free_port()
        assert control.call(b"CONFIG", b"SET", b"tls-port", b"%d" % other) == ("+", b"OK")
        assert refused(served.client(ssl_cert_reqs="none"))
        served.port = other
        assert not refused(served.client(ssl_cert_reqs="none"))
        control.close()


@pytest.mark.parametrize("ending", ["close_notify", "the socket's end"])
def test_what_a_client_sent_before_it_hung_up_is_executed(lenient: Served, ending: str) -> None:
    """As without TLS: more replies than one turn makes, then a write, and no more to come."""
    count, long = 200, b"x" * 100_000
    with contextlib.closing(Connection(lenient.server.address)) as control:
        control.call(b"SET", b"long", long)
        control.call(b"DEL", b"done")
    arrived, leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(cafile=str(FILES / "ca.pem"))
    tls = context.wrap_bio(arrived, leaving, server_hostname="localhost")
    with socket.create_connection(("localhost", lenient.port), timeout=60) as raw:
        shaken = False
        while not shaken:
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
                shaken = True
            raw.sendall(leaving.read())
            if not shaken:
                arrived.write(raw.recv(1 << 16))
        tls.write(encode((b"GET", b"long")) * count + encode((b"INCR", b"done")))
        if ending == "close_notify":
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.unwrap()
            raw.sendall(leaving.read())
        else:
            raw.sendall(leaving.read())
            raw.shutdown(socket.SHUT_WR)
        while data := raw.recv(1 << 20):
            arrived.write(data)
    expected = (b"$100000\r\n" + long + b"\r\n") * count + b":1\r\n"
    if ending == "the socket's end":
        # OpenSSL reads no more once it has said goodbye itself.
        got = b"".join(iter(lambda: tls.read(1 << 20), b""))
        assert got == expected
    else:
        assert arrived.pending > len(expected)
    with contextlib.closing(Connection(lenient.server.address)) as control:
        assert control.call(b"GET", b"done") == ("$", b"1")


def test_a_client_may_come_in_pieces(lenient: Served) -> None:
    """Byte by byte, through the handshake and the requests."""
    context = ssl.create_default_context(cafile=str(FILES / "ca.pem"))
    near, far = socket.socketpair()
    with socket.create_connection(("localhost", lenient.port), timeout=60) as raw, near, far:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        far.settimeout(60)

        def carry() -> None:
            far.setblocking(True)
            with contextlib.suppress(OSError):
                while data := far.recv(1 << 16):
                    for byte in data:
                        raw.sendall(bytes((byte,)))

        def back() -> None:
            with contextlib.suppress(OSError):
                while data := raw.recv(1 << 16):
                    far.sendall(data)

        threads = [threading.Thread(target=target, daemon=True) for target in (carry, back)]
        for thread in threads:
            thread.start()
        near.settimeout(60)
        with context.wrap_socket(near, server_hostname="localhost") as secured:
            for number in range(5):
                secured.sendall(encode((b"ECHO", b"%d" % number)))
                assert secured.recv(100) == b"$1\r\n%d\r\n" % number
        raw.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(60)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tls_cert_file": ""}, "No tls-cert-file configured!"),
        ({"tls_ca_cert_file": ""}, "must be specified when tls-auth-clients is enabled"),
        ({"tls_key_file": str(FILES / "client.key")}, "can't use tls-cert-file"),
        ({"tls_key_file": str(FILES / "locked.key")}, "can't use tls-cert-file"),
        ({"tls_ca_cert_file": "/nonesuch"}, "No such file"),
        ({"tls_ciphers": "NONESUCH"}, "Failed to configure ciphers"),
        ({"tls_protocols": "TLSv9"}, "Invalid tls-protocols"),
        ({"tls_protocols": "TLSv1 TLSv1.3"}, "leave out"),
    ],
)
def test_what_does_not_fit_together(changes: dict[str, str], reason: str) -> None:
    given = {
        "tls_cert_file": str(FILES / "server.pem"), "tls_key_file": str(FILES / "server.key"), "tls_ca_cert_file": str(FILES / "ca.pem"),
    }  # fmt: skip
    with pytest.raises(SettingError) as error:
        make_context(Settings(**given | changes))
    assert reason in str(error.value)


def test_versions_ciphers_and_locked_keys() -> None:
    context = make_context(
        Settings(
            tls_cert_file=str(FILES / "server.pem"), tls_key_file=str(FILES / "locked.key"), tls_key_file_pass="secret",
            tls_auth_clients="no", tls_protocols="TLSv1.2", tls_ciphers="ECDHE-ECDSA-AES256-GCM-SHA384",
        )
    )  # fmt: skip
    assert context.minimum_version == context.maximum_version == ssl.TLSVersion.TLSv1_2
    assert [cipher["name"] for cipher in context.get_ciphers() if cipher["protocol"] == "TLSv1.2"] == ["ECDHE-ECDSA-AES256-GCM-SHA384"]


def test_connections_that_end_leave_nothing(lenient: Served) -> None:
    """Nobody collects cycles in a server, so there may be none."""

    def resident() -> int:
        return int(Path(f"/proc/{lenient.server.pid}/statm").read_text().split()[1]) * 4096

    context = ssl.create_default_context(cafile=str(FILES / "ca.pem"))

    def come_and_go(count: int) -> None:
        for _ in range(count):
            plain = socket.create_connection(("localhost", lenient.port))
            with context.wrap_socket(plain, server_hostname="localhost") as secured:
                secured.sendall(b"PING\r\n")
                assert secured.recv(7) == b"+PONG\r\n"

    come_and_go(200)
    before = resident()
    come_and_go(1000)
    assert resident() - before < 6 << 20

"""Downloads from a real server on this machine, with a certificate of its own."""

import hashlib
import re
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from bench.download import download
from bench.features.weights import Published, WeightsMissingError, find_weights

CONTENT = b"weights" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
CUT = hashlib.sha256(CONTENT[:100]).hexdigest()


class Answers(BaseHTTPRequestHandler):
    """/file is the file, /cut a part of it; /to/PORT/SCHEME sends on to the file at another port."""

    def do_GET(self) -> None:
        if self.path.startswith("/to/"):
            _, _, port, scheme, *_ = self.path.split("/")
            self.send_response(302)
            self.send_header("Location", f"{scheme}://localhost:{port}/file")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:100] if self.path.startswith("/cut") else CONTENT)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """Scheme to the port of a server that speaks it; SSL_CERT_FILE names the certificate."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on the PATH to make a certificate with")
    folder = tmp_path_factory.mktemp("certificate")
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *files]
    subprocess.run(command, check=True, capture_output=True)
    servers = {scheme: HTTPServer(("localhost", 0), Answers) for scheme in ("http", "https")}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    servers["https"].socket = context.wrap_socket(servers["https"].socket, server_side=True)
    threads = [threading.Thread(target=server.serve_forever) for server in servers.values()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(folder / "cert.pem"))
        patch.setenv("no_proxy", "localhost")
        for thread in threads:
            thread.start()
        yield {scheme: server.server_port for scheme, server in servers.items()}
    for server, thread in zip(servers.values(), threads, strict=True):
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("way", ["file", "to/{https}/https"])
def test_a_file_comes_over_tls_also_where_it_has_moved(
    ports: dict[str, int], tmp_path: Path, way: str
) -> None:
    target = tmp_path / "hub" / "weights.pth"
    download(f"https://localhost:{ports['https']}/{way.format(**ports)}", target, SHA256)
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize(
    ("way", "sha256", "told"),
    [
        ("to/{http}/http", SHA256, "the server sends on to http://localhost:{http}/file, which is not https"),
        ("to/{http}/ftp", SHA256, "the server sends on to ftp://localhost:{http}/file, which is not https"),
        ("file", "0" * 64, f"its sha256 begins with {SHA256[:8]}, not 00000000"),
        ("cut", SHA256, f"its sha256 begins with {CUT[:8]}, not {SHA256[:8]}"),
    ],
)
def test_what_is_not_as_it_is_pinned_leaves_nothing(
    ports: dict[str, int], tmp_path: Path, way: str, sha256: str, told: str
) -> None:
    url = f"https://localhost:{ports['https']}/{way.format(**ports)}"
    with pytest.raises(OSError, match=re.escape(told.format(**ports))):
        download(url, tmp_path / "weights.pth", sha256)
    assert list(tmp_path.iterdir()) == []


def test_a_server_without_a_certificate_that_is_trusted_is_refused(
    ports: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(OSError, match="certificate verify failed"):
        download(f"https://localhost:{ports['https']}/file", tmp_path / "weights.pth", SHA256)


def test_a_user_is_told_why_weights_could_not_be_downloaded(
    ports: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    published = Published("moved", SHA256, f"https://localhost:{ports['https']}/to/{ports['http']}/http/")
    with pytest.raises(WeightsMissingError, match=r"\(the server sends on to http:\S+, which is not https\)"):
        find_weights(published, None)

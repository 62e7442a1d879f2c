"""Certificates for tests, made by the command `openssl`."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.needs import need_program

CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2", "-x509"]


@dataclass(frozen=True)
class Certificates:
    """An authority, and two that it vouches for; the keys are beside them, ending in `.key`."""

    authority: Path
    server: Path
    client: Path
    locked: Path
    """The server's, its key locked by the password `sesame`."""

    def context(self, *, known: bool = False) -> ssl.SSLContext:
        """What a client connects with that trusts the authority, and is `known` to it."""
        context = ssl.create_default_context(cafile=self.authority)
        if known:
            context.load_cert_chain(self.client, self.client.with_suffix(".key"))
        return context


def make_certificates(folder: Path) -> Certificates:
    """Write them into `folder`."""
    openssl = need_program("openssl", "openssl")

    def make(name: str, *arguments: str) -> Path:
        path = folder / f"{name}.pem"
        key = path.with_suffix(".key")
        made = ["-subj", f"/CN={name}", "-keyout", str(key), "-out", str(path)]
        command = [openssl, "req", *CURVE, *made, *arguments]
        subprocess.run(command, check=True, capture_output=True)
        return path

    authority = make("authority", "-nodes")
    signed = ["-CA", str(authority), "-CAkey", str(authority.with_suffix(".key"))]
    name = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    return Certificates(
        authority,
        make("server", "-nodes", *signed, *name),
        make("client", "-nodes", *signed),
        make("locked", "-passout", "pass:sesame", *signed, *name),
    )

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trustme

from brokers.ports import LOOPBACK

OWNER_WRITES_ALL_READ: Final = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """Files in PEM: who signed, the broker's certificate, and its key."""

    authority: Path
    certificate: Path
    key: Path


def issue(folder: Path) -> Certificates:
    """A certificate for this machine's loopback names, from an authority of its own; written once a folder."""
    files = Certificates(
        authority=folder / "authority.pem", certificate=folder / "certificate.pem", key=folder / "key.pem"
    )
    if not files.key.exists():
        folder.mkdir(parents=True, exist_ok=True)
        authority = trustme.CA()
        certificate = authority.issue_cert("localhost", LOOPBACK)
        authority.cert_pem.write_to_path(str(files.authority))
        certificate.cert_chain_pems[0].write_to_path(str(files.certificate))
        certificate.private_key_pem.write_to_path(str(files.key))
        # In a container the broker is another user; the key is worth nothing elsewhere.
        files.key.chmod(OWNER_WRITES_ALL_READ)
    return files

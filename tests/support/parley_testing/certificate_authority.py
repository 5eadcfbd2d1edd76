"""An authority of certificates for a test, with elliptic keys: made in milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class CertificateAuthority:
    """Makes certificates, good for an hour, in a folder of their own."""

    def __init__(self, folder: Path, name: str = "parley tests") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._signed = 0
        everything = x509.BasicConstraints(ca=True, path_length=0)
        own = self._builder(self._name, self._key.public_key()).add_extension(everything, critical=True)
        self.file = folder / "authorities.pem"
        """Its own certificate."""
        self.file.write_bytes(_pem(own.sign(self._key, hashes.SHA256())))

    def settings(self, *hosts: str, password: bytes = b"") -> dict[str, str]:
        """The settings of a process that has a certificate for the hosts, and believes this authority."""
        self._signed += 1
        certificate, key_file = (self._folder / f"{self._signed}.{kind}" for kind in ("pem", "key"))
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
        alternatives = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        builder = self._builder(name, key.public_key()).add_extension(alternatives, critical=False)
        certificate.write_bytes(_pem(builder.sign(self._key, hashes.SHA256())))
        locked = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked))
        return {
            "PARLEY_TLS_CERTIFICATE_FILE": str(certificate),
            "PARLEY_TLS_KEY_FILE": str(key_file),
            "PARLEY_TLS_AUTHORITIES_FILE": str(self.file),
        }

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(hours=1))
        )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)

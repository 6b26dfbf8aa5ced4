"""Certificates for tests: an authority, and what it issues, as PEM."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


@dataclass(frozen=True)
class Issued:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def cert_pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Writes NAME.pem and NAME.key, each in one step, the key first: until the second they don't fit together."""
        paths = folder / f"{name}.pem", folder / f"{name}.key"
        for path, text in zip(reversed(paths), (self.key_pem, self.cert_pem), strict=True):
            new = path.with_suffix(".new")
            new.write_text(text)
            new.replace(path)
        return paths


class Authority:
    """A certificate authority."""

    def __init__(self):
        self._own = self._sign([], None)
        self.pem = self._own.cert_pem

    def issue(self, *names: str) -> Issued:
        """A certificate for these names: IP addresses, URIs, and DNS names."""
        return self._sign(list(names), self._own)

    @staticmethod
    def _sign(names: list[str], issuer: Issued | None) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0] if names else "test authority")])
        now = datetime.now(UTC)
        public = key.public_key()
        signer = issuer.key if issuer else key
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer.certificate.subject if issuer else name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([general(n) for n in names]), critical=False)
        else:
            usage = dict.fromkeys(
                ["content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign"], False
            )
            usage |= {"encipher_only": False, "decipher_only": False}
            builder = builder.add_extension(
                x509.KeyUsage(digital_signature=True, key_cert_sign=True, **usage), critical=True
            )
        return Issued(builder.sign(signer, hashes.SHA256()), key)


def general(name: str) -> x509.GeneralName:
    if "://" in name:
        return x509.UniformResourceIdentifier(name)
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)

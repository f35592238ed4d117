"""The coordinator's certificates: an authority that pods are told to trust, and a short-lived one signed by it.

The operator keeps the authority in its Secret; the server's certificate is made anew at each start and renewed in
place. Nothing here reads a clock or writes a file.
"""

import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFE = timedelta(days=3650)
SERVER_LIFE = timedelta(days=90)
_CLOCKS_DIFFER = timedelta(hours=1)


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its private key."""

    certificate_pem: bytes
    key_pem: bytes

    @property
    def expires_at(self) -> datetime:
        """When the certificate ends, in UTC."""
        return x509.load_pem_x509_certificate(self.certificate_pem).not_valid_after_utc


def make_authority(now: datetime, life: timedelta = AUTHORITY_LIFE) -> KeyPair:
    """A new authority that signs servers' certificates and nothing below them."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("llmbatch coordinator authority")
    builder = (
        _blank(name, name, key.public_key(), now, life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True), critical=True)
    )
    return _pair(builder.sign(key, hashes.SHA256()), key)


def make_server_certificate(
    authority: KeyPair, host_names: Sequence[str], now: datetime, life: timedelta = SERVER_LIFE
) -> KeyPair:
    """A new certificate for a server of these DNS names."""
    signer = x509.load_pem_x509_certificate(authority.certificate_pem)
    signer_key = serialization.load_pem_private_key(authority.key_pem, password=None)
    if not isinstance(signer_key, ec.EllipticCurvePrivateKey):
        raise ValueError("the authority's key is not an elliptic curve key")
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.DNSName(name) for name in host_names])
    builder = (
        _blank(_name("llmbatch coordinator"), signer.subject, key.public_key(), now, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer_key.public_key()), critical=False)
        .add_extension(names, critical=False)
    )
    return _pair(builder.sign(signer_key, hashes.SHA256()), key)


class ServerCertificate:
    """The TLS context of a server; its certificate is renewed while connections go on."""

    def __init__(self, authority: KeyPair, host_names: Sequence[str], now: datetime) -> None:
        self._authority = authority
        self._host_names = host_names
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._renew(now)

    def renew_if_due(self, now: datetime) -> bool:
        """Take a new certificate when a third of the old one's life is left; whether it did."""
        if self.expires_at - now > SERVER_LIFE / 3:
            return False
        self._renew(now)
        return True

    def _renew(self, now: datetime) -> None:
        pair = make_server_certificate(self._authority, self._host_names, now)
        self.expires_at = pair.expires_at
        _load(self.context, pair)


def _load(context: ssl.SSLContext, pair: KeyPair) -> None:
    """OpenSSL takes files only: one in memory keeps the key off every disk."""
    number = os.memfd_create("llmbatch-certificate")
    try:
        os.write(number, pair.key_pem + pair.certificate_pem)
        context.load_cert_chain(f"/proc/self/fd/{number}")
    finally:
        os.close(number)


def _blank(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return KeyPair(certificate.public_bytes(serialization.Encoding.PEM), private)

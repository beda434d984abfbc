"""Secrets at rest: encrypted with a key that is not in the database.

`TURNMETER_SECRET_KEY` holds one key, or several with commas between them. The first encrypts, all decrypt:
to rotate, put a new key in front, run `turnmeter secrets rotate`, then take the old one away.
A ciphertext is a format byte, four bytes that name its key, a nonce of twelve bytes, AES-256-GCM.
"""

import secrets
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.errors import SettingsError

KEY_LENGTH_MIN = 32
_VARIABLE = "TURNMETER_SECRET_KEY"
_FORMAT = b"\x01"
_NAME_BYTES = 4
_NONCE_BYTES = 12
_HEADER_BYTES = len(_FORMAT) + _NAME_BYTES


class _Key(NamedTuple):
    name: bytes
    cipher: AESGCM


class SecretBox:
    """Encrypts and decrypts short secrets. Without a key it can do neither, and says so when asked to."""

    def __init__(self, key: str | None) -> None:
        """Take the variable's text. Raises SettingsError if one of its keys is too short to be safe."""
        self._keys = tuple(_derive(part.strip()) for part in key.split(",")) if key else ()

    def encrypt(self, secret: bytes) -> bytes:
        """Return a ciphertext under the first key. Raises SettingsError if there is none."""
        key = self._first()
        nonce = secrets.token_bytes(_NONCE_BYTES)
        header = _FORMAT + key.name
        return header + nonce + key.cipher.encrypt(nonce, secret, header)

    def decrypt(self, ciphertext: bytes) -> bytes:
        """Return the secret. Raises SettingsError if no key fits, or the ciphertext was changed."""
        self._first()
        header, rest = ciphertext[:_HEADER_BYTES], ciphertext[_HEADER_BYTES:]
        for key in self._keys:
            if header == _FORMAT + key.name:
                try:
                    return key.cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], header)
                except (InvalidTag, ValueError):  # another key with the same short name, or a damaged row
                    continue
        raise SettingsError(_VARIABLE, "none of its keys can read a stored secret; add the key it was stored with")

    def is_current(self, ciphertext: bytes) -> bool:
        """Whether a ciphertext is under the key that encrypts now."""
        return ciphertext.startswith(_FORMAT + self._first().name)

    def rotate(self, ciphertext: bytes) -> bytes:
        """Return the same secret under the first key; unchanged if it is so already."""
        return ciphertext if self.is_current(ciphertext) else self.encrypt(self.decrypt(ciphertext))

    def _first(self) -> _Key:
        if not self._keys:
            raise SettingsError(_VARIABLE, "is needed to keep secrets; set it to the output of `openssl rand -hex 32`")
        return self._keys[0]


def _derive(key: str) -> _Key:
    if len(key) < KEY_LENGTH_MIN:
        raise SettingsError(
            _VARIABLE, f"a key needs at least {KEY_LENGTH_MIN} characters; `openssl rand -hex 32` makes a good one"
        )
    return _Key(_expand(key, b"turnmeter key name", _NAME_BYTES), AESGCM(_expand(key, b"turnmeter secret box", 32)))


def _expand(key: str, purpose: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=purpose).derive(key.encode())

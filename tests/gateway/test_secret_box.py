import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import SettingsError
from gateway.secret_box import SecretBox

OLD = "old-" + "k" * 32
NEW = "new-" + "k" * 32


@given(st.binary(max_size=500))
def test_a_secret_comes_back_as_it_was_and_is_not_seen_in_its_ciphertext(secret: bytes) -> None:
    box = SecretBox(NEW)
    ciphertext = box.encrypt(secret)
    assert box.decrypt(ciphertext) == secret
    assert len(secret) < 4 or secret not in ciphertext


def test_the_same_secret_never_looks_the_same_twice() -> None:
    box = SecretBox(NEW)
    assert box.encrypt(b"EAAG-token") != box.encrypt(b"EAAG-token")


def test_a_rotated_secret_no_longer_needs_the_old_key() -> None:
    stored = SecretBox(OLD).encrypt(b"EAAG-token")
    both = SecretBox(f"{NEW}, {OLD}")
    assert both.decrypt(stored) == b"EAAG-token"
    assert not both.is_current(stored)
    rotated = both.rotate(stored)
    assert both.rotate(rotated) == rotated
    assert SecretBox(NEW).decrypt(rotated) == b"EAAG-token"


def test_without_the_right_key_the_variable_is_named_and_the_secret_is_not() -> None:
    stored = SecretBox(OLD).encrypt(b"EAAG-token")
    with pytest.raises(SettingsError, match=r"^TURNMETER_SECRET_KEY: none of its keys") as caught:
        SecretBox(NEW).decrypt(stored)
    assert "EAAG" not in str(caught.value)


@given(st.data())
def test_a_changed_ciphertext_is_refused(data: st.DataObject) -> None:
    box = SecretBox(NEW)
    ciphertext = bytearray(box.encrypt(b"EAAG-token"))
    position = data.draw(st.integers(min_value=0, max_value=len(ciphertext) - 1))
    ciphertext[position] ^= data.draw(st.integers(min_value=1, max_value=255))
    with pytest.raises(SettingsError):
        box.decrypt(bytes(ciphertext))


@given(st.integers(min_value=0, max_value=30))
def test_a_cut_off_ciphertext_is_refused(length: int) -> None:
    box = SecretBox(NEW)
    with pytest.raises(SettingsError):
        box.decrypt(box.encrypt(b"EAAG-token")[:length])


def test_a_short_key_is_refused_with_a_hint() -> None:
    with pytest.raises(SettingsError, match="openssl rand"):
        SecretBox("secret")
    with pytest.raises(SettingsError, match="openssl rand"):
        SecretBox(f"{NEW},")


def test_without_a_key_nothing_is_kept() -> None:
    with pytest.raises(SettingsError, match="is needed to keep secrets"):
        SecretBox(None).encrypt(b"EAAG-token")
    with pytest.raises(SettingsError, match="is needed to keep secrets"):
        SecretBox(None).decrypt(b"")

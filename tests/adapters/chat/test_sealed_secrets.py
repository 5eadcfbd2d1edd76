"""Secrets at rest: what opens them, and what does not."""

from __future__ import annotations

import base64
import os

import pytest
from parley_chat.adapters.sealed_secrets import SealedSecrets
from parley_chat.ports.secret_box import SecretLostError

PEM = b"-----BEGIN PRIVATE KEY-----\nwhatever\n-----END PRIVATE KEY-----\n"


def new_key() -> str:
    """A key as it stands in a setting."""
    return base64.b64encode(os.urandom(32)).decode()


@pytest.mark.parametrize("secret", ["", "whsec_abc", "pässword with spaces", "x" * 10_000])
def test_what_was_sealed_opens_for_its_purpose(secret: str) -> None:
    box = SealedSecrets.of("", PEM)
    sealed = box.seal(secret, "webhook:1")
    assert box.open(sealed, "webhook:1") == secret
    assert secret == "" or secret not in sealed
    assert box.seal(secret, "webhook:1") != sealed, "two of the same secret do not look alike"


def test_it_opens_for_no_other_purpose() -> None:
    box = SealedSecrets.of("", PEM)
    with pytest.raises(SecretLostError):
        box.open(box.seal("secret", "webhook:1"), "webhook:2")


def test_another_process_with_the_same_signing_key_opens_it() -> None:
    assert SealedSecrets.of("", PEM).open(SealedSecrets.of("", PEM + b"\n").seal("secret", "a"), "a") == "secret"


def test_another_signing_key_does_not_open_it() -> None:
    with pytest.raises(SecretLostError):
        SealedSecrets.of("", b"another").open(SealedSecrets.of("", PEM).seal("secret", "a"), "a")


@pytest.mark.parametrize("sealed", ["", "s1", "s1.x.y", "s2.{key}.AAAA", "s1.{key}.", "s1.{key}.!!", "s1.{key}.AAAA"])
def test_what_was_never_sealed_does_not_open(sealed: str) -> None:
    box = SealedSecrets.of("", PEM)
    with pytest.raises(SecretLostError):
        box.open(sealed.format(key=box.seal("", "a").split(".")[1]), "a")


def test_a_changed_letter_does_not_open() -> None:
    box = SealedSecrets.of("", PEM)
    sealed = box.seal("secret", "a")
    place = len(sealed) // 2 + 10
    with pytest.raises(SecretLostError):
        box.open(sealed[:place] + ("A" if sealed[place] != "A" else "B") + sealed[place + 1 :], "a")


def test_a_key_is_replaced_by_putting_the_new_one_first() -> None:
    old, new = new_key(), new_key()
    sealed = SealedSecrets.of(old, PEM).seal("secret", "a")
    both = SealedSecrets.of(f"{new}, {old}", PEM)
    assert both.open(sealed, "a") == "secret"
    assert SealedSecrets.of(new, PEM).open(both.seal("secret", "a"), "a") == "secret"
    with pytest.raises(SecretLostError):
        SealedSecrets.of(new, PEM).open(sealed, "a")


@pytest.mark.parametrize("key", ["short", base64.b64encode(os.urandom(16)).decode(), "!" * 44])
def test_a_key_that_is_none_is_refused_without_telling_it(key: str) -> None:
    with pytest.raises(ValueError, match="32 bytes in base64") as caught:
        SealedSecrets.of(key, PEM)
    assert key not in str(caught.value)


def test_the_box_shows_no_key() -> None:
    key = new_key()
    assert key not in repr(SealedSecrets.of(key, PEM))

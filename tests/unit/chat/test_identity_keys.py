"""The files of the first run: the signing key, the public keys and the local user's password."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
from parley_chat.adapters.es256_token_signer import Es256TokenSigner
from parley_chat.adapters.file_signing_key import load_or_make_signing_key
from parley_chat.adapters.json_local_user_file import JsonLocalUserFile
from parley_chat.adapters.private_files import PrivateFileError, write_whole
from parley_chat.domain.tokens import Claims
from parley_chat.ports.local_user_file import LocalUser

LOCAL = LocalUser("local@parley.localhost", "a password", "usr_1")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_first_run_makes_a_key_that_only_its_owner_reads(tmp_path: Path) -> None:
    keys = tmp_path / "home" / "keys"
    load_or_make_signing_key(keys, keys / "jwks.json")
    assert mode(keys) == 0o700
    assert mode(keys / "signing.pem") == 0o600
    assert mode(keys / "jwks.json") == 0o644


def test_a_restart_keeps_the_key(tmp_path: Path) -> None:
    first = load_or_make_signing_key(tmp_path, tmp_path / "jwks.json")
    written = (tmp_path / "jwks.json").stat()
    assert load_or_make_signing_key(tmp_path, tmp_path / "jwks.json") == first
    assert (tmp_path / "jwks.json").stat().st_ino == written.st_ino, "what is right already is not written again"


def test_the_public_keys_say_nothing_of_the_private_one_and_are_named_by_their_thumbprint(tmp_path: Path) -> None:
    load_or_make_signing_key(tmp_path, tmp_path / "jwks.json")
    (key,) = json.loads((tmp_path / "jwks.json").read_text())["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    members = json.dumps({name: key[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":"))
    digest = hashlib.sha256(members.encode()).digest()
    assert key["kid"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def test_what_the_signer_signs_the_published_key_verifies(tmp_path: Path) -> None:
    key = load_or_make_signing_key(tmp_path, tmp_path / "jwks.json")
    now = datetime.now(UTC)
    signer = Es256TokenSigner(key.private_pem, key.public.key_id, issuer="here", audience="there")
    token = signer.sign(
        Claims("usr_1", "tok_1", frozenset({"b:b", "a:a"}), now, now + timedelta(minutes=1), acting_service="chat")
    )
    (published,) = jwt.PyJWKSet.from_json((tmp_path / "jwks.json").read_text()).keys
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "typ": "JWT", "kid": published.key_id}
    claims = jwt.decode(token, published.key, algorithms=["ES256"], issuer="here", audience="there")
    assert (claims["sub"], claims["jti"], claims["scope"]) == ("usr_1", "tok_1", "a:a b:b")
    assert claims["act"] == {"sub": "chat"}
    assert claims["exp"] - claims["iat"] == 60


def test_a_new_key_replaces_the_published_one(tmp_path: Path) -> None:
    first = load_or_make_signing_key(tmp_path, tmp_path / "jwks.json")
    (tmp_path / "signing.pem").unlink()
    second = load_or_make_signing_key(tmp_path, tmp_path / "jwks.json")
    published = [key["kid"] for key in json.loads((tmp_path / "jwks.json").read_text())["keys"]]
    assert first.public != second.public
    assert published == [second.public.key_id]


def test_processes_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from parley_chat.adapters.file_signing_key import load_or_make_signing_key\n"
        "sys.stdin.read(1)\n"
        "folder = Path(sys.argv[1])\n"
        "print(load_or_make_signing_key(folder, folder / 'jwks.json').public.key_id)\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "keys")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(4)
    ]
    # Started one by one, let go together.
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"x")
        process.stdin.flush()
    names = {process.communicate(timeout=60)[0] for process in processes}
    assert [process.returncode for process in processes] == [0] * 4
    assert len(names) == 1


@pytest.mark.parametrize("loose", [0o644, 0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused_in_one_line(tmp_path: Path, loose: int) -> None:
    load_or_make_signing_key(tmp_path, tmp_path / "jwks.json")
    (tmp_path / "signing.pem").chmod(loose)
    with pytest.raises(PrivateFileError, match="can be read by others") as refused:
        load_or_make_signing_key(tmp_path, tmp_path / "jwks.json")
    assert "\n" not in str(refused.value)
    assert "signing.pem" in str(refused.value)


@pytest.mark.parametrize("content", ["", "not a key", "-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----"])
def test_a_damaged_key_is_refused_without_its_content(tmp_path: Path, content: str) -> None:
    write_whole(tmp_path / "signing.pem", content.encode())
    with pytest.raises(PrivateFileError, match="not a private key") as refused:
        load_or_make_signing_key(tmp_path, tmp_path / "jwks.json")
    assert "secret" not in str(refused.value)
    assert not (tmp_path / "jwks.json").exists()


def test_the_signing_key_does_not_print_itself(tmp_path: Path) -> None:
    key = load_or_make_signing_key(tmp_path, tmp_path / "jwks.json")
    assert "PRIVATE" not in f"{key!r} {key}"


def test_the_local_users_password_is_kept_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    file = JsonLocalUserFile(tmp_path / "keys")
    assert file.read_or_write(LOCAL) == LOCAL
    assert mode(tmp_path / "keys" / "local-user.json") == 0o600
    assert file.read_or_write(LocalUser("other@parley.localhost", "other", "usr_2")) == LOCAL
    assert json.loads((tmp_path / "keys" / "local-user.json").read_text()) == {
        "email": "local@parley.localhost",
        "password": "a password",
        "user_id": "usr_1",
    }


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"email": 1, "password": "secret", "user_id": "x"}'])
def test_a_damaged_local_user_file_is_refused_with_what_to_do(tmp_path: Path, content: str) -> None:
    write_whole(tmp_path / "local-user.json", content.encode())
    with pytest.raises(PrivateFileError, match="delete it") as refused:
        JsonLocalUserFile(tmp_path).read_or_write(LOCAL)
    assert "secret" not in str(refused.value)


def test_a_file_is_replaced_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    write_whole(tmp_path / "file", b"one")
    write_whole(tmp_path / "file", b"two")
    assert (tmp_path / "file").read_bytes() == b"two"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]

"""Passwords hashed with argon2id (RFC 9106), in threads of its own."""

from __future__ import annotations

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor

import argon2
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from parley_chat.ports.password_hasher import PasswordMatch

# One hash holds 64 MiB while it runs. Two at once bound what sign-ins can take from a laptop; the others queue.
HASHES_AT_ONCE = 2


class Argon2PasswordHasher:
    """The port `PasswordHasher`, with the RFC's parameters for little memory: 3 passes over 64 MiB in 4 lanes."""

    def __init__(self, parameters: argon2.Parameters = argon2.profiles.RFC_9106_LOW_MEMORY) -> None:
        self._hasher = argon2.PasswordHasher.from_parameters(parameters)
        self._threads = ThreadPoolExecutor(HASHES_AT_ONCE, thread_name_prefix="argon2")
        # What a password is compared with when there is no account: made like any other, of a password nobody has.
        self._nobody = self._hasher.hash(secrets.token_bytes(32))

    async def hash(self, password: str) -> str:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._hasher.hash, password)

    async def compare(self, password: str, password_hash: str | None) -> PasswordMatch:
        stored = self._nobody if password_hash is None else password_hash
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._compare, password, stored)

    def close(self) -> None:
        """Lets the threads go. Hashes that wait are given up."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _compare(self, password: str, stored: str) -> PasswordMatch:
        try:
            self._hasher.verify(stored, password)
        except VerifyMismatchError:
            return PasswordMatch.WRONG
        except (VerificationError, InvalidHashError):
            # A hash that is damaged matches nothing. Its text must not reach a log through the exception.
            raise PasswordHashDamagedError from None
        return PasswordMatch.RIGHT_BUT_OUTDATED if self._hasher.check_needs_rehash(stored) else PasswordMatch.RIGHT


class PasswordHashDamagedError(Exception):
    """What is stored as a password's hash is none."""

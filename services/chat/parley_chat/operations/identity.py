"""What a person does with an account: sign up, sign in, refresh, sign out, and keep personal access tokens.

Not who may do it: scopes are checked before a request comes here. Not the tokens between services: `service_tokens.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from parley_chat.domain.accounts import (
    Account,
    CredentialsWrongError,
    EmailTakenError,
    Role,
    SignInsThrottledError,
    SignUpClosedError,
    User,
    UserDisabledError,
    UserUnknownError,
    display_name_for,
    is_email,
    new_user_id,
    normalize_email,
    normalize_password,
)
from parley_chat.domain.audit import ActorKind, AuditEntry, Deed
from parley_chat.domain.sign_in_delays import FailureKey, failure_keys
from parley_chat.domain.tokens import (
    ADMIN_SCOPES,
    PERSONAL_TOKEN_DEFAULT_LIFE,
    PERSONAL_TOKENS_MOST,
    USER_SCOPES,
    Claims,
    PersonalToken,
    PersonalTokenNotFoundError,
    RefreshToken,
    RefreshTokenRefusedError,
    SignIn,
    TokenPair,
    TooManyPersonalTokensError,
    expire_after,
    new_access_token_id,
    new_personal_token_id,
    new_refresh_token,
    new_sign_in_id,
    refresh_token_hash,
    scopes_for_new_token,
)
from parley_chat.operations.audit_book import AuditBook
from parley_chat.operations.identity_audit import AuditTrail, Told, tell
from parley_chat.operations.token_revocation import TokenRevocation
from parley_chat.ports.accounts import Accounts
from parley_chat.ports.password_hasher import PasswordHasher, PasswordMatch
from parley_chat.ports.personal_tokens import PersonalTokens
from parley_chat.ports.sign_in_failures import SignInFailures
from parley_chat.ports.sign_ins import SignIns
from parley_chat.ports.token_signer import TokenSigner


@dataclass(frozen=True)
class IdentityRules:
    """What the operator decides."""

    sign_up_open: bool
    access_token_seconds: int
    refresh_token_seconds: int


class Identity:
    """The use cases of IdentityService. Every argument is within its bounds already."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        sign_ins: SignIns,
        failures: SignInFailures,
        personal_tokens: PersonalTokens,
        hasher: PasswordHasher,
        signer: TokenSigner,
        revocation: TokenRevocation,
        trail: AuditTrail,
        book: AuditBook,
        rules: IdentityRules,
        now: Callable[[], datetime],
    ) -> None:
        self._accounts = accounts
        self._sign_ins = sign_ins
        self._failures = failures
        self._personal_tokens = personal_tokens
        self._hasher = hasher
        self._signer = signer
        self._revocation = revocation
        self._trail = trail
        self._book = book
        self._rules = rules
        self._now = now

    async def sign_up(self, *, email: str, password: str, display_name: str) -> tuple[User, TokenPair]:
        """Makes an account and signs it in. Raises SignUpClosedError or EmailTakenError."""
        if not self._rules.sign_up_open:
            raise SignUpClosedError
        email = normalize_email(email)
        if await self._accounts.by_email(email) is not None:
            raise EmailTakenError
        password_hash = await self._hasher.hash(normalize_password(password))
        user = User(new_user_id(), email, display_name_for(display_name, email), self._now())
        signed_up = self._trail.entry(Deed.SIGNED_UP, user.user_id)
        await self._accounts.add(Account(user, password_hash), signed_up)
        tell(signed_up)
        return user, await self._open_sign_in(user)

    async def sign_in(self, *, email: str, password: str, address: str) -> tuple[User, TokenPair]:
        """Signs an account in. Raises CredentialsWrongError, after the same work whether the address or the password is wrong.

        Raises UserDisabledError, to who knows the password, and SignInsThrottledError after too many failures for this account: from
        `address`, the caller's place in the network, or from everywhere.
        """
        email = normalize_email(email)
        keys = failure_keys(email, address)
        # No account has an address that is none, and a database need not understand what is in it.
        account = await self._accounts.by_email(email) if is_email(email) else None
        user_id = account.user.user_id if account else ""
        await self._check_throttle(keys, user_id)
        password = normalize_password(password)
        match = await self._hasher.compare(password, account.password_hash if account else None)
        # Looked at again: of many guesses at once, those that come after the free ones learn nothing.
        await self._check_throttle(keys, user_id)
        if account is None or match is PasswordMatch.WRONG:
            await self._failures.add(keys, self._now())
            failed = self._trail.entry(Deed.SIGN_IN_FAILED, user_id, ActorKind.UNKNOWN)
            await self._book.write(failed)
            tell(failed)
            raise CredentialsWrongError
        await self._failures.forget(keys[0])
        if account.user.disable_time is not None:
            refused = self._trail.entry(Deed.SIGN_IN_REFUSED, user_id)
            self._book.gather(refused)
            tell(refused)
            raise UserDisabledError
        if match is PasswordMatch.RIGHT_BUT_OUTDATED:
            await self._accounts.set_password_hash(account.user.user_id, await self._hasher.hash(password))
        signed_in = self._trail.entry(Deed.SIGNED_IN, user_id)
        pair = await self._open_sign_in(account.user, signed_in)
        tell(signed_in)
        return account.user, pair

    async def refresh(self, *, refresh_token: str) -> TokenPair:
        """Changes a refresh token for the next pair. Raises RefreshTokenRefusedError; a second use ends the whole sign-in."""
        now = self._now()
        following, record = self._new_refresh_token(now)
        reused = Told(lambda user_id: self._trail.entry(Deed.REFRESH_TOKEN_REUSED, user_id, ActorKind.UNKNOWN))
        user_id = await self._sign_ins.rotate(refresh_token_hash(refresh_token), record, reused)
        reused.tell()
        user = None if user_id is None else await self._accounts.user(user_id)
        if user is None or user.disable_time is not None:
            raise RefreshTokenRefusedError
        return self._pair(user, now, following, record)

    async def sign_out(self, *, refresh_token: str) -> None:
        """Ends the sign-in that the token came from, if there is one that has not ended."""
        ended = Told(lambda user_id: self._trail.entry(Deed.SIGNED_OUT, user_id))
        await self._sign_ins.end(refresh_token_hash(refresh_token), self._now(), ended)
        ended.tell()

    async def current_user(self, user_id: str) -> User:
        """The user that a token stands for. Raises UserUnknownError."""
        user = await self._accounts.user(user_id)
        if user is None:
            raise UserUnknownError
        return user

    async def create_personal_token(
        self,
        user_id: str,
        *,
        name: str,
        scopes: Iterable[str],
        held_scopes: frozenset[str],
        time_to_live: timedelta | None,
    ) -> tuple[PersonalToken, str]:
        """Makes a personal access token; gives its record and, this once, the token.

        Raises ScopeUnknownError, ScopeExceededError or TooManyPersonalTokensError.
        """
        now = self._now()
        granted = scopes_for_new_token(scopes, held_scopes)
        # Two calls at once may pass one over the limit: it is there to bound, not to count.
        if await self._personal_tokens.count_good(user_id, now) >= PERSONAL_TOKENS_MOST:
            raise TooManyPersonalTokensError(PERSONAL_TOKENS_MOST)
        life = PERSONAL_TOKEN_DEFAULT_LIFE if time_to_live is None else time_to_live
        record = PersonalToken(
            access_token_id=new_personal_token_id(),
            user_id=user_id,
            name=name,
            scopes=granted,
            create_time=now,
            expire_time=expire_after(now, life.total_seconds()),
        )
        created = self._trail.entry(Deed.TOKEN_CREATED, user_id, target=record.access_token_id)
        await self._personal_tokens.add(record, created)
        tell(created)
        claims = Claims(user_id, record.access_token_id, frozenset(granted), now, record.expire_time)
        return record, self._signer.sign(claims)

    async def list_personal_tokens(
        self, user_id: str, *, limit: int, after: tuple[datetime, str] | None
    ) -> list[PersonalToken]:
        """The user's personal access tokens, newest first, at most `limit`, beginning after the one given."""
        return await self._personal_tokens.page(user_id, limit=limit, after=after)

    async def is_good_token(self, *, access_token_id: str, user_id: str) -> bool:
        """Whether a personal access token is one of ours and not revoked; of another token, whether its user is there and not disabled."""
        if access_token_id:
            return await self._revocation.is_good_personal_token(access_token_id)
        return await self._revocation.is_good_user(user_id)

    async def revoke_personal_token(self, user_id: str, access_token_id: str) -> PersonalToken:
        """Revokes a token, once and for all. Raises PersonalTokenNotFoundError when the user has none such."""
        revoked = self._trail.entry(Deed.TOKEN_REVOKED, user_id, target=access_token_id)
        token = await self._personal_tokens.revoke(user_id, access_token_id, self._now(), revoked)
        if token is None:
            raise PersonalTokenNotFoundError
        self._revocation.forget(access_token_id)
        tell(revoked)
        return token

    async def _check_throttle(self, keys: Sequence[FailureKey], user_id: str) -> None:
        wait = await self._failures.wait_seconds(keys, self._now())
        if wait > 0:
            held_back = self._trail.entry(Deed.SIGN_IN_HELD_BACK, user_id, ActorKind.UNKNOWN)
            # Refusing costs next to nothing, and shall: it is written with others of its kind.
            self._book.gather(held_back)
            tell(held_back)
            raise SignInsThrottledError(wait)

    async def _open_sign_in(self, user: User, entry: AuditEntry | None = None) -> TokenPair:
        now = self._now()
        refresh_token, record = self._new_refresh_token(now)
        await self._sign_ins.open(SignIn(new_sign_in_id(), user.user_id, now), record, entry)
        return self._pair(user, now, refresh_token, record)

    def _new_refresh_token(self, now: datetime) -> tuple[str, RefreshToken]:
        token = new_refresh_token()
        return token, RefreshToken(refresh_token_hash(token), now, expire_after(now, self._rules.refresh_token_seconds))

    def _pair(self, user: User, now: datetime, refresh_token: str, record: RefreshToken) -> TokenPair:
        expire_time = expire_after(now, self._rules.access_token_seconds)
        scopes = USER_SCOPES | ADMIN_SCOPES if user.role is Role.ADMIN else USER_SCOPES
        claims = Claims(user.user_id, new_access_token_id(), scopes, now, expire_time)
        return TokenPair(self._signer.sign(claims), expire_time, refresh_token, record.expire_time)

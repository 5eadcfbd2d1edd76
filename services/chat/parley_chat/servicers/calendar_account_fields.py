"""Calendar accounts between the contract and the domain: bounds and unpacking. The bounds are the contract's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from parley.workspace.v1 import calendar_pb2
from parley.workspace.v1 import calendar_service_pb2 as pb
from parley_shared.validation import Violations

from parley_chat.domain.calendar import MOST_CALENDARS, AccountKind, CalendarAccount, Credentials
from parley_chat.domain.outbound import AddressRefusedError, OutboundRules, Refusal, check_url
from parley_chat.operations.calendar import NewAccount, host_of
from parley_chat.servicers.times import check_time_zone

ACCOUNT_PREFIX = "cal_"
NAME_MOST, URL_MOST, USERNAME_MOST, PASSWORD_MOST, CALENDAR_ID_MOST = 100, 2_000, 200, 500, 1_000
NOTICE_TOKEN_MOST, NOTICE_CONTENT_MOST = 200, 65_536

_KINDS = {
    calendar_pb2.CALENDAR_ACCOUNT_KIND_FEED: AccountKind.FEED,
    calendar_pb2.CALENDAR_ACCOUNT_KIND_CALDAV: AccountKind.CALDAV,
}
_REFUSALS = {
    Refusal.URL: "must be a URL like https://calendar.example.com/me.ics",
    Refusal.SCHEME: "must begin with https:// or webcal://",
    Refusal.CREDENTIALS: "must not hold a user name or a password: give them in fields of their own",
    Refusal.PORT: "must have the port 80 or 443, or one from 1024",
    Refusal.ADDRESS: "must not lead to a private address",
}
_ACCOUNT_FIELDS = ("name", "url", "username", "password", "time_zone", "calendar_ids")


def new_account(request: pb.CreateCalendarAccountRequest, rules: OutboundRules) -> NewAccount:
    """Checks and unpacks the request for a new account."""
    violations = Violations()
    violations.choice("kind", request.kind, _KINDS)
    violations.line("name", request.name, most=NAME_MOST)
    url = _url(violations, request.url, rules)
    violations.line("username", request.username, most=USERNAME_MOST)
    violations.line("password", request.password, most=PASSWORD_MOST)
    check_time_zone(violations, request.time_zone)
    wanted = _calendar_ids(violations, request.calendar_ids)
    if request.kind == calendar_pb2.CALENDAR_ACCOUNT_KIND_CALDAV and not request.username:
        violations.add("username", "must be given for a CalDAV account")
    if bool(request.username) != bool(request.password):
        violations.add("password", "must be given with a user name, and only then")
    if request.kind == calendar_pb2.CALENDAR_ACCOUNT_KIND_FEED and wanted:
        violations.add("calendar_ids", "must be empty: a feed is one calendar")
    violations.check()
    name, zone = request.name.strip(), request.time_zone
    return NewAccount(_KINDS[request.kind], name, url, request.username, request.password, zone, wanted)


def account_changes(
    request: pb.UpdateCalendarAccountRequest, rules: OutboundRules
) -> Callable[[CalendarAccount, Credentials], tuple[CalendarAccount, Credentials]]:
    """Checks the request to change an account, and gives what makes the changes. That raises INVALID_ARGUMENT, too."""
    violations = Violations()
    violations.identifier("account_id", request.account_id, ACCOUNT_PREFIX)
    paths = violations.changed_fields(request, _ACCOUNT_FIELDS)
    url = ""
    if "name" in paths:
        violations.line("name", request.name, least=1, most=NAME_MOST, not_blank=True)
    if "url" in paths:
        url = _url(violations, request.url, rules)
    if "username" in paths:
        violations.line("username", request.username, most=USERNAME_MOST)
    if "password" in paths:
        violations.line("password", request.password, most=PASSWORD_MOST)
    if "time_zone" in paths:
        check_time_zone(violations, request.time_zone)
    wanted = _calendar_ids(violations, request.calendar_ids) if "calendar_ids" in paths else ()
    violations.check()

    def change(account: CalendarAccount, credentials: Credentials) -> tuple[CalendarAccount, Credentials]:
        if "name" in paths:
            account = replace(account, name=request.name.strip())
        if "time_zone" in paths:
            account = replace(account, time_zone=request.time_zone)
        if "calendar_ids" in paths:
            account = replace(account, wanted=wanted)
        if "username" in paths:
            account = replace(account, username=request.username)
            credentials = replace(credentials, username=request.username)
        if "password" in paths:
            credentials = replace(credentials, password=request.password)
        if "url" in paths:
            account = replace(account, host=host_of(url))
            if host_of(url) != host_of(credentials.url) and credentials.password and "password" not in paths:
                # A password is never sent to a host that its user has not named with it.
                _refuse("password", "must be given again: the URL is one of another host")
            credentials = replace(credentials, url=url)
        if bool(credentials.username) != bool(credentials.password):
            _refuse("password", "must be given with a user name, and only then")
        if account.kind is AccountKind.CALDAV and not credentials.username:
            _refuse("username", "must be given for a CalDAV account")
        if account.kind is AccountKind.FEED and account.wanted:
            _refuse("calendar_ids", "must be empty: a feed is one calendar")
        return account, credentials

    return change


def check_account_id(account_id: str) -> None:
    """Raises the INVALID_ARGUMENT that names `account_id`."""
    violations = Violations()
    violations.identifier("account_id", account_id, ACCOUNT_PREFIX)
    violations.check()


def check_notice(request: pb.NotifyCalendarRequest) -> None:
    """Raises the INVALID_ARGUMENT that names what is out of its bounds."""
    violations = Violations()
    violations.text("token", request.token, least=1, most=NOTICE_TOKEN_MOST)
    if len(request.body.data) > NOTICE_CONTENT_MOST:
        violations.add("body", f"must have at most {NOTICE_CONTENT_MOST} bytes")
    violations.check()


def _refuse(field: str, words: str) -> None:
    violations = Violations()
    violations.add(field, words)
    violations.check()


def _url(violations: Violations, written: str, rules: OutboundRules) -> str:
    violations.text("url", written, least=1, most=URL_MOST)
    url = written.strip()
    if url.lower().startswith(("webcal://", "webcals://")):
        url = "https" + url[url.index("://") :]
    if written and len(written) <= URL_MOST:
        try:
            check_url(url, rules)
        except AddressRefusedError as error:
            violations.add("url", _REFUSALS[error.refusal])
    return url


def _calendar_ids(violations: Violations, written: Sequence[str]) -> tuple[str, ...]:
    violations.count("calendar_ids", written, most=MOST_CALENDARS)
    for place, each in enumerate(written[:MOST_CALENDARS]):
        violations.stored_text(f"calendar_ids[{place}]", each, least=1, most=CALENDAR_ID_MOST)
    return tuple(dict.fromkeys(written))

"""`parley calendar`: its commands, their options and their help."""

# ruff: noqa: PLC0415 - what a command does is imported when it runs

from __future__ import annotations

from typing import Annotated

import typer

from parley_cli.options import Address, Json, Token

calendar = typer.Typer(help="Meetings, and calendars of other places.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Option(metavar="TEXT", help="What to call it.", show_default=False)]
Username = Annotated[str, typer.Option("--user", metavar="NAME", help="The user name there.", show_default=False)]
PasswordFile = Annotated[
    str,
    typer.Option(
        "--password-file",
        metavar="FILE",
        help="A file that holds the password, - for standard input. Without it the password is asked for, or read from "
        "PARLEY_CALENDAR_PASSWORD.",
        show_default=False,
    ),
]
AccountId = Annotated[str, typer.Argument(metavar="ID", help="The account's id, as `calendar accounts` shows it.")]


@calendar.command("list")
def calendar_list(
    days: Annotated[int, typer.Option(min=1, max=366, help="How many days to look ahead.")] = 7,
    query: Annotated[
        str, typer.Option("--search", metavar="TEXT", help="Only meetings with these words.", show_default=False)
    ] = "",
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """List the next meetings."""
    from parley_cli.commands import calendar as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.show(client, days=days, query=query, as_json=as_json))


@calendar.command("add")
def calendar_add(
    title: Annotated[str, typer.Argument(metavar="TITLE", help="What it is.")],
    start: Annotated[
        str,
        typer.Argument(
            metavar="START",
            help="When it begins, like 2026-01-31T09:00 in the time zone of this computer, or a day like 2026-01-31.",
        ),
    ],
    end: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="When it ends, or the last of its days. An hour after the begin, or that one day, without it.",
            show_default=False,
        ),
    ] = "",
    location: Annotated[str, typer.Option(metavar="TEXT", help="Where it is.", show_default=False)] = "",
    notes: Annotated[str, typer.Option(metavar="TEXT", help="More about it.", show_default=False)] = "",
    attendee: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="EMAIL", help="Who takes part. May be given several times.", show_default=False),
    ] = None,
    repeat: Annotated[
        str,
        typer.Option(
            metavar="RULE",
            help="How it recurs: daily, weekly, monthly, yearly, or an RFC 5545 rule like FREQ=WEEKLY;BYDAY=MO,TH.",
            show_default=False,
        ),
    ] = "",
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Make an event. Its id is printed."""
    from parley_cli.commands import calendar as command
    from parley_cli.running import run_with_parley

    run_with_parley(
        address,
        token,
        lambda client, _: command.create(
            client,
            title,
            start,
            end=end,
            location=location,
            notes=notes,
            attendees=attendee or (),
            repeat=repeat,
            as_json=as_json,
        ),
    )


@calendar.command("delete")
def calendar_delete(
    identifier: Annotated[
        str, typer.Argument(metavar="ID", help="The event's id; or a meeting's, to delete this one of a series.")
    ],
    address: Address = None,
    token: Token = None,
) -> None:
    """Delete an event, or one meeting of a series."""
    from parley_cli.commands import calendar as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.delete(client, identifier))


@calendar.command("add-url")
def calendar_add_url(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where the calendar is, in the iCalendar format.")],
    name: Name = "",
    user: Username = "",
    password_file: PasswordFile = "",
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Connect a feed, and synchronize it."""
    from parley_cli.commands import calendar as command
    from parley_cli.running import run_with_parley

    run_with_parley(
        address,
        token,
        lambda client, _: command.add_feed(
            client, url, name=name, user=user, password_file=password_file, as_json=as_json
        ),
    )


@calendar.command("add-caldav")
def calendar_add_caldav(
    url: Annotated[str, typer.Argument(metavar="URL", help="The address of the server, or of the account there.")],
    user: Annotated[str, typer.Argument(metavar="USER", help="The user name there.")],
    name: Name = "",
    password_file: PasswordFile = "",
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="CALENDAR",
            help="Only this calendar, by its id. May be given several times.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Connect an account of a CalDAV server, and synchronize it."""
    from parley_cli.commands import calendar as command
    from parley_cli.running import run_with_parley

    run_with_parley(
        address,
        token,
        lambda client, _: command.add_caldav(
            client, url, user, name=name, password_file=password_file, only=only or (), as_json=as_json
        ),
    )


@calendar.command("accounts")
def calendar_accounts(as_json: Json = False, address: Address = None, token: Token = None) -> None:
    """List the calendars of other places, and how they are."""
    from parley_cli.commands import calendar as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.show_accounts(client, as_json=as_json))


@calendar.command("sync")
def calendar_sync(
    account_id: Annotated[str, typer.Argument(metavar="[ID]", help="Only this account.", show_default=False)] = "",
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Synchronize accounts now. Ends with 1 when one of them failed."""
    from parley_cli.commands import calendar as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.sync(client, account_id, as_json=as_json))


@calendar.command("brief")
def calendar_brief(
    meeting_id: Annotated[str, typer.Argument(metavar="ID", help="The meeting's id, as `calendar list` shows it.")],
    before: Annotated[int, typer.Option(metavar="MINUTES", min=0, max=1440, help="How long before it begins.")] = 15,
    every: Annotated[bool, typer.Option("--every", help="Before each meeting of its series.")] = False,
    session: Annotated[
        str, typer.Option(metavar="ID", help="The session to post to.", show_default='"Meeting briefs"')
    ] = "",
    about: Annotated[str, typer.Option(metavar="TEXT", help="What you want to know beside.", show_default=False)] = "",
    stop: Annotated[bool, typer.Option("--stop", help="No brief comes any more.")] = False,
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Have a brief prepared before a meeting, from your documents, tasks and past conversations."""
    from parley_cli.commands import meeting_briefs as command
    from parley_cli.running import run_with_parley

    if stop:
        run_with_parley(address, token, lambda client, _: command.stop(client, meeting_id))
        return
    run_with_parley(
        address,
        token,
        lambda client, _: command.prepare(
            client, meeting_id, before=before, every=every, session_id=session, about=about, as_json=as_json
        ),
    )


@calendar.command("briefs")
def calendar_briefs(as_json: Json = False, address: Address = None, token: Token = None) -> None:
    """List the briefs that are prepared, and how the last ones went."""
    from parley_cli.commands import meeting_briefs as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.show(client, as_json=as_json))


@calendar.command("remove")
def calendar_remove(account_id: AccountId, address: Address = None, token: Token = None) -> None:
    """Take an account away, and its events here with it."""
    from parley_cli.commands import calendar as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.remove(client, account_id))

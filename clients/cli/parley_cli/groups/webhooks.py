"""`parley webhook`: its commands, their options and their help."""

# ruff: noqa: PLC0415 - what a command does is imported when it runs

from __future__ import annotations

from typing import Annotated

import typer

from parley_cli.options import Address, Json, Token

webhooks = typer.Typer(help="Servers that events are delivered to.", no_args_is_help=True, rich_markup_mode=None)

WebhookId = Annotated[str, typer.Argument(metavar="ID", help="The webhook's id, as `webhook list` shows it.")]


@webhooks.command("add")
def webhook_add(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where events are posted to.")],
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TYPE",
            help="Only events of this type, like task.created, or of this kind, like 'task.*'. May be given several times.",
            show_default=False,
        ),
    ] = None,
    description: Annotated[str, typer.Option(metavar="TEXT", help="What it is for.", show_default=False)] = "",
    as_json: Json = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Deliver events to a server. The webhook's id and its secret are printed; the secret is not shown again."""
    from parley_cli.commands import webhooks as command
    from parley_cli.running import run_with_parley

    run_with_parley(
        address,
        token,
        lambda client, _: command.create(client, url, only=only or (), description=description, as_json=as_json),
    )


@webhooks.command("list")
def webhook_list(as_json: Json = False, address: Address = None, token: Token = None) -> None:
    """List webhooks, and how their deliveries stand."""
    from parley_cli.commands import webhooks as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.show(client, as_json=as_json))


@webhooks.command("test")
def webhook_test(webhook_id: WebhookId, as_json: Json = False, address: Address = None, token: Token = None) -> None:
    """Send a test now, and say how that ended. Ends with 1 when it could not be delivered."""
    from parley_cli.commands import webhooks as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.test(client, webhook_id, as_json=as_json))


@webhooks.command("enable")
def webhook_enable(
    webhook_id: WebhookId,
    skip_missed: Annotated[bool, typer.Option("--skip-missed", help="Pass over what was missed.")] = False,
    address: Address = None,
    token: Token = None,
) -> None:
    """Deliver again, from where it stopped."""
    from parley_cli.commands import webhooks as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.enable(client, webhook_id, skip_missed=skip_missed))


@webhooks.command("remove")
def webhook_remove(webhook_id: WebhookId, address: Address = None, token: Token = None) -> None:
    """Delete a webhook for good."""
    from parley_cli.commands import webhooks as command
    from parley_cli.running import run_with_parley

    run_with_parley(address, token, lambda client, _: command.remove(client, webhook_id))

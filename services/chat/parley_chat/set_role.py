"""Gives a user a role in chat's database: `python -m parley_chat.set_role ada@example.org admin`. So the operator makes the first admin.

It works on the database that the environment names, whether or not the service runs: whoever can read that is asked for nothing else.
Admins do the rest with IdentityService.SetUserRole.
"""

from __future__ import annotations

import argparse
from typing import NoReturn

from parley_shared.logs import set_up_logs
from parley_shared.serving import run
from parley_shared.settings import Environment
from parley_shared.sql import Database

from parley_chat.adapters.sql_accounts import SqlAccounts
from parley_chat.database_assembly import migrate_database
from parley_chat.domain.accounts import Role, UserNotFoundError
from parley_chat.operations.users import set_role_by_email
from parley_chat.settings import ChatSettings


def main() -> NoReturn:
    """Reads the command line, and changes the role. Ends with 1 when there is no such user."""
    parser = argparse.ArgumentParser(prog="python -m parley_chat.set_role", description="Give a user a role.")
    parser.add_argument("email", help="the address that the user signs in with")
    parser.add_argument("role", choices=[role.value for role in Role])
    given = parser.parse_args()

    async def work() -> None:
        settings = ChatSettings.read(Environment())
        # For the audit trail.
        set_up_logs(settings.service.service, settings.service.log_level, settings.service.log_format)
        await migrate_database(settings)
        database = Database.open(settings.database_url)
        try:
            user = await set_role_by_email(SqlAccounts(database), given.email, Role(given.role))
        except UserNotFoundError:
            raise SystemExit(f"Nobody signs in with {given.email!r} here.") from None
        finally:
            await database.close()
        print(f"{user.email} ({user.user_id}) is {user.role.value} now.")

    run(work)


if __name__ == "__main__":
    main()

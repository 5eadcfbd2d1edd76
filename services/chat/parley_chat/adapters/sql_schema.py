"""Every table of chat's database: here, or in the modules that are imported below. Not the statements on them, and not the migrations that
make them.

The migrations in `parley_chat/migrations` must lead to exactly these tables; a test compares the two on SQLite and on
PostgreSQL. Names of things (`usr_…`, `ses_…`) are made by the domain, so no table counts for itself. An index that
serves a "newest first" list is read backwards: order by every column of it, all descending.
"""

from __future__ import annotations

from parley_shared.sql import UtcDateTime
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from parley_chat.adapters import (
    sql_approval_schema,
    sql_audit_schema,
    sql_batch_schema,
    sql_budget_schema,
    sql_calendar_schema,
    sql_flag_schema,
    sql_meeting_bot_schema,
    sql_metadata,
    sql_project_schema,
    sql_webhook_schema,
)

metadata = sql_metadata.metadata
ELSEWHERE = (
    sql_approval_schema,
    sql_audit_schema,
    sql_batch_schema,
    sql_budget_schema,
    sql_calendar_schema,
    sql_flag_schema,
    sql_project_schema,
    sql_webhook_schema,
    sql_meeting_bot_schema,
)
"""The modules with the other tables: imported here, so that whoever has `metadata` has them all."""

# Identity ------------------------------------------------------------------------------------------------------------

users = Table(
    "users",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("email", Text, nullable=False, unique=True),  # As `normalize_email` leaves it.
    Column("display_name", Text, nullable=False),
    Column("password_hash", Text, nullable=False),  # argon2id, with its parameters, in PHC string format.
    Column("create_time", UtcDateTime, nullable=False),
    Column("role", Text, nullable=False, server_default="user"),
    Column("disable_time", UtcDateTime, nullable=True),
    # Of a foreign user: who says who it is, the name there, and the address told. Its own `email` is made up, and it has no password.
    Column("issuer", Text, nullable=True),
    Column("subject", Text, nullable=True),
    Column("told_email", Text, nullable=True),
    # The number of the user's newest event. Written first in a transaction that changes what the user owns, so that writers queue for it.
    Column("event_counter", BigInteger, nullable=False, server_default="0"),
)

Index("ix_users_foreign", users.c.issuer, users.c.subject, unique=True)
Index("ix_users_newest", users.c.create_time, users.c.user_id)

# Sign-ins that failed, by what they have in common: an account, known or not, or that and an address of the network.
sign_in_failures = Table(
    "sign_in_failures",
    metadata,
    Column("key", Text, primary_key=True),  # SHA-256: who reads this learns no address.
    Column("failures", Integer, nullable=False),
    Column("fail_time", UtcDateTime, nullable=False, index=True),
    Column("retry_time", UtcDateTime, nullable=False),
)

# One sign-in is one family of refresh tokens; it ends as a whole.
sign_ins = Table(
    "sign_ins",
    metadata,
    Column("sign_in_id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.user_id", ondelete="CASCADE"), nullable=False, index=True),
    Column("create_time", UtcDateTime, nullable=False),
    Column("end_time", UtcDateTime, nullable=True),  # When it was ended early; its tokens also end by themselves.
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("token_hash", Text, primary_key=True),  # SHA-256 of the token, hexadecimal. The token itself is not stored.
    Column("sign_in_id", Text, ForeignKey("sign_ins.sign_in_id", ondelete="CASCADE"), nullable=False, index=True),
    Column("create_time", UtcDateTime, nullable=False),
    Column("expire_time", UtcDateTime, nullable=False),
    Column("use_time", UtcDateTime, nullable=True),  # When it bought the next pair. A second use ends the sign-in.
)

# Personal access tokens. The token itself is a JWT and is not stored; its `jti` is the key here.
access_tokens = Table(
    "access_tokens",
    metadata,
    Column("access_token_id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.user_id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("scopes", JSON, nullable=False),  # A list of strings in alphabetical order.
    Column("create_time", UtcDateTime, nullable=False),
    Column("expire_time", UtcDateTime, nullable=False),
    Column("revoke_time", UtcDateTime, nullable=True),
)
Index("ix_access_tokens_newest", access_tokens.c.user_id, access_tokens.c.create_time, access_tokens.c.access_token_id)

# Conversations -------------------------------------------------------------------------------------------------------

sessions = Table(
    "sessions",
    metadata,
    Column("session_id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.user_id", ondelete="CASCADE"), nullable=False),
    Column("title", Text, nullable=False),
    Column("title_is_set", Boolean, nullable=False),  # True once the user chose it: then no message changes it.
    Column("create_time", UtcDateTime, nullable=False),
    Column("update_time", UtcDateTime, nullable=False),
    Column("tip_message_id", Text, nullable=True),  # The newest message. No foreign key: messages point here already.
    # The last position given out. Written first in a transaction (`UPDATE … RETURNING`), so that writers queue for it.
    Column("message_counter", Integer, nullable=False),
    Column("project_id", Text, nullable=False, server_default=""),  # Empty when it belongs to none.
    # Whether a model was asked for a title: it is once.
    Column("title_was_asked", Boolean, nullable=False, server_default=false()),
)
Index("ix_sessions_newest", sessions.c.user_id, sessions.c.update_time, sessions.c.session_id)
# Whoever wants it used says this condition in the same words: SQLite proves no other.
in_project = text("project_id <> ''")
Index(
    "ix_sessions_project",
    sessions.c.user_id,
    sessions.c.project_id,
    sessions.c.update_time,
    sessions.c.session_id,
    sqlite_where=in_project,
    postgresql_where=in_project,
)

messages = Table(
    "messages",
    metadata,
    Column("message_id", Text, primary_key=True),
    Column("session_id", Text, ForeignKey("sessions.session_id", ondelete="CASCADE"), nullable=False),
    Column("user_id", Text, nullable=False),  # The owner of the session, so that no lookup by message needs a join.
    Column("parent_message_id", Text, nullable=True),  # NULL for the first of a session.
    Column("position", Integer, nullable=False),  # Order within the session, from its `message_counter`.
    Column("role", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("turn_id", Text, nullable=False),
    Column("citations", JSON, nullable=False),  # A list of objects.
    Column("usage", JSON(none_as_null=True), nullable=True),
    Column("route", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("failure", JSON(none_as_null=True), nullable=True),
    Column("client_message_id", Text, nullable=False),
    Column("trace_id", Text, nullable=False),
    Column("tool_uses", JSON, nullable=False, server_default="[]"),  # A list of objects.
    Column("route_reason", Text, nullable=False, server_default=""),
    UniqueConstraint("session_id", "position"),
)

turns = Table(
    "turns",
    metadata,
    Column("turn_id", Text, primary_key=True),
    Column("session_id", Text, ForeignKey("sessions.session_id", ondelete="CASCADE"), nullable=False),
    Column("user_id", Text, ForeignKey("users.user_id", ondelete="CASCADE"), nullable=False),
    Column("client_message_id", Text, nullable=False),
    Column("request_digest", Text, nullable=False),  # Tells a retry from another request under the same name.
    Column("user_message_id", Text, nullable=False),
    Column("message_id", Text, nullable=False),  # The answer.
    Column("state", Text, nullable=False),  # running, completed, failed, stopped
    Column("create_time", UtcDateTime, nullable=False),
    Column("end_time", UtcDateTime, nullable=True),  # NULL while it runs.
    # What the request asked for, for whoever goes on with the turn when its process died.
    Column("wished_route", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("on_failure", Text, nullable=False),
    Column("queue_when_unavailable", Boolean, nullable=False, server_default=false()),
    # The replica that writes it. Who has no row in `replicas`, or one that ran out, is dead: others may take its turns.
    Column("owner_id", Text, nullable=False, server_default=""),
    Column("fence", Integer, nullable=False, server_default="1"),  # One more with each owner.
    Column("stop_request_time", UtcDateTime, nullable=True),  # When somebody asked to stop it.
    Column("queue_time", UtcDateTime, nullable=True),  # Since when it waits for a model.
    Column(
        "scopes", JSON, nullable=False, server_default="[]"
    ),  # What the token that began it allows: a list of strings.
    Column("time_zone", Text, nullable=False, server_default="UTC"),
    # That of the session when it began; it may be deleted.
    Column("project_id", Text, nullable=False, server_default=""),
    UniqueConstraint("user_id", "client_message_id"),
)
Index("ix_turns_session", turns.c.session_id, turns.c.create_time, turns.c.turn_id)
# What runs, and whose: few among all.
_is_running = text("state = 'running'")
Index("ix_turns_running", turns.c.user_id, sqlite_where=_is_running, postgresql_where=_is_running)

# Tools that took effect, in the transaction of their effect, so that none takes effect twice.
tool_runs = Table(
    "tool_runs",
    metadata,
    Column("turn_id", Text, ForeignKey("turns.turn_id", ondelete="CASCADE"), primary_key=True),
    Column("tool_call_id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("result_json", Text, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
)

# The chat processes that write turns. Each has one lease for all its turns, by the database's clock.
replicas = Table(
    "replicas",
    metadata,
    Column("replica_id", Text, primary_key=True),
    Column("has_shared_log", Boolean, nullable=False),
    Column("lease_expire_time", UtcDateTime, nullable=False),
)

# Workspace -----------------------------------------------------------------------------------------------------------

tasks = Table(
    "tasks",
    metadata,
    Column("task_id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.user_id", ondelete="CASCADE"), nullable=False),
    Column("title", Text, nullable=False),
    Column("notes", Text, nullable=False),
    Column("due_time", UtcDateTime, nullable=True),  # NULL when it is not due at any time.
    Column("time_zone", Text, nullable=False),
    Column("priority", Text, nullable=False),  # low, normal, high
    Column("state", Text, nullable=False),  # open, completed
    Column("project", Text, nullable=False),  # The id of a project, or a label.
    Column("create_time", UtcDateTime, nullable=False),
    Column("update_time", UtcDateTime, nullable=False),
    Column("complete_time", UtcDateTime, nullable=True),
    Column(
        "turn_id", Text, nullable=False
    ),  # The turn whose model made it; empty when the user did. It may be deleted.
    Column(
        "recurrence", Text, nullable=False, server_default=""
    ),  # The value of an RRULE; empty when it does not recur.
    Column("wall_time", Text, nullable=True),  # ISO 8601 without a zone; NULL when it does not recur.
    Column("remind_minutes_before", JSON, nullable=False, server_default="[]"),
    Column("remind_time", UtcDateTime, nullable=True),  # The next reminder that is to come; NULL when there is none.
    Column("next_task_id", Text, nullable=False, server_default=""),  # It may be deleted.
)
Index("ix_tasks_due", tasks.c.user_id, tasks.c.state, tasks.c.due_time, tasks.c.task_id)
Index("ix_tasks_newest", tasks.c.user_id, tasks.c.create_time, tasks.c.task_id)
has_project = text("project <> ''")
Index(
    "ix_tasks_project",
    tasks.c.user_id,
    tasks.c.project,
    tasks.c.state,
    sqlite_where=has_project,
    postgresql_where=has_project,
)
# Reminders to come: few among all tasks.
_reminds = text("remind_time IS NOT NULL")
Index("ix_tasks_remind", tasks.c.remind_time, tasks.c.user_id, sqlite_where=_reminds, postgresql_where=_reminds)

# Events --------------------------------------------------------------------------------------------------------------

# What changed in what users own: written in the transaction of the change, and never again.
events = Table(
    "events",
    metadata,
    Column("user_id", Text, ForeignKey("users.user_id", ondelete="CASCADE"), primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("time", UtcDateTime, nullable=False),
    Column("action", Text, nullable=False),  # created, updated, deleted, reminded
    Column("resource_type", Text, nullable=False),
    Column("resource_id", Text, nullable=False),
    Column("turn_id", Text, nullable=False),
    Column("snapshot", JSON(none_as_null=True), nullable=True),  # The thing as it was; NULL when it was deleted.
    Column("remind_time", UtcDateTime, nullable=True),  # Of a reminder: the time that it was meant for.
)

# How far retrieval's index has been told of a user's events.
index_cursors = Table(
    "index_cursors",
    metadata,
    Column("user_id", Text, ForeignKey("users.user_id", ondelete="CASCADE"), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
)

# Usage ---------------------------------------------------------------------------------------------------------------

# What models took, one row for each text that they were asked for. Never changed; sessions go, and what they took stays.
usage_records = Table(
    "usage_records",
    metadata,
    Column("usage_id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.user_id", ondelete="CASCADE"), nullable=False),
    # Milliseconds since 1970, UTC: days of any time zone are reckoned with whole numbers.
    Column("end_ms", BigInteger, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("session_id", Text, nullable=False),  # Empty for what belongs to none.
    Column("route", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("estimated", Boolean, nullable=False),
    Column("cost_usd_micros", BigInteger, nullable=True),  # NULL when the price of a model is not known.
    Column("time_to_first_token_ms", BigInteger, nullable=False),  # 0 when there was no text.
    Column("duration_ms", BigInteger, nullable=False),
    # That of the session at the time; empty for what belongs to none.
    Column("project_id", Text, nullable=False, server_default=""),
)
Index("ix_usage_records_time", usage_records.c.user_id, usage_records.c.end_ms)

"""The equivalent of Parley's calls without a model: sessions and messages in FastAPI and SQLite, behind a token.

Written as one would write it: plain functions, which FastAPI runs in threads, the `sqlite3` package in WAL mode, a connection per thread,
and a JWT (ES256, as Parley's) that is checked for each call. It has no events, no audit, no traces and no limits.
"""

from __future__ import annotations

import argparse
import sqlite3
import threading
import time
import uuid
from pathlib import Path
from typing import Annotated, Any

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel

_TABLES = """
CREATE TABLE IF NOT EXISTS sessions (session_id TEXT PRIMARY KEY, user_id TEXT, title TEXT, create_time REAL);
CREATE TABLE IF NOT EXISTS messages (message_id TEXT PRIMARY KEY, session_id TEXT, role TEXT, text TEXT, create_time REAL);
CREATE INDEX IF NOT EXISTS messages_of_session ON messages (session_id, create_time);
"""


class NewSession(BaseModel):
    """What a session is made of."""

    title: str = ""


def make_app(path: Path, key: ec.EllipticCurvePublicKey) -> FastAPI:
    """The app over one database; makes its tables."""
    app = FastAPI()
    local = threading.local()

    def database() -> sqlite3.Connection:
        if not hasattr(local, "connection"):
            local.connection = sqlite3.connect(path, timeout=30)
            local.connection.execute("PRAGMA journal_mode=WAL")
            local.connection.execute("PRAGMA synchronous=NORMAL")
            local.connection.executescript(_TABLES)
        connection: sqlite3.Connection = local.connection
        return connection

    def user(authorization: Annotated[str, Header()]) -> str:
        try:
            claims = jwt.decode(authorization.removeprefix("Bearer "), key, algorithms=["ES256"], audience="bench")
        except jwt.InvalidTokenError as error:
            raise HTTPException(401) from error
        return str(claims["sub"])

    @app.post("/sessions")
    def create_session(body: NewSession, user_id: str = Depends(user)) -> dict[str, Any]:
        session = (f"ses_{uuid.uuid4().hex}", user_id, body.title, time.time())
        with database() as connection:
            connection.execute("INSERT INTO sessions VALUES (?, ?, ?, ?)", session)
        return {"session": dict(zip(("session_id", "user_id", "title", "create_time"), session, strict=True))}

    @app.post("/sessions/{session_id}/messages")
    def add_messages(session_id: str, user_id: str = Depends(user)) -> dict[str, Any]:
        """Adds a question and an answer, as a turn does."""
        with database() as connection:
            for role, text in (("user", "Say something."), ("assistant", "~0.1 ~1.1 ~2.1 ~3.1 ~4.1 ")):
                message = (f"msg_{uuid.uuid4().hex}", session_id, role, text, time.time())
                connection.execute("INSERT INTO messages VALUES (?, ?, ?, ?, ?)", message)
        return {"user_id": user_id}

    @app.get("/sessions/{session_id}/messages")
    def list_messages(session_id: str, user_id: str = Depends(user)) -> dict[str, Any]:
        connection = database()
        if not connection.execute(
            "SELECT 1 FROM sessions WHERE session_id = ? AND user_id = ?", (session_id, user_id)
        ).fetchone():
            raise HTTPException(404)
        rows = connection.execute(
            "SELECT message_id, role, text, create_time FROM messages WHERE session_id = ? ORDER BY create_time LIMIT 100",
            (session_id,),
        )
        return {
            "messages": [dict(zip(("message_id", "role", "text", "create_time"), row, strict=True)) for row in rows]
        }

    return app


def main() -> None:
    """Serves the app on loopback until it is told to stop; prints a token for it first."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True, type=Path, help="where the database is made")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    key = ec.generate_private_key(ec.SECP256R1())
    claims = {"sub": "usr_bench", "aud": "bench", "exp": int(time.time()) + 86400}
    print("token", jwt.encode(claims, key, algorithm="ES256"), flush=True)
    app = make_app(arguments.folder / "peer.db", key.public_key())
    uvicorn.run(app, host="127.0.0.1", port=arguments.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()

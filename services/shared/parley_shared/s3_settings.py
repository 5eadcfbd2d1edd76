"""Where an object store is, and with what credentials: the variables are those that AWS's own tools read, for any server that speaks S3."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from parley_shared.settings import Environment, Secret, SettingsError

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"(?:[A-Za-z0-9!_()=-][A-Za-z0-9!_.()=-]*/)*[A-Za-z0-9!_()=-][A-Za-z0-9!_.()=-]*")
_PREFIX_MOST = 500


@dataclass(frozen=True)
class S3Settings:
    """A folder in a bucket."""

    bucket: str
    """The bucket."""
    prefix: str
    """The folder within it; empty for the bucket itself."""
    endpoint_url: str
    """AWS_ENDPOINT_URL: where another server than AWS's own is. Default: AWS."""
    region: str
    """AWS_REGION. Default: us-east-1."""
    access_key_id: str
    """AWS_ACCESS_KEY_ID. Without it the credentials are those that the machine or the pod has at AWS."""
    secret_access_key: Secret | None
    """AWS_SECRET_ACCESS_KEY."""
    session_token: Secret | None
    """AWS_SESSION_TOKEN, for credentials that last a while."""

    @classmethod
    def read(cls, environment: Environment, variable: str) -> S3Settings | None:
        """The place that the variable names as `s3://bucket/folder`; None when it is not set. Raises SettingsError."""
        given = environment.text(variable, "")
        if not given:
            return None
        scheme, _, rest = given.partition("://")
        bucket, _, prefix = rest.partition("/")
        prefix = prefix.removesuffix("/")
        fits = scheme == "s3" and _BUCKET.fullmatch(bucket) and len(prefix) <= _PREFIX_MOST
        if not fits or (prefix and not _PREFIX.fullmatch(prefix)):
            raise SettingsError(variable, f"{variable} must be a place in a bucket, like s3://bucket/folder.")
        settings = cls(
            bucket=bucket,
            prefix=prefix,
            endpoint_url=_endpoint(environment.text("AWS_ENDPOINT_URL", "")),
            region=environment.text("AWS_REGION", "us-east-1"),
            access_key_id=environment.text("AWS_ACCESS_KEY_ID", ""),
            secret_access_key=environment.secret("AWS_SECRET_ACCESS_KEY"),
            session_token=environment.secret("AWS_SESSION_TOKEN"),
        )
        if bool(settings.access_key_id) != bool(settings.secret_access_key):
            missing = "AWS_SECRET_ACCESS_KEY" if settings.access_key_id else "AWS_ACCESS_KEY_ID"
            raise SettingsError(missing, f"{missing} is missing: {variable} needs both halves of the key, or neither.")
        return settings


def _endpoint(given: str) -> str:
    if not given:
        return ""
    name = "AWS_ENDPOINT_URL"
    try:
        url = urlsplit(given)
        fits = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:
        fits = False
    # The value is not repeated: it may hold a password.
    if not fits or url.username is not None or url.query or url.fragment:
        raise SettingsError(name, f"{name} must be the address of a server, like https://s3.example.com.")
    return given.rstrip("/")

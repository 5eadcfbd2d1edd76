"""The command `python -m parley_shared.check_health`: exits with 0 when the service of this container takes calls, with 1 when it does not.

For probes that cannot do it themselves: those of Kubernetes and of Compose speak no TLS.
"""

from __future__ import annotations

import sys
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from parley_shared.mutual_tls import channel_credentials
from parley_shared.settings import Environment, SettingsError, TlsFiles

_ASKING_SECONDS = 3.0


def main(arguments: list[str]) -> int:
    """Asks the address that is given, "host:port". The certificate, if there is one, must be for that host."""
    if len(arguments) != 1:
        print("usage: python -m parley_shared.check_health HOST:PORT", file=sys.stderr)
        return 2
    try:
        tls = TlsFiles.read(Environment())
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    (address,) = arguments
    with grpc.secure_channel(address, channel_credentials(tls)) if tls else grpc.insecure_channel(address) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        try:
            answer = health.Check(health_pb2.HealthCheckRequest(), timeout=_ASKING_SECONDS)
        except grpc.RpcError as error:
            print(f"{address}: {error.code().name}", file=sys.stderr)
            return 1
    return int(answer.status != health_pb2.HealthCheckResponse.SERVING)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

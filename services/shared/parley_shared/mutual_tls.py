"""TLS between the edge and the services, and among these, with certificates on both sides.

Whoever has a certificate of the authorities may connect; what may be called is still the token's to say. The files are read when a server
starts or a channel is opened: a renewed certificate counts from the next start.
"""

from __future__ import annotations

import grpc

from parley_shared.settings import TlsFiles


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Shows the certificate, and wants one."""
    pair = (files.key.read_bytes(), files.certificate.read_bytes())
    return grpc.ssl_server_credentials([pair], files.authorities.read_bytes(), require_client_auth=True)


def channel_credentials(files: TlsFiles) -> grpc.ChannelCredentials:
    """Shows the certificate, and wants one for the host that is called."""
    return grpc.ssl_channel_credentials(
        files.authorities.read_bytes(), files.key.read_bytes(), files.certificate.read_bytes()
    )

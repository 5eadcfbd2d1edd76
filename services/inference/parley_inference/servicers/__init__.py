"""One file per gRPC service: unpack, check, call, pack."""

"""The gRPC services: unpack, check, call, pack."""

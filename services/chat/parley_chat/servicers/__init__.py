"""One file per gRPC service of chat: unpack, check, call, pack."""

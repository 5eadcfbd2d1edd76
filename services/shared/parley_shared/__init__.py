"""What every Parley service is served with. Knows gRPC and OpenTelemetry; knows no service and no model."""

import os

# gRPC's core writes to standard error past every log format, and reads this when it is imported, which nobody has done before us.
# What matters of its words reaches us as statuses and errors; `GRPC_VERBOSITY=info` brings them back.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

# Read at the same time. gRPC would start its threads anew in every forked child, where one of them can touch memory that is gone: the child
# dies (SIGSEGV) before it becomes the program that was wanted. Our children are other programs and use no gRPC between the two.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

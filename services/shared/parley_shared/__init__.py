"""What every Parley service is served with. Knows gRPC and OpenTelemetry; knows no service and no model."""

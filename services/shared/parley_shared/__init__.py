"""What every Parley service is served with."""

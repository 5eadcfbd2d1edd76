"""What the tests of all rings share: one file per thing, imported as `parley_testing.<file>`."""

"""What every test may ask for: pytest's own tester of plugins."""

pytest_plugins = ["pytester"]

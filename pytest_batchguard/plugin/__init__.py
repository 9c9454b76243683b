"""The only rooms that import pytest: options, markers, fixtures, hooks and the session that ties them."""

"""Parent and child process: a callable run in a process of its own, whatever that process does."""

from pytest_batchguard.core.plan import Pass


def test_memory_pass_takes_memory_alone():
    assert (Pass.MEMORY.takes_memory, Pass.MEMORY.takes_throughput) == (True, False)


def test_throughput_pass_takes_throughput_alone():
    assert (Pass.THROUGHPUT.takes_memory, Pass.THROUGHPUT.takes_throughput) == (False, True)


def test_whole_pass_takes_both():
    assert (Pass.WHOLE.takes_memory, Pass.WHOLE.takes_throughput) == (True, True)

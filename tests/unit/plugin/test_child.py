"""What the processes beside the parent's leave alone."""

import os
from types import SimpleNamespace

from pytest_batchguard.plugin.child import CaseLister


def test_listing_the_base_writes_no_log_and_no_report():
    config = SimpleNamespace(
        option=SimpleNamespace(log_file="/work/run.log", xmlpath="/work/junit.xml", keyword="fast")
    )
    CaseLister(print).pytest_configure(config)
    assert config.option.log_file == os.devnull
    assert config.option.xmlpath is None
    assert config.option.keyword == "fast", "what is selected is not the lister's"

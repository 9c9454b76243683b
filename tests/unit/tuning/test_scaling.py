"""The learning rate that goes with a batch size."""

import pytest

from pytest_batchguard.tuning.scaling import ScalingRule, rule_for


@pytest.mark.parametrize(
    ("optimizer", "rule"),
    [
        ("SGD", ScalingRule.LINEAR),
        ("Adam", ScalingRule.SQUARE_ROOT),
        ("AdamW", ScalingRule.SQUARE_ROOT),
        ("RMSprop", ScalingRule.SQUARE_ROOT),
        ("MyOwn", ScalingRule.NONE),
        (None, ScalingRule.NONE),
    ],
)
def test_rule_goes_by_the_optimizer(optimizer, rule):
    assert rule_for(optimizer) is rule


@pytest.mark.parametrize(
    ("rule", "factor"), [(ScalingRule.LINEAR, 4.0), (ScalingRule.SQUARE_ROOT, 2.0), (ScalingRule.NONE, 1.0)]
)
def test_four_times_the_batch(rule, factor):
    assert rule.factor(128, 32) == factor


@pytest.mark.parametrize("rule", ScalingRule)
def test_declared_size_keeps_its_learning_rate(rule):
    assert rule.factor(32, 32) == 1


@pytest.mark.parametrize("rule", ScalingRule)
def test_rule_names_its_source_or_says_that_there_is_none(rule):
    assert "et al." in rule.value or "no rule" in rule.value

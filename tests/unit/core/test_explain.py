import pytest

from pytest_batchguard.core.explain import explain_changes, explain_slowdown
from pytest_batchguard.core.model import ModelFingerprint, Provenance
from tests.unit.samples import baseline, breakdown, full_baseline, measurement, throughput


def explain(model=(None, None), provenance=(None, None)):
    before = baseline(model=model[0] or ModelFingerprint(), recorded_with=provenance[0] or Provenance())
    after = measurement(model=model[1] or ModelFingerprint(), provenance=provenance[1] or Provenance())
    return explain_changes(before, after)


def test_equal_sides_changed_nothing():
    accepted = full_baseline()
    assert explain((accepted.model, accepted.model), (accepted.recorded_with, accepted.recorded_with)) == ()


def test_change_of_the_model_comes_before_the_versions():
    changes = explain(
        (ModelFingerprint(parameters=1_200_000), ModelFingerprint(parameters=2_400_000)),
        (Provenance(tensorflow="2.20.0", commit="a"), Provenance(tensorflow="2.21.0", commit="b")),
    )
    assert changes == ("parameters 1,200,000 → 2,400,000", "commit a → b", "TensorFlow 2.20.0 → 2.21.0")


def test_switches_read_on_and_off():
    changes = explain(
        (ModelFingerprint(jit_compile=False), ModelFingerprint(jit_compile=True)),
        (Provenance(deterministic=True), Provenance(deterministic=False)),
    )
    assert changes == ("XLA (jit_compile) off → on", "op determinism on → off")


def test_batch_shapes_are_listed():
    changes = explain(
        (
            ModelFingerprint(batch_shapes=("float32[32, 8, 8, 3]", "int64[32]")),
            ModelFingerprint(batch_shapes=("float16[32, 8, 8, 3]", "int64[32]")),
        )
    )
    assert changes == ("batch float32[32, 8, 8, 3], int64[32] → float16[32, 8, 8, 3], int64[32]",)


def test_learning_rate_is_shown_as_it_is():
    assert explain((ModelFingerprint(learning_rate=0.001), ModelFingerprint(learning_rate=0.1))) == (
        "learning rate 0.001 → 0.1",
    )


def test_what_one_side_does_not_know_is_no_change():
    known = ModelFingerprint(parameters=5, batch_shapes=("float32[1]",))
    assert explain((known, ModelFingerprint())) == ()
    assert explain((ModelFingerprint(), known)) == ()


def test_zero_is_known():
    assert explain((ModelFingerprint(trainable=0), ModelFingerprint(trainable=5))) == ("trainable parameters 0 → 5",)


def test_date_is_no_change():
    assert explain(provenance=(Provenance(date="2026-01-01"), Provenance(date="2026-01-02"))) == ()


def slowdown(then, now, pace=2.5):
    return explain_slowdown(baseline(breakdown=then), measurement(throughput=throughput(pace), breakdown=now))


@pytest.mark.parametrize(
    ("pipeline", "model", "explained"),
    [
        (0.1, 0.05, "the input pipeline (+25 %) became slower, the model (+0.0 %) did not"),
        (0.08, 0.0625, "the model (+25 %) became slower, the input pipeline (+0.0 %) did not"),
        (0.1, 0.0625, "the input pipeline (+25 %) and the model (+25 %) became slower"),
        (0.08, 0.05, "the input pipeline (+0.0 %) and the model (+0.0 %) did not become as much slower"),
        (0.09, 0.05, "the input pipeline (+12 %) became slower, the model (+0.0 %) did not"),
        (0.0899, 0.05, "the input pipeline (+12 %) and the model (+0.0 %) did not become as much slower"),
    ],
)
def test_part_that_grew_by_half_as_much_as_the_step_became_slower(pipeline, model, explained):
    then, now = breakdown(0.05, 0.1, 0.08), breakdown(model, 0.125, pipeline)

    assert slowdown(then, now) == f"timed alone, {explained}"


def test_slower_machine_makes_no_part_slower():
    then, now = breakdown(0.05, 0.1, 0.08), breakdown(0.1, 0.25, 0.2)

    assert slowdown(then, now) == "timed alone, the input pipeline (+25 %) became slower, the model (+0.0 %) did not"


def test_pipeline_that_was_not_timed_is_not_mentioned():
    then, now = breakdown(0.05, 0.1, None), breakdown(0.0625, 0.125, 0.08)

    assert slowdown(then, now) == "timed alone, the model (+25 %) became slower"


@pytest.mark.parametrize(("then", "now"), [(None, breakdown()), (breakdown(), None)])
def test_without_both_timings_nothing_is_known_of_the_parts(then, now):
    assert slowdown(then, now) == ""

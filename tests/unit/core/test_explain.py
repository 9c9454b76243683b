from pytest_batchguard.core.explain import explain_changes
from pytest_batchguard.core.model import ModelFingerprint, Provenance
from tests.unit.samples import baseline, full_baseline, measurement


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

"""Which batch size is recommended, and the reasons that are given."""

from dataclasses import replace

import pytest

from pytest_batchguard.core.model import ImageSize
from pytest_batchguard.core.tuning import Largest, NoiseScale, SpeedPoint, Trial, Tuning
from pytest_batchguard.tuning.recommend import candidates, favourite, recommend
from pytest_batchguard.tuning.scaling import ScalingRule

GIB = 2**30


def point(size, rate, waiting_share=None):
    return SpeedPoint(size, rate, size / rate, size / rate, size / rate, waiting_share)


TUNING = Tuning(
    guard="test_x.py::test_x",
    image_size=ImageSize(32, 32),
    declared=(32, 300),
    data_images=1437,
    largest=Largest(256, int(0.97 * GIB), GIB, 260, 4),
    peaks={32: GIB // 8, 64: GIB // 4, 128: GIB // 2, 256: int(0.97 * GIB)},
    curve=(point(16, 100), point(32, 180), point(64, 300), point(128, 310), point(256, 312)),
    plateau=64,
)


def noisy(images, low=1.0, high=1e6):
    return replace(TUNING, noise=(NoiseScale(1.0, 1.0, 1.0, 20), NoiseScale(images, low, high, 20)))


def trials(**losses):
    return tuple(Trial(int(size[1:]), 2048, 2048 // int(size[1:]), 0.001, loss) for size, loss in losses.items())


def reasons(tuning, rate=0.001, rule=ScalingRule.SQUARE_ROOT):
    return "\n".join(recommend(tuning, rate, rule).reasons)


def test_plateau_decides_where_the_noise_is_not_known():
    assert favourite(TUNING) == 64


def test_throughput_that_still_grows_leads_to_the_largest_with_room():
    assert favourite(replace(TUNING, plateau=None)) == 128  # 256 leaves 3 % of the memory


def test_undetermined_noise_leaves_it_to_the_plateau():
    assert favourite(noisy(None, None, None)) == 64


@pytest.mark.parametrize(("noise", "size"), [(0.1, 16), (40, 64), (1e6, 128)])
def test_clear_gradient_wants_small_batches_and_noisy_one_the_fastest(noise, size):
    assert favourite(noisy(noise)) == size


def test_nothing_beyond_the_largest_is_recommended():
    small = replace(TUNING, largest=Largest(48, GIB // 4, GIB, 49, 4), plateau=None)

    assert favourite(small) == 32


def test_nothing_timed_leaves_the_largest():
    assert favourite(replace(TUNING, curve=())) == 256


def test_nothing_found_recommends_nothing():
    nothing = Tuning("test_x", ImageSize(32, 32), (32,))

    assert favourite(nothing) is None
    assert recommend(nothing, 0.001, ScalingRule.LINEAR) is None


def test_candidates_are_declared_favourite_plateau_and_largest_timed():
    assert candidates(noisy(0.1)) == [16, 32, 64, 256]


def test_declared_size_that_does_not_fit_is_no_candidate():
    assert 300 not in candidates(TUNING)


@pytest.mark.parametrize(
    ("rule", "rate"),
    [(ScalingRule.LINEAR, 0.002), (ScalingRule.SQUARE_ROOT, 0.001 * 2**0.5), (ScalingRule.NONE, 0.001)],
)
def test_learning_rate_follows_from_the_first_declared_size(rule, rate):
    recommendation = recommend(TUNING, 0.001, rule)

    assert recommendation.batch_size == 64
    assert recommendation.learning_rate == pytest.approx(rate)
    assert recommendation.rule == rule.value


def test_optimizer_without_a_learning_rate_gets_none():
    assert recommend(TUNING, None, ScalingRule.NONE).learning_rate is None


def test_schedule_is_to_be_multiplied():
    assert "schedule yields as learning rate wants to be multiplied by 1.41: square root" in reasons(TUNING, rate=None)
    assert "schedule" not in reasons(TUNING, rate=0.001)
    assert "schedule" not in reasons(TUNING, rate=None, rule=ScalingRule.NONE)


def test_reasons_name_memory_speed_and_steps():
    text = reasons(TUNING)

    assert "it fits 1 GiB with 74.6 % headroom to what 260 would take; the largest that does is 256" in text
    assert "it trains 300 images/s; from 64 on doubling gains less than 5 %" in text
    assert "an epoch of 1,437 images takes 23 steps" in text


def test_headroom_is_of_the_limit_where_nothing_ran_out_of_memory():
    whole = replace(TUNING, largest=replace(TUNING.largest, smallest_failing=None))
    assert "it fits 1 GiB with 75 % headroom; the largest that does is 256" in reasons(whole)


def test_room_is_reckoned_from_what_a_training_was_seen_to_get():
    """A framework's pool may be a tenth smaller than the device."""
    pool = replace(TUNING, largest=replace(TUNING.largest, peak_bytes=int(0.5 * GIB)), plateau=None)
    assert favourite(pool) == 64
    assert favourite(replace(pool, largest=replace(pool.largest, smallest_failing=None))) == 128


def test_largest_is_recommended_where_the_next_size_would_have_taken_much_more():
    few = replace(
        TUNING,
        declared=(16,),
        largest=Largest(10, int(0.88 * GIB), GIB, 11, 4),
        peaks={10: int(0.88 * GIB)},
        curve=(point(10, 100),),
        plateau=None,
    )
    assert favourite(few) == 10
    assert "it fits 1 GiB with 9.09 % headroom to what 11 would take; the largest that does is 10" in reasons(few)


def test_one_size_alone_says_nothing_of_growth():
    alone = replace(TUNING, curve=TUNING.curve[2:3], plateau=None)

    assert "it trains 300 images/s\n" in reasons(alone)


def test_reasons_name_a_pipeline_that_limits():
    slow = replace(TUNING, curve=(*TUNING.curve[:2], point(64, 300, 0.4), *TUNING.curve[3:]))

    assert "the input pipeline limits it: 40 % of a step waits for data" in reasons(slow)
    assert "a faster input pipeline moves the plateau" in recommend(slow, 0.1, ScalingRule.NONE).would_change


def test_reasons_name_a_model_that_limits():
    quick = replace(TUNING, curve=(*TUNING.curve[:2], point(64, 300, 0.02), *TUNING.curve[3:]))

    assert "the model limits it, not the input pipeline" in reasons(quick)


def test_reasons_name_the_noise_with_its_interval():
    assert "noise scale is 40 images (10 to 90)" in reasons(noisy(40, 10, 90))
    assert "noise scale is 40 images (0 to ∞)" in reasons(noisy(40, -3, None))
    assert "undetermined" in reasons(noisy(None, None, None))


def test_reasons_name_the_noise_at_initialisation_too():
    twice = noisy(40, 10, 90)
    assert "noise scale is 40 images (10 to 90) after some training, 1 at initialisation" in reasons(twice)

    unknown = replace(twice, noise=(replace(twice.noise[0], images=None), twice.noise[1]))
    assert "after some training, undetermined at initialisation" in reasons(unknown)


@pytest.mark.parametrize(("rate", "size"), [(158, 32), (156, 64)])
def test_declared_size_that_takes_hardly_longer_is_kept(rate, size):
    near = replace(noisy(40), curve=(TUNING.curve[0], point(32, rate), point(64, 250), *TUNING.curve[3:]))

    assert favourite(near) == size  # (64 + 40) ÷ 250 is 0.416, of which 72 ÷ 158 is 9.5 % more


def test_size_that_learned_no_worse_is_kept():
    tuning = replace(TUNING, trials=trials(b32=0.50, b64=0.54, b128=0.55))

    assert recommend(tuning, 0.001, ScalingRule.LINEAR).batch_size == 64
    assert "after 2,048 images its validation loss is 0.540, against 0.500 at 32, 0.550 at 128" in reasons(tuning)


@pytest.mark.parametrize("loss", [0.56, float("nan"), float("inf")])
@pytest.mark.parametrize("other", [32, 128])
def test_size_that_learned_worse_gives_way_to_the_nearest_that_did_not(loss, other):
    tuning = replace(TUNING, trials=trials(**{f"b{other}": 0.50}, b64=loss, b16=0.50))

    assert recommend(tuning, 0.001, ScalingRule.LINEAR).batch_size == other
    assert "64 was reckoned to be faster, and learned worse" in reasons(tuning)


@pytest.mark.parametrize(("losses", "size"), [({"b16": 0.50, "b32": 0.52}, 32), ({"b16": 0.50, "b32": 0.60}, 16)])
def test_size_that_could_not_be_validated_gives_way_to_the_nearest_that_learned(losses, size):
    tuning = replace(TUNING, trials=trials(**losses))

    assert recommend(tuning, 0.001, ScalingRule.LINEAR).batch_size == size
    assert "64 was reckoned to be faster, and could not be validated" in reasons(tuning)


def test_single_size_that_was_validated_is_compared_with_nothing():
    assert recommend(replace(TUNING, trials=trials(b16=0.5)), 0.001, ScalingRule.LINEAR).batch_size == 64


def test_size_whose_memory_run_failed_is_not_recommended():
    assert favourite(replace(TUNING, failed=(64,))) == 32


def test_reasons_name_what_speed_and_noise_make_of_the_sizes():
    tuning = replace(noisy(40), declared=(32,))  # (size + 40) ÷ rate

    assert "takes as many times as long as at the soonest size: 1.15 at 32, 1.00 at 64, 2.74 at 256" in reasons(tuning)
    assert "soonest size" not in reasons(TUNING)


def test_size_that_learned_best_is_not_recommended_where_it_leaves_no_memory():
    tuning = replace(TUNING, trials=trials(b64=0.50, b256=0.20))

    assert recommend(tuning, 0.001, ScalingRule.LINEAR).batch_size == 64


def test_size_is_kept_where_none_learned():
    tuning = replace(TUNING, trials=trials(b32=float("nan"), b64=float("nan")))

    assert recommend(tuning, 0.001, ScalingRule.LINEAR).batch_size == 64


def test_more_memory_would_help_only_where_memory_is_the_limit():
    cramped = replace(TUNING, curve=TUNING.curve[:1], largest=Largest(16, GIB // 2, GIB, 17, 4), plateau=None, peaks={})
    small_data = replace(cramped, largest=Largest(16, GIB // 2, GIB, None, 4, "the data has no more images"))

    assert recommend(cramped, 0.1, ScalingRule.NONE).would_change == ("more memory would allow a larger batch",)
    assert recommend(small_data, 0.1, ScalingRule.NONE).would_change == ("more images would allow a larger batch",)
    assert "more memory would allow a larger batch" not in recommend(TUNING, 0.1, ScalingRule.NONE).would_change

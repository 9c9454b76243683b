import sys

import pytest

from pytest_batchguard.measure.nvml import (
    Gpu,
    GpuUse,
    driver_versions,
    gpu_use,
    is_thermally_limited,
    opened_nvml,
    used_bytes,
    visible_gpus,
)
from tests.unit.measure.nvml_of_paper import GIB, Card, PaperNvml

FIRST = Card("NVIDIA H200", "GPU-aaaa-1", 141 * GIB)
SECOND = Card("NVIDIA A100-SXM4-80GB", "GPU-abbb-2")
THIRD = Card("Tesla T4", "GPU-bbbb-3", 16 * GIB, mig=False)
SLICES = (
    Card("NVIDIA A100-SXM4-80GB MIG 3g.40gb", "MIG-aaaa", 40 * GIB),
    None,
    Card("NVIDIA A100-SXM4-80GB MIG 1g.10gb", "MIG-bbbb", 10 * GIB),
)
SLICED = Card("NVIDIA A100-SXM4-80GB", "GPU-cccc-4", mig=True, slices=SLICES)


def uuids(asked, *cards):
    environ = {} if asked is None else {"CUDA_VISIBLE_DEVICES": asked}
    return [gpu.uuid for gpu in visible_gpus(PaperNvml(*(cards or (FIRST, SECOND, THIRD))), environ)]


def test_without_the_variable_all_cards_are_visible_in_order():
    assert uuids(None) == ["GPU-aaaa-1", "GPU-abbb-2", "GPU-bbbb-3"]


def test_card_is_described_by_name_uuid_and_memory():
    assert visible_gpus(PaperNvml(FIRST), {}) == [Gpu("NVIDIA H200", "GPU-aaaa-1", 141 * GIB)]


@pytest.mark.parametrize(
    ("asked", "seen"),
    [
        ("1", ["GPU-abbb-2"]),
        ("2,0", ["GPU-bbbb-3", "GPU-aaaa-1"]),
        (" 2 , 0 ", ["GPU-bbbb-3", "GPU-aaaa-1"]),
        ("2,1,0", ["GPU-bbbb-3", "GPU-abbb-2", "GPU-aaaa-1"]),
    ],
)
def test_variable_chooses_cards_and_their_order(asked, seen):
    assert uuids(asked) == seen


@pytest.mark.parametrize("asked", ["", " ", "-1", "NoDevFiles"])
def test_variable_can_hide_every_card(asked):
    assert uuids(asked) == []


@pytest.mark.parametrize(
    ("asked", "seen"), [("0,7,1", ["GPU-aaaa-1"]), ("7,0", []), ("3,0", []), ("1,-1,0", ["GPU-abbb-2"])]
)
def test_unknown_entry_hides_all_behind_it(asked, seen):
    assert uuids(asked) == seen


def test_uuid_chooses_a_card():
    assert uuids("GPU-bbbb-3,GPU-aaaa-1") == ["GPU-bbbb-3", "GPU-aaaa-1"]


def test_beginning_of_a_uuid_chooses_a_card():
    assert uuids("GPU-bb") == ["GPU-bbbb-3"]


def test_uuid_that_is_not_there_hides_all_behind_it():
    assert uuids("GPU-aaaa-1,GPU-zzzz,GPU-bbbb-3") == ["GPU-aaaa-1"]


def test_sliced_card_shows_its_slices_in_its_place():
    assert uuids(None, FIRST, SLICED) == ["GPU-aaaa-1", "MIG-aaaa", "MIG-bbbb"]


def test_slice_is_chosen_by_its_uuid():
    gpus = visible_gpus(PaperNvml(FIRST, SLICED), {"CUDA_VISIBLE_DEVICES": "MIG-bbbb"})
    assert gpus == [Gpu("NVIDIA A100-SXM4-80GB MIG 1g.10gb", "MIG-bbbb", 10 * GIB)]


def test_index_of_a_sliced_card_chooses_its_first_slice():
    assert uuids("1,0", FIRST, SLICED) == ["MIG-aaaa", "GPU-aaaa-1"]


def test_card_whose_slicing_is_off_is_a_card_whatever_slices_it_had():
    assert uuids(None, Card("NVIDIA A100", "GPU-d", mig=False, slices=SLICES)) == ["GPU-d"]


@pytest.mark.parametrize("asked", [None, "0"])
def test_card_without_slices_although_slicing_is_on_is_not_shown(asked):
    assert uuids(asked, Card("NVIDIA A100", "GPU-d", mig=True)) == []


def test_card_that_the_driver_has_lost_is_not_shown_and_keeps_its_place(monkeypatch):
    def memory_info(self, handle):
        if handle is FIRST:
            raise self.NVMLError
        return memory_of(self, handle)

    memory_of = PaperNvml.nvmlDeviceGetMemoryInfo
    monkeypatch.setattr(PaperNvml, "nvmlDeviceGetMemoryInfo", memory_info)
    assert uuids(None, FIRST, THIRD) == [THIRD.uuid]
    assert uuids("1", FIRST, THIRD) == [THIRD.uuid]


def test_use_tells_the_own_process_from_the_others():
    card = Card("Tesla T4", "GPU-e", processes=((10, 3 * GIB), (11, 1 * GIB), (12, None)))
    assert gpu_use(PaperNvml(card), "GPU-e", pid=10) == GpuUse(3 * GIB, 7 * GIB, 2)


@pytest.mark.parametrize(
    ("pynvml", "used"), [(PaperNvml(Card("NVIDIA H200", "GPU-aaaa-1")), 7 * GIB), (PaperNvml(starts=False), 0)]
)
def test_what_everybody_holds_is_told_without_asking_for_anyone(monkeypatch, pynvml, used):
    monkeypatch.setitem(sys.modules, "pynvml", pynvml)
    assert used_bytes("GPU-aaaa-1") == used


def test_what_the_driver_reserves_is_used_by_nobody_but_where_it_does_not_tell():
    card = Card("Tesla T4", "GPU-e", processes=())
    assert gpu_use(PaperNvml(card), "GPU-e", pid=10).used_bytes == 7 * GIB
    assert gpu_use(PaperNvml(card, tells_reserved=False), "GPU-e", pid=10).used_bytes == 8 * GIB


def test_process_that_takes_turns_with_the_own_one_is_no_stranger():
    card = Card("Tesla T4", "GPU-e", processes=((10, 3 * GIB), (11, 1 * GIB), (12, None)))
    assert gpu_use(PaperNvml(card), "GPU-e", pid=10, family={11, 77}) == GpuUse(3 * GIB, 7 * GIB, 1)


def test_memory_of_a_process_that_nvml_does_not_tell_is_unknown_and_not_zero():
    card = Card("Tesla T4", "GPU-e", processes=((10, None),))
    assert gpu_use(PaperNvml(card), "GPU-e", pid=10) == GpuUse(None, 7 * GIB, 0)


def test_driver_that_lists_no_processes_leaves_them_unknown():
    card = Card("Tesla T4", "GPU-e", processes=None)
    assert gpu_use(PaperNvml(card), "GPU-e", pid=10) == GpuUse(None, 7 * GIB, None)


def test_process_that_nvml_knows_by_another_number_is_not_taken_for_a_stranger():
    card = Card("Tesla T4", "GPU-e", processes=((10, GIB),))
    assert gpu_use(PaperNvml(card), "GPU-e", pid=99) == GpuUse(None, 7 * GIB, None)


@pytest.mark.parametrize(("number", "cuda"), [(12040, "12.4"), (11080, "11.8"), (13000, "13.0")])
def test_versions_of_driver_and_cuda(number, cuda):
    assert driver_versions(PaperNvml(driver="570.1", cuda=number)) == ("570.1", cuda)


def test_driver_is_opened_and_closed(monkeypatch):
    pynvml = PaperNvml()
    monkeypatch.setitem(sys.modules, "pynvml", pynvml)
    with opened_nvml() as opened:
        assert opened is pynvml
        assert pynvml.calls == ["init"]
    assert pynvml.calls == ["init", "shutdown"]


def test_driver_is_closed_when_the_work_fails(monkeypatch):
    pynvml = PaperNvml()
    monkeypatch.setitem(sys.modules, "pynvml", pynvml)
    with pytest.raises(ValueError, match="boom"), opened_nvml():
        raise ValueError("boom")
    assert pynvml.calls == ["init", "shutdown"]


def test_machine_without_driver_yields_nothing(monkeypatch):
    pynvml = PaperNvml(starts=False)
    monkeypatch.setitem(sys.modules, "pynvml", pynvml)
    with opened_nvml() as opened:
        assert opened is None
    assert pynvml.calls == ["init"]


@pytest.mark.parametrize(
    ("reasons", "limited"), [(0, False), (1, False), (4, False), (8, False), (32, True), (64, True), (68, True)]
)
def test_card_is_thermally_limited_for_heat_alone(reasons, limited):
    card = Card("NVIDIA H200", "GPU-aaaa-1", throttle_reasons=reasons)
    assert is_thermally_limited(PaperNvml(card), "GPU-aaaa-1") is limited


def test_card_that_does_not_say_is_not_known_to_be_limited():
    card = Card("NVIDIA H200", "GPU-aaaa-1", throttle_reasons=None)
    assert is_thermally_limited(PaperNvml(card), "GPU-aaaa-1") is None

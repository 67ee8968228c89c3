from pathlib import Path

from tests.soak.kernel import Seen
from tests.soak.leaks import leaks
from tests.soak.watch import Life, growth

MIB = 2**20


def life(sizes: list[int], descriptors: list[int] | None = None) -> Life:
    descriptors = descriptors or [40] * len(sizes)
    looks = [
        (float(at_s), Seen(size * MIB, count))
        for at_s, (size, count) in enumerate(zip(sizes, descriptors, strict=True))
    ]
    return Life("policy-1", 1, looks)


def test_what_grows_and_grows_is_not_flat() -> None:
    grown = growth(life([100 + second // 4 for second in range(300)]))
    assert grown is not None
    assert not grown.is_flat
    assert "MiB" in str(grown)


def test_growth_while_warming_up_is_none() -> None:
    grown = growth(life([second * 3 if second < 30 else 100 for second in range(300)]))
    assert grown is not None
    assert grown.is_flat


def test_one_step_is_something_that_was_loaded() -> None:
    grown = growth(life([200 if second < 150 else 265 for second in range(300)]))
    assert grown is not None
    assert grown.is_flat
    steps = growth(life([200 + second // 60 * 20 for second in range(300)]))
    assert steps is not None
    assert not steps.is_flat


def test_descriptors_that_stay_open_are_found() -> None:
    grown = growth(life([100] * 300, [40 + second // 2 for second in range(300)]))
    assert grown is not None
    assert not grown.is_flat
    pooled = growth(life([100] * 300, [20 if second < 150 else 35 for second in range(300)]))
    assert pooled is not None
    assert pooled.is_flat


def test_a_short_life_says_nothing() -> None:
    assert growth(life([100] * 80)) is None


def test_a_secret_is_found_and_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("INFO all is well\nERROR key gk-123 refused\n")
    [found] = leaks([tmp_path / "log"], {"the key": "gk-123", "another": "gk-999"})
    assert "the key" in found
    assert "gk-123" not in found

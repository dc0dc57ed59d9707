"""Windows over long texts: a stride apart to the very end, each token or word answered for by one."""

from hypothesis import given
from hypothesis import strategies as st

from electra_tf.finetuning.windows import owners, windows_of, windows_of_units


def test_windows_are_a_stride_apart_and_the_last_ends_at_the_end():
    assert windows_of(10, 20, 4) == [(0, 10)]
    assert windows_of(50, 20, 8) == [(0, 20), (8, 28), (16, 36), (24, 44), (32, 50)]
    assert windows_of(0, 20, 8) == []
    best = owners(windows_of(50, 20, 8), 50)
    assert best[0] == 0 and best[49] == 4 and best == sorted(best)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=60), st.integers(4, 20))
def test_windows_fit_and_every_word_belongs_to_one(sizes, room):
    windows = windows_of_units(7, sizes, room)
    owned = [word for window in windows for word in range(window.own_first, window.own_end)]
    assert sorted(owned) == list(range(len(sizes)))
    for window in windows:
        assert window.sentence == 7 and window.first <= window.own_first < window.own_end <= window.end
        assert sum(min(size, room) for size in sizes[window.first : window.end]) <= room

"""The torch back end on the processor: the same code as on a graphics card, the same bytes as the loops."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_sample_image

from features import BagOfWords, Vocabulary, dense_sift
from features.assignment import NearestWord
from features.dense_sift import DTYPES, WINDOWS, torch_device
from scenes.reading import read_grey

torch = pytest.importorskip("torch")

from features._counts_torch import BATCH_PIXELS, BatchCounter, batches  # noqa: E402
from features._dense_sift_torch import descriptor_blocks  # noqa: E402

CPU = torch.device("cpu")
GRIDS = [(1, 3), ((2, 3), (3, 4)), ((3, 1), (2, 3)), (4, (5, 6)), (1, 1), (5, 8)]


@pytest.fixture(scope="module")
def pictures():
    """Crops of a photograph, noise, nothing at all and lone points, of unlike sizes."""
    grey, rng = read_grey(load_sample_image("china.jpg")), np.random.default_rng(0)
    crops = [grey[100 : 100 + height, 200 : 200 + width] for height, width in ((40, 60), (33, 47), (41, 70))]
    points = (rng.random((48, 36)) > 0.9).astype(np.float32)
    noise = rng.integers(0, 256, (44, 52)).astype(np.float32)
    return [*map(np.ascontiguousarray, crops), noise, np.zeros((40, 40), np.float32), points]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("step", "bin_size"), GRIDS)
@pytest.mark.parametrize("window", WINDOWS)
def test_descriptors_are_those_of_the_compiled_loops_to_the_bit(pictures, window, step, bin_size, dtype):
    given = {"step": step, "bin_size": bin_size, "window": window, "dtype": dtype}
    for picture in pictures:
        frames, found = dense_sift(picture, backend="torch", device="cpu", **given)
        their_frames, expected = dense_sift(picture, **given)
        assert np.array_equal(frames, their_frames)
        assert found.dtype == expected.dtype and np.array_equal(found, expected)


@given(st.data())
@settings(max_examples=25)
def test_images_of_unlike_sizes_do_not_mix(data):
    shapes = data.draw(st.lists(st.tuples(st.integers(10, 25), st.integers(10, 25)), min_size=1, max_size=4))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    images = [rng.integers(0, 256, shape).astype(np.float32) for shape in shapes]
    window = data.draw(st.sampled_from(WINDOWS))
    for block in descriptor_blocks(images, (2, 1), (3, 3), window, "uint8", CPU):
        for i, image in enumerate(images):
            found = block.descriptors[i][block.inside[i]].numpy()
            assert np.array_equal(found, dense_sift(image, step=(2, 1), window=window)[1])


def test_blocks_of_frame_rows_make_up_the_whole(pictures, monkeypatch):
    monkeypatch.setattr("features._dense_sift_torch.BLOCK_FRAMES", 300)
    for window in WINDOWS:
        blocks = list(descriptor_blocks(pictures[:1], (1, 1), (3, 3), window, "uint8", CPU))
        assert len(blocks) > 3
        found = np.concatenate([block.descriptors.reshape(-1, 128).numpy() for block in blocks])
        assert np.array_equal(found, dense_sift(pictures[0], window=window)[1])


def test_an_image_without_a_frame_has_no_descriptors():
    frames, descriptors = dense_sift(np.ones((9, 20)), backend="torch", device="cpu")
    assert frames.shape == (0, 2) and descriptors.shape == (0, 128)


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"step": (2, 3), "window": "gaussian"},
        {"dtype": "float32", "step": 3},
        {"bin_size": (2, 6), "resize": 30},
        {"norm": "hellinger", "step": 2},
    ],
    ids=str,
)
def test_histograms_are_those_of_the_compiled_loops(pictures, chosen):
    small = np.full((5, 30), 9, np.float32)
    small[2, 7:] = 200
    images = [*pictures, small]
    ours = BagOfWords(n_words=12, **chosen).fit(images)
    theirs = BagOfWords(n_words=12, backend="torch", device="cpu", **chosen).fit(images)
    assert theirs.vocabulary_.key == ours.vocabulary_.key
    assert np.array_equal(theirs.transform(images), ours.transform(images))
    enlarged = [found.enlarged for found in theirs.iter_counts(images)]
    assert enlarged == [found.enlarged for found in ours.iter_counts(images)]


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_more_images_than_a_batch_come_in_order(pictures, n_jobs, monkeypatch):
    monkeypatch.setattr("features.bag_of_words.BATCH_IMAGES", 4)
    images = pictures * 3
    bag = BagOfWords(n_words=8, step=3, n_jobs=n_jobs).fit(images)
    batched = BagOfWords(bag.vocabulary_, step=3, backend="torch", device="cpu", n_jobs=n_jobs).fit([])
    assert np.array_equal(batched.transform(images), bag.transform(images))


def counter(words, **changed):
    given = {"step": (1, 1), "bin_size": (3, 3), "window": "flat", "dtype": "uint8"} | changed
    return BatchCounter(NearestWord(words), CPU, **given)


def test_ties_and_near_ties_are_decided_as_on_the_processor(pictures):
    words = Vocabulary.fit(pictures, n_words=6, descriptors_per_image=50).words
    twins = np.concatenate([words, words, np.nextafter(words, np.float32(np.inf))])
    found = counter(twins)
    for picture in pictures:
        expected = np.bincount(NearestWord(twins).assign(dense_sift(picture)[1]), minlength=len(twins))
        assert np.array_equal(found.counts([picture])[0], expected)
    assert found.close_calls > 1000


def test_hardly_any_descriptor_of_a_real_picture_is_a_close_call(pictures):
    found = counter(Vocabulary.fit(pictures[:3], n_words=40, descriptors_per_image=500).words)
    total = found.counts(pictures[:3]).sum()
    assert 0 <= found.close_calls < 0.02 * total


def test_scores_are_made_a_block_at_a_time(pictures, monkeypatch):
    words = Vocabulary.fit(pictures, n_words=6, descriptors_per_image=50).words
    expected = counter(words).counts(pictures)
    monkeypatch.setattr("features._counts_torch.BLOCK_SCORES", 600)
    assert np.array_equal(counter(words).counts(pictures), expected)


def test_reduced_precision_elsewhere_changes_nothing(pictures):
    words = Vocabulary.fit(pictures, n_words=6, descriptors_per_image=50).words
    expected = counter(words).counts(pictures)
    torch.set_float32_matmul_precision("medium")
    try:
        assert np.array_equal(counter(words).counts(pictures), expected)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


@given(st.lists(st.tuples(st.integers(1, 3000), st.integers(1, 3000)), max_size=30))
def test_batches_hold_every_image_once_and_no_more_pixels_than_allowed(shapes):
    found = list(batches(shapes))
    assert sorted(i for batch in found for i in batch) == list(range(len(shapes)))
    for batch in found:
        height, width = np.max([shapes[i] for i in batch], axis=0)
        assert len(batch) == 1 or int(height) * int(width) * len(batch) <= BATCH_PIXELS


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nonsense", "device 'nonsense' is unknown: give cpu, cuda or cuda:N"),
        ("meta", "'meta' cannot be used"),
    ],
)
def test_a_device_that_is_not_there_is_named(name, says):
    with pytest.raises(ValueError, match=says):
        torch_device(name)
    with pytest.raises(ValueError, match=says):
        BagOfWords(np_vocabulary(), backend="torch", device=name).fit([]).transform([np.ones((20, 20))])


def np_vocabulary():
    return Vocabulary(np.eye(3, 128, dtype=np.float32), {"origin": "unknown"})


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a graphics card")
def test_without_a_card_the_processor_is_taken_and_a_card_is_refused():
    assert torch_device(None) == CPU
    with pytest.raises(ValueError, match="'cuda' cannot be used"):
        torch_device("cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no graphics card")
def test_a_card_gives_the_histograms_of_the_processor(pictures):
    bag = BagOfWords(n_words=12).fit(pictures)
    card = BagOfWords(bag.vocabulary_, backend="torch", device="cuda").fit([])
    assert np.array_equal(card.transform(pictures), bag.transform(pictures))


def test_without_torch_the_back_end_says_what_to_install():
    code = (
        "import sys\n"
        "import numpy as np\n"
        "from features import dense_sift\n"
        "sys.modules['torch'] = None\n"
        "try:\n    dense_sift(np.zeros((20, 20)), backend='torch')\n"
        "except ValueError as error:\n    print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "the torch back end needs torch: run `make install-all`\n"

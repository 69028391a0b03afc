"""The HTML report: what stands in it, how large it may be, that names are never markup; and in a browser."""

import html
import json
import re
import shutil

import numpy as np
import pytest

from reports import Neighbour, RunRecord, Shown, build_result, html_report, page
from reports.page import BLOCK_END, BLOCK_START, thumbnail
from reports.run import write_run

CLASSES = ["ant", "bee", "cat"]
LABELS = ["ant"] * 4 + ["bee"] * 4 + ["cat"] * 4
PREDICTED = ["ant", "ant", "bee", "bee", "bee", "bee", "bee", "ant", "cat", "cat", "cat", "cat"]
NAMES = [f"{i:02d}.png" for i in range(12)]
SCORES = np.full((12, 3), 0.2, np.float32)
SCORES[np.arange(12), [CLASSES.index(word) for word in PREDICTED]] = np.linspace(0.4, 0.6, 12)


def record(**changes) -> RunRecord:
    settings = {
        "name": "tiny", "command": ["run.py", "--x", "</script>"], "classes": CLASSES, "filenames": NAMES,
        "labels": LABELS, "predicted": PREDICTED, "scores": SCORES, "n_train": 9, "config": {"k": 5},
        "expected": ["chance: 0.3333"], "data": {"name": "three"},
        "timings": {"total": 1.5}, "environment": {"date": "today"},
        "diagnoses": [{"code": "SB002", "state": "issue", "text": "near chance", "advice": "try more"}],
    }  # fmt: skip
    return RunRecord(**(settings | changes))


def made(rec=None, **kwargs) -> str:
    rec = rec or record()
    chosen = [rec.scores[i, rec.classes.index(word)] for i, word in enumerate(rec.predicted)]
    return html_report(build_result(rec), rec.filenames, rec.labels, rec.predicted, chosen, **kwargs)


def data_of(text: str) -> dict:
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return json.loads(found)


def shade(name: str) -> np.ndarray:
    return np.full((20, 30), 10 * int(name[:2]), np.uint8)


def test_the_figures_of_the_run_stand_in_the_page():
    text = made()
    for word in ("tiny: <b>0.7500</b>", "9 of 12 test images right", "chance: 0.3333", "SB002", "Try more.",
                 "ant\n      taken for bee", "<dd>three</dd>"):  # fmt: skip
        assert word in text, word
    low, high = build_result(record())["accuracy_interval"]
    assert f"{low:.4f} to {high:.4f}" in re.sub(r"\s+", " ", text)
    cells = re.findall(
        r'data-cell="(\d,\d)"(?: class="right")?(?: data-dark)? title="[^"]*">(\d+)</button>', text
    )
    assert cells == [("0,0", "2"), ("0,1", "2"), ("1,0", "1"), ("1,1", "3"), ("2,2", "4")]


def test_cells_hold_their_images_the_surest_mistakes_first():
    found = data_of(made())
    assert found["classes"] == CLASSES
    assert found["cells"]["0,1"] == {
        "count": 2,
        "images": [["03.png", 0.4545, None], ["02.png", 0.4364, None]],
    }
    assert [name for name, *_ in found["cells"]["0,0"]["images"]] == ["00.png", "01.png"]
    assert found["thumbnails"] == [] and "no pictures in this page" in made()


def test_pictures_and_neighbours_of_mistakes():
    near = {"03.png": [Neighbour("07.png", "bee", 0.25)], "00.png": [Neighbour("08.png", "ant", 0.5)]}
    found = data_of(made(shown=Shown(shade, shade, near)))
    assert len(found["thumbnails"]) == 12 + 1  # every test image, and the neighbour of a mistake
    place = found["neighbours"]["03.png"][0][3]
    assert found["neighbours"] == {"03.png": [["07.png", "bee", 0.25, place]]}
    assert found["thumbnails"][place] == thumbnail(shade("07.png"))
    assert found["cells"]["0,1"]["images"][0][2] == 0  # mistakes come first


@pytest.mark.parametrize("shape", [(7, 9), (300, 200), (300, 200, 3), (32, 32, 1), (1, 1)])
def test_thumbnails_of_any_picture_are_small_jpegs(shape):
    import base64
    import io

    from PIL import Image

    pixels = np.full(shape, 77, np.uint8)
    image = Image.open(io.BytesIO(base64.b64decode(thumbnail(pixels))))
    assert image.format == "JPEG" and max(image.size) <= 96
    assert image.mode == ("RGB" if shape[2:] == (3,) else "L")
    assert abs(int(np.asarray(image).mean()) - 77) <= 2
    assert thumbnail(pixels.astype(np.float32)) == thumbnail(pixels)


def test_room_is_for_a_picture_of_every_cell_before_a_second_of_any(monkeypatch):
    monkeypatch.setattr(page, "_THUMBNAIL_BYTES", 2 * len(thumbnail(shade("00"))) + 10)
    found = data_of(made(shown=Shown(shade)))
    places = {key: [place for *_, place in cell["images"]] for key, cell in found["cells"].items()}
    assert places["0,1"] == [0, None] and places["1,0"] == [1] and places["0,0"] == [None, None]


def test_a_cell_shows_sixty_images_and_counts_the_rest():
    n = 70
    rec = record(filenames=[f"{i:02d}" for i in range(n)], labels=["ant"] * n, predicted=["bee"] * n,
                 scores=np.ones((n, 3)))  # fmt: skip
    cell = data_of(made(rec))["cells"]["0,1"]
    assert cell["count"] == n and len(cell["images"]) == 60


def test_names_are_data_and_never_markup():
    evil = "</script><img src=x onerror=alert(1)>&'\\"
    classes = sorted([evil, "bee"])
    rec = record(classes=classes, filenames=[evil, "b"], labels=[evil, "bee"], predicted=["bee", "bee"],
                 scores=np.ones((2, 2)), data={"name": evil}, command=[evil])  # fmt: skip
    text = made(rec)
    assert "<img src=x" not in text and text.count("</script>") == 2
    assert html.escape(evil).replace("&#x27;", "&#39;") in text
    assert evil in data_of(text)["classes"]


def test_equal_runs_give_equal_pages_but_for_the_marked_block():
    first, second = made(), made(record(timings={"total": 9.0}, command=["other"]))
    assert first != second

    def steady(text: str) -> str:
        return text[: text.index(BLOCK_START)] + text[text.index(BLOCK_END) :]

    assert steady(first) == steady(second) and made() == first


def test_figures_and_layers_of_the_folder_are_shown(tmp_path):
    (tmp_path / "curves.svg").write_text("<svg><script>alert(1)</script></svg>")
    (tmp_path / "layers.csv").write_text("layer,parameters\nconv<1>,12\n")
    text = made(folder=tmp_path)
    assert "Learning curves" in text and "data:image/svg+xml;base64," in text and "alert(1)" not in text
    assert "<td>conv&lt;1&gt;</td><td>12</td>" in text and "Block diagram" not in text


@pytest.mark.parametrize(("n", "size"), [(2, "small"), (15, "small"), (45, "middle"), (100, "large")])
def test_matrices_of_any_size(n, size):
    classes = [f"class {i:03d}" for i in range(n)]
    rec = record(
        classes=classes, filenames=classes, labels=classes, predicted=classes[::-1], scores=np.eye(n)
    )
    text = made(rec)
    assert f'class="matrix n{size}"' in text and text.count("data-cell=") >= n


@pytest.mark.parametrize(("n", "dark"), [(50, "0.250"), (51, "0.500")])
def test_where_no_counts_are_shown_a_single_mistake_is_still_seen(n, dark):
    classes = [f"class {i:03d}" for i in range(n)]
    labels = [name for name in classes for _ in range(4)]
    predicted = list(labels)
    predicted[0] = classes[1]
    text = made(record(classes=classes, filenames=[f"{i:04}" for i in range(4 * n)], labels=labels,
                       predicted=predicted, scores=np.ones((4 * n, n))))  # fmt: skip
    assert f'<td style="--share:{dark}"><button type="button" data-cell="0,1"' in text
    assert ("square root of its share" in text) == (n == 51)


def test_advice_begins_with_a_capital_and_keeps_the_others():
    found = {"code": "SB009", "state": "issue", "text": "x", "advice": "try 1-NN"}
    assert "Try 1-NN." in made(record(diagnoses=[found]))


# ----------------------------------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def chromium():
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1100,900",
    ):
        options.add_argument(argument)
    options.binary_location = shutil.which("chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture
def opened(request, tmp_path):
    """opened(): the page of a run folder in Chromium."""

    def opened(**changes):
        near = {"03.png": [Neighbour("07.png", "bee", 0.25)]}
        rec = record(**({"shown": Shown(shade, shade, near)} | changes))
        folder = write_run(tmp_path, rec)
        chromium = request.getfixturevalue("chromium")
        chromium.get((folder / "report.html").as_uri())
        return chromium

    return opened


@pytest.mark.browser
def test_a_click_on_a_cell_shows_its_images_and_their_neighbours(opened):
    browser = opened()
    gallery = browser.find_element("id", "gallery")
    assert not gallery.is_displayed()
    browser.find_element("css selector", '#matrix button[data-cell="0,1"]').click()
    assert gallery.is_displayed()
    assert gallery.find_element("tag name", "h3").text == "ant taken for bee: 2 images"
    cards = [card.text.split("\n") for card in gallery.find_elements("css selector", "li")]
    assert cards[0][:4] == ["03.png", "true: ant", "predicted: bee", "score 0.4545"]
    images = gallery.find_elements("tag name", "img")
    assert [browser.execute_script("return arguments[0].naturalWidth", image) for image in images] == [30, 30]
    gallery.find_element("css selector", "button.link").click()
    near = browser.find_element("id", "nearest")
    assert "07.png" in near.text and "distance 0.25" in near.text
    browser.find_element("css selector", '#matrix button[data-cell="2,2"]').click()
    assert gallery.find_element("tag name", "h3").text == "cat, recognised: 4 images"
    assert browser.get_log("browser") == []


@pytest.mark.browser
def test_the_matrix_works_with_the_keyboard(opened):
    from selenium.webdriver.common.keys import Keys

    browser = opened()
    first = browser.find_element("css selector", '#matrix button[data-cell="0,0"]')
    first.send_keys(Keys.ARROW_DOWN)
    assert browser.switch_to.active_element.get_attribute("data-cell") == "1,0"
    browser.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert browser.find_element("css selector", "#gallery h3").text == "bee, recognised: 3 images"
    # the keyboard is at the images now, and they are on the screen; Escape leads back to the cell
    assert browser.switch_to.active_element.text == "bee, recognised: 3 images"
    top = browser.execute_script("return document.activeElement.getBoundingClientRect().top")
    assert 0 <= top < browser.execute_script("return window.innerHeight")
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert browser.switch_to.active_element.get_attribute("data-cell") == "1,1"
    # the matrix is one stop of the tab key
    assert len(browser.find_elements("css selector", "#matrix button[tabindex='0']")) == 1


@pytest.mark.browser
def test_the_images_of_a_cell_come_onto_the_screen(opened):
    classes = [f"class {i:02}" for i in range(30)]
    browser = opened(classes=classes, filenames=[f"{i:03}" for i in range(90)], labels=classes * 3,
                     predicted=classes * 3, scores=np.ones((90, 30)), shown=None)  # fmt: skip
    browser.find_element("css selector", '#matrix button[data-cell="0,0"]').click()
    heading = browser.find_element("css selector", "#gallery h3")
    top = browser.execute_script("return arguments[0].getBoundingClientRect().top", heading)
    assert 0 <= top < browser.execute_script("return window.innerHeight")


@pytest.mark.browser
def test_a_hostile_name_runs_nothing(opened):
    evil = "</script><img src=x onerror=document.title=1>"
    classes = sorted([evil, "bee"])
    browser = opened(classes=classes, filenames=[evil, "01"], labels=[evil, "bee"], predicted=["bee", "bee"],
                     scores=np.ones((2, 2)), shown=None)  # fmt: skip
    place = classes.index(evil)
    browser.find_element("css selector", f'#matrix button[data-cell="{place},{1 - place}"]').click()
    assert evil in browser.find_element("id", "gallery").text and browser.title.startswith("tiny")


@pytest.mark.browser
def test_it_fits_a_phone(opened):
    browser = opened()
    browser.set_window_size(500, 800)
    page_width = browser.execute_script("return document.documentElement.scrollWidth")
    assert page_width <= browser.execute_script("return window.innerWidth")
    browser.set_window_size(1100, 900)

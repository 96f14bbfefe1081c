"""The page in a real browser, with a real tracker behind it. Skipped where there is no browser."""

import os
import re
import shutil
import time
from pathlib import Path

import cv2
import pytest
from programs import LONG_S, Program
from tracker import CAMERA, SMALL

DEMO = Path(__file__).parents[2] / 'demo'
NAMES = ('chromium', 'chromium-browser', 'google-chrome')
QUIET = '--disable-background-networking --disable-component-update --disable-sync --no-first-run'
SIZE_WH = (640, 480)
# On the first frame of the demo's clip, in pixels: see its README.md.
MUG = (72, 352)
BOTTLE = (430, 180)
BOTTLE_BOX = (405, 97, 455, 222)
TABLE = (330, 430)
TOKEN = 'sixteen-or-more-letters'


def browser_program() -> str:
    """Return a browser that is installed; $CHROMIUM names another one."""
    found = [os.environ.get('CHROMIUM'), *map(shutil.which, NAMES)]
    return next(filter(None, found), '')


@pytest.fixture(scope='module')
def browser():
    """A browser without a window."""
    api = pytest.importorskip('playwright.sync_api', reason='playwright is not installed')
    program = browser_program()
    if not program:
        pytest.skip(f'no browser: install one of {", ".join(NAMES)}, or set CHROMIUM')
    with api.sync_playwright() as playwright:
        arguments = ['--no-sandbox', '--disable-gpu', *QUIET.split()]
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope='module')
def tracker(start_tracker):
    """A tracker with a network, which keeps frames for ten seconds."""
    return start_tracker(**SMALL, history_s=10.0, history_frames=100)


@pytest.fixture(scope='module')
def film(tmp_path_factory) -> Path:
    """The first frame of the demo's clip, as a film of one picture."""
    path = tmp_path_factory.mktemp('film') / 'first.png'
    _, image = cv2.VideoCapture(str(DEMO / 'clip' / 'clip.mp4')).read()
    cv2.imwrite(str(path), image)
    return path


@pytest.fixture
def start_camera(tracker, film, start_program):
    """Start a camera that shows the film five times a second."""

    def start() -> Program:
        options = ('--loop', '--rate', '5', '--ros-args', '-r', f'image_raw:={CAMERA}')
        return start_program('play_video', film, *options, domain_id=tracker.robot.domain_id)

    return start


@pytest.fixture
def start_web(tracker, start_program):
    """Start the node beside the tracker and return it; its address is `address`."""

    def start(port: int = 0, **parameters) -> Program:
        options = [f'{name}:={value}' for name, value in {'port': port, **parameters}.items()]
        words = [word for option in options for word in ('-p', option)]
        web = start_program('web', '--ros-args', *words, domain_id=tracker.robot.domain_id)
        web.wait_for_log(r'ready: http\S+\n')
        web.address = re.search(r'ready: (http\S+/)', web.log).group(1)
        return web

    return start


@pytest.fixture
def web(tracker, start_camera, start_web):
    """The node, with a camera; objects are forgotten in the end."""
    start_camera()
    yield start_web()
    tracker.reset()


@pytest.fixture
def open_page(browser):
    """Open pages, each in a window of its own, in which nothing may go wrong; close them."""
    windows, faults = [], []

    def start(address: str, **options):
        window = browser.new_context(viewport={'width': 1200, 'height': 800}, **options)
        windows.append(window)
        page = window.new_page()
        page.set_default_timeout(LONG_S * 1000)
        page.on('pageerror', lambda error: faults.append(str(error)))
        page.on('console', lambda m: faults.append(m.text) if m.type == 'error' else None)
        page.goto(address)
        wait_for(page, 'shown !== null')
        return page

    start.faults = faults
    yield start
    for window in windows:
        window.close()
    assert faults == []


def wait_for(page, expression: str) -> None:
    """Wait until an expression of JavaScript is true.

    Playwright's own way has the page evaluate text, which the page's policy forbids.
    """
    deadline = time.monotonic() + LONG_S
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f'it never was so: {expression}'
        page.wait_for_timeout(20)


def on_screen(page, xy) -> tuple[float, float]:
    """Return where a pixel of the image is in the window."""
    area = page.locator('#picture').bounding_box()
    scale = area['width'] / SIZE_WH[0]
    return area['x'] + xy[0] * scale, area['y'] + xy[1] * scale


def answer(page, act) -> str:
    """Do something that the tracker answers; return the answer."""
    page.evaluate("say('')")
    act()
    wait_for(page, "$('said').textContent !== ''")
    return page.inner_text('#said')


def click(page, xy, **options) -> str:
    return answer(page, lambda: page.mouse.click(*on_screen(page, xy), **options))


def drag(page, box_xyxy) -> str:
    def act() -> None:
        page.mouse.move(*on_screen(page, box_xyxy[:2]))
        page.mouse.down()
        page.mouse.move(*on_screen(page, box_xyxy[2:]), steps=4)
        page.mouse.up()

    return answer(page, act)


def id_in(text: str) -> int:
    """Return the id of the object that an answer tells of."""
    return int(re.match(r'object (\d+): score', text).group(1))


def box_of(page, object_id: int) -> list[int]:
    """Return the box of an object, once it is visible in the picture."""
    wait_for(page, f'shown.objects.some((o) => o.id === {object_id} && o.box)')
    return page.evaluate(f'shown.objects.find((o) => o.id === {object_id}).box')


def wait_for_ids(page, *ids: int) -> None:
    """Wait until the list has exactly these objects."""
    wanted = ','.join(map(str, ids))
    wait_for(
        page, f"[...$('objects').children].map((row) => row.dataset.id).join(',') === '{wanted}'"
    )


def overlap(a, b) -> float:
    """Return the IoU of two boxes."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0, width) * max(0, height)
    areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (a, b)]
    return shared / (sum(areas) - shared)


def test_click_tracks_what_is_there_and_a_drag_what_is_in_the_box(web, open_page):
    page = open_page(web.address)
    assert page.locator('#none').is_visible()
    mug = id_in(click(page, MUG))
    x0, y0, x1, y1 = box_of(page, mug)
    assert x0 <= MUG[0] < x1
    assert y0 <= MUG[1] < y1
    bottle = id_in(drag(page, BOTTLE_BOX))
    assert overlap(box_of(page, bottle), BOTTLE_BOX) > 0.6
    wait_for_ids(page, mug, bottle)
    assert not page.locator('#none').is_visible()
    row = page.locator(f'li[data-id="{bottle}"]')
    assert row.locator('.state').inner_text() == 'tracked'
    assert 0.3 < float(row.locator('.score').inner_text()) <= 1.0
    wait_for(page, r"/masks per second . \d+ ms old/.test($('figures').textContent)")


def test_clicks_on_an_object_refine_it_left_right_and_with_shift(web, open_page):
    page = open_page(web.address)
    bottle = id_in(drag(page, BOTTLE_BOX))
    box_of(page, bottle)
    assert id_in(click(page, BOTTLE)) == bottle
    assert id_in(click(page, BOTTLE, button='right')) == bottle
    page.keyboard.down('Shift')
    assert id_in(click(page, (430, 190))) == bottle
    page.keyboard.up('Shift')
    wait_for_ids(page, bottle)


def test_background_needs_an_object_under_it_or_selected(web, open_page):
    page = open_page(web.address)
    bottle = id_in(drag(page, BOTTLE_BOX))
    box_of(page, bottle)
    page.get_by_role('button', name='Background').click()
    refusal = click(page, TABLE)
    assert refusal.startswith('no object is there: ')
    assert page.locator('#said.refused').is_visible()
    page.get_by_role('button', name=f'select object {bottle}').click()
    assert page.inner_text('#what') == f'Clicks and boxes refine object {bottle}.'
    assert id_in(click(page, TABLE)) == bottle


def test_all_can_be_done_by_keyboard(web, open_page):
    page = open_page(web.address)
    page.locator('#picture').focus()
    x, y = SIZE_WH[0] / 2, SIZE_WH[1] / 2
    for key, count in (('ArrowLeft', round((x - MUG[0]) / 12.8)), ('ArrowDown', 9)):
        for _ in range(count):
            page.keyboard.press(key)
    place = page.evaluate('cross')
    assert abs(place['x'] - MUG[0]) < 13
    assert place['y'] == pytest.approx(y + 9 * 12.8)
    mug = id_in(answer(page, lambda: page.keyboard.press('Enter')))
    wait_for_ids(page, mug)
    page.keyboard.press('c')
    for _ in range(4):
        page.keyboard.press('ArrowRight')
        page.keyboard.press('ArrowUp')
    page.keyboard.press('Escape')
    assert page.evaluate('corner') is None
    for digit in str(mug):
        page.keyboard.press(digit)
    assert page.evaluate('selected') == mug
    assert answer(page, lambda: page.keyboard.press('Delete')) == f'object {mug} removed'
    wait_for_ids(page)
    assert page.evaluate('selected') == 0
    page.keyboard.press('c')
    for _ in range(5):
        page.keyboard.press('ArrowRight')
        page.keyboard.press('ArrowUp')
    boxed = id_in(answer(page, lambda: page.keyboard.press('Enter')))
    wait_for_ids(page, boxed)


def test_labels_are_edited_in_the_list_and_name_the_controls(web, open_page):
    page = open_page(web.address)
    bottle = id_in(drag(page, BOTTLE_BOX))
    field = page.get_by_label(f'label of object {bottle}')
    field.fill('<b>oil</b>')
    said = answer(page, lambda: field.press('Enter'))
    assert said == f"object {bottle} has the label '<b>oil</b>'"
    name = f'remove object {bottle} <b>oil</b>'
    page.get_by_role('button', name=name, exact=True).wait_for()
    label = page.get_attribute('#picture', 'aria-label')
    assert label == f'camera picture, {bottle} <b>oil</b> tracked'
    field.fill('not this')
    field.press('Escape')
    assert field.input_value() == '<b>oil</b>'


def test_objects_are_removed_one_by_one_or_all(web, open_page):
    page = open_page(web.address)
    mug, bottle = id_in(click(page, MUG)), id_in(drag(page, BOTTLE_BOX))
    wait_for_ids(page, mug, bottle)
    remove = page.get_by_role('button', name=f'remove object {mug}')
    assert answer(page, remove.click) == f'object {mug} removed'
    wait_for_ids(page, bottle)
    reset = page.get_by_role('button', name='Remove all')
    page.once('dialog', lambda dialog: dialog.dismiss())
    reset.click()
    page.once('dialog', lambda dialog: dialog.accept())
    assert answer(page, reset.click) == '1 objects forgotten'
    wait_for_ids(page)
    assert reset.is_disabled()


def test_two_viewers_see_what_either_does(web, open_page):
    first, second = open_page(web.address), open_page(web.address)
    bottle = id_in(drag(first, BOTTLE_BOX))
    wait_for_ids(second, bottle)
    second.get_by_text('2 viewers').wait_for()
    second.get_by_role('button', name=f'remove object {bottle}').click()
    wait_for_ids(first)


def test_picture_stays_under_a_press_and_goes_on_after_it(web, open_page):
    page = open_page(web.address)
    page.mouse.move(*on_screen(page, BOTTLE_BOX[:2]))
    page.mouse.down()
    held = page.evaluate('shown.stamp')
    wait_for(page, 'waiting !== null')
    page.mouse.move(*on_screen(page, BOTTLE_BOX[2:]))
    assert page.evaluate('shown.stamp') == held
    assert page.evaluate('press.picture.stamp') == held
    page.mouse.up()
    wait_for(page, f"BigInt(shown.stamp) > BigInt('{held}')")
    wait_for(page, 'shown.objects.length === 1')


def test_camera_that_stops_is_told_of_and_so_is_its_coming_back(
    tracker, start_camera, start_web, open_page
):
    camera = start_camera()
    page = open_page(start_web().address)
    camera.end_by()
    page.get_by_text('The camera is silent').wait_for()
    assert page.locator('#view.silent').is_visible()
    stamp = page.evaluate('shown.stamp')
    start_camera()
    wait_for(page, f"BigInt(shown.stamp) > BigInt('{stamp}')")
    page.locator('#view.silent').wait_for(state='detached')
    assert page.inner_text('#silence') == ''


def test_page_comes_back_to_a_server_that_comes_back(web, start_web, open_page):
    page = open_page(web.address)
    port = int(web.address.rstrip('/').rpartition(':')[2])
    web.end_by()
    page.get_by_text("No connection to the page's server").wait_for()
    stamp = page.evaluate('shown.stamp')
    start_web(port)
    wait_for(page, f"BigInt(shown.stamp) > BigInt('{stamp}')")
    assert id_in(drag(page, BOTTLE_BOX))
    refused = [text for text in open_page.faults if 'ERR_CONNECTION_REFUSED' not in text]
    open_page.faults[:] = refused  # the browser tells of each try


def test_page_that_is_hidden_costs_nothing(tracker, web, open_page):
    page = open_page(web.address)
    node = tracker.robot.node
    tracker.robot.wait(
        lambda: node.count_subscribers('/tam/overlay/compressed'), 'the node to listen'
    )
    hide = "Object.defineProperty(document, 'hidden', {{ value: {}, configurable: true }}); "
    turn = "document.dispatchEvent(new Event('visibilitychange'))"
    page.evaluate(hide.format('true') + turn)
    tracker.robot.wait(lambda: not node.count_subscribers('/tam/overlay/compressed'), 'it to stop')
    stamp = page.evaluate('shown.stamp')
    page.evaluate(hide.format('false') + turn)
    wait_for(page, f"BigInt(shown.stamp) > BigInt('{stamp}')")


def test_wrong_token_is_refused_and_the_right_one_lets_in(start_camera, start_web, open_page):
    start_camera()
    web = start_web(token=TOKEN)
    page = open_page(f'{web.address}?token={TOKEN}')
    for wrong in ('', '?token=wrong'):
        response = page.goto(web.address + wrong)
        assert response.status == 403
        assert page.inner_text('body').startswith('refused: wrong token')
    open_page.faults[:] = [text for text in open_page.faults if '403' not in text]


def test_phone_taps_and_does_not_scroll_sideways(web, open_page):
    phone = {'has_touch': True, 'is_mobile': True, 'device_scale_factor': 3}
    page = open_page(web.address, **phone)
    page.set_viewport_size({'width': 390, 'height': 844})
    wait_for(page, 'document.documentElement.scrollWidth <= 390')
    mug = id_in(answer(page, lambda: page.touchscreen.tap(*on_screen(page, MUG))))
    wait_for_ids(page, mug)
    box_of(page, mug)
    page.get_by_role('button', name='Background').tap()
    page.get_by_role('button', name=f'select object {mug}').tap()
    assert id_in(answer(page, lambda: page.touchscreen.tap(*on_screen(page, TABLE)))) == mug
    assert page.evaluate('document.documentElement.scrollWidth') <= 390

"""Prompt maps: boxes and clicks as pictures."""

import pytest
import torch

from tam_ros.model.prompt_maps import OUTSIDE_LOGIT, PromptMaps
from tam_ros.networks import TAM_NANO
from tam_ros.prompts import BACKGROUND, BOX_BOTTOM_RIGHT, BOX_TOP_LEFT, OBJECT


@pytest.fixture(scope='module')
def maps() -> PromptMaps:
    return PromptMaps(TAM_NANO)


def draw(maps, points, labels) -> torch.Tensor:
    points = torch.tensor([points], dtype=torch.float32) / TAM_NANO.image_size
    return maps.draw(points, torch.tensor([labels]))[0]


def test_a_box_is_filled_to_its_border(maps):
    box, *clicks = draw(maps, [(96, 48), (192, 96)], [BOX_TOP_LEFT, BOX_BOTTOM_RIGHT])
    expected = torch.zeros_like(box)
    expected[12:24, 24:48] = 1  # stride 4
    torch.testing.assert_close(box, expected, atol=1e-5, rtol=0)
    assert not any(click.any() for click in clicks)


def test_clicks_are_brightest_where_they_are(maps):
    box, on, off = draw(maps, [(302, 102), (22, 350)], [OBJECT, BACKGROUND])
    assert not box.any()
    for blob, (x, y) in ((on, (302, 102)), (off, (22, 350))):
        row, column = divmod(int(blob.argmax()), blob.shape[1])
        assert (column, row) == (x // 4, y // 4)
        assert 0.9 < blob.max() <= 1


def test_no_prompt_adds_nothing(maps):
    gains = maps.show(maps.draw(torch.zeros(2, 0, 2), torch.zeros(2, 0, dtype=torch.int64)))
    assert not any(gain.any() for gain in gains)


def wall(maps, points, labels) -> torch.Tensor:
    points = torch.tensor([points], dtype=torch.float32) / TAM_NANO.image_size
    return maps.wall(points, torch.tensor([labels]))[0, 0]


def test_an_answer_stays_near_its_box(maps):
    box, labels = [(102, 40), (202, 80)], [BOX_TOP_LEFT, BOX_BOTTOM_RIGHT]
    logits = wall(maps, box, labels)
    expected = torch.full_like(logits, OUTSIDE_LOGIT)
    expected[9:21, 23:53] = 0  # x from 92 to 212 and y from 36 to 84, at the centres of stride 4
    assert torch.equal(logits, expected)


def test_a_click_on_the_object_widens_the_box(maps):
    box, labels = [(100, 40), (200, 80)], [BOX_TOP_LEFT, BOX_BOTTOM_RIGHT]
    assert wall(maps, [*box, (300, 60)], [*labels, OBJECT])[15, 74] == 0
    assert wall(maps, [*box, (300, 60)], [*labels, BACKGROUND])[15, 74] == OUTSIDE_LOGIT


def test_a_click_alone_has_no_wall(maps):
    assert not wall(maps, [(300, 60)], [OBJECT]).any()


def seeds(maps, points, labels, **former):
    points = torch.tensor([points], dtype=torch.float32) / TAM_NANO.image_size
    labels = torch.tensor([labels])
    return maps.seeds(maps.draw(points, labels), points, labels, **former)


def cells(x: slice, y: slice, value: float = 1.0) -> torch.Tensor:
    """Return the (1, 48 * 48) stride-8 cells with a value in some columns and rows."""
    side = TAM_NANO.image_size // 8
    grid = torch.zeros(1, side, side)
    grid[:, y, x] = value
    return grid.flatten(1)


def test_a_box_seeds_its_inside_and_the_rest(maps):
    box = seeds(maps, [(96, 48), (192, 96)], [BOX_TOP_LEFT, BOX_BOTTOM_RIGHT])
    inside = cells(slice(12, 24), slice(6, 12))
    torch.testing.assert_close(box.inside, inside, atol=1e-5, rtol=0)
    torch.testing.assert_close(box.objects, inside, atol=1e-5, rtol=0)
    torch.testing.assert_close(box.rest, 1 - inside, atol=1e-5, rtol=0)
    assert box.region.tolist() == [True]


def test_a_click_seeds_what_is_near_it(maps):
    click = seeds(maps, [(100, 60)], [OBJECT])
    row, column = divmod(int(click.objects.argmax()), TAM_NANO.image_size // 8)
    assert (column, row) == (12, 7)
    assert click.region.tolist() == [False]
    assert click.inside.sum() > 10 * click.objects.sum()
    assert click.rest[0, click.objects.argmax()] < 0.1
    assert click.rest[0, -1] > 0.99


def test_corrections_change_the_seeds_of_the_answer_that_they_refine(maps):
    former = torch.full((1, 1, TAM_NANO.mask_side, TAM_NANO.mask_side), -20.0)
    former[..., 40:60, 40:60] = 20
    corrected = seeds(maps, [(20, 20), (200, 200)], [OBJECT, BACKGROUND], former_logits=former)
    answer = cells(slice(20, 30), slice(20, 30))
    torch.testing.assert_close(corrected.inside, answer, atol=1e-5, rtol=0)
    side = TAM_NANO.image_size // 8
    missing, wrong = 2 * side + 2, 25 * side + 25  # the cells of the clicks
    assert corrected.objects[0, missing] > 0.8
    assert corrected.rest[0, missing] < 0.2
    assert corrected.objects[0, wrong] < 0.2
    assert corrected.rest[0, wrong] > 0.8


def test_a_former_answer_counts_only_where_there_is_one(maps):
    former = torch.full((2, 1, TAM_NANO.mask_side, TAM_NANO.mask_side), 20.0)
    points = torch.tensor([[[0.3, 0.3]], [[0.3, 0.3]]])
    labels = torch.full((2, 1), OBJECT)
    drawn = maps.draw(points, labels)
    both = maps.seeds(drawn, points, labels, former, refined=torch.tensor([True, False]))
    alone = maps.seeds(drawn[1:], points[1:], labels[1:])
    assert both.region.tolist() == [True, False]
    torch.testing.assert_close(both.objects[1:], alone.objects)
    torch.testing.assert_close(both.rest[1:], alone.rest)

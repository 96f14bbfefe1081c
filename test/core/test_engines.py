"""What every engine must do, and that batching and fusing change nothing."""

import numpy as np
import pytest
import torch
from calm import calm_network

from tam_ros.engine.base import DecoderPrompts, EngineError, MemoryPlan
from tam_ros.engine.onnx_engine import OnnxEngine
from tam_ros.engine.torch_engine import TorchEngine, check_device, load_torch_engine
from tam_ros.model.fuse import fuse
from tam_ros.prompts import Prompt
from tam_ros.tracker.image import ImageSegmenter
from tam_ros.tracker.options import SessionOptions
from tam_ros.tracker.results import ObjectState
from tam_ros.tracker.session import Session
from tam_ros.tracker.window import Window

CLICKS = [(90, 110), (200, 60), (270, 190)]
TOLERANCE = 1e-4
MATCHED = np.zeros((2, 2), np.int64)


@pytest.fixture(
    scope='module',
    params=[
        ('torch', 'edgetam'),
        ('torch', 'efficienttam_ti_1'),
        ('onnx', 'efficienttam_ti_1'),
    ],
    ids='-'.join,
)
def any_engine(request, exported):
    runtime, model = request.param
    if runtime == 'torch':
        return TorchEngine(calm_network(model=model), mode='benchmark')
    return OnnxEngine(exported(model, 256), mode='benchmark')


@pytest.fixture(scope='module')
def network_input(any_engine):
    side = any_engine.spec.image_size
    return np.random.default_rng(0).integers(0, 255, (side, side, 3), np.uint8)


def parts_of(memory) -> list:
    return list(memory.values()) if isinstance(memory, dict) else [memory]


def click_prompts(*points):
    points = np.array(points, np.float32)[:, None]
    return DecoderPrompts(points, np.ones(points.shape[:2], np.int64))


def test_stages_return_what_the_protocol_says(any_engine, network_input):
    spec = any_engine.spec
    features = any_engine.encode_image(network_input)
    decoded = any_engine.decode_mask(features, None, click_prompts((50, 50), (99, 30)))
    assert decoded.logits.shape == (2, spec.mask_side, spec.mask_side)
    assert decoded.logits.dtype == np.float32
    assert decoded.predicted_ious.shape == decoded.presence_logits.shape == (2,)
    assert ((decoded.predicted_ious >= 0) & (decoded.predicted_ious <= 1)).all()
    assert decoded.candidate_ious.shape == (2, 3)
    store = any_engine.allocate_store(4, 10, 19)
    memory = any_engine.encode_memory(features, decoded.mask_logits, from_prompt=True)
    store.write([2, 0], [0, 0], memory)
    store.write_pointers([2, 0], [0, 0], decoded.pointers)
    plan = MemoryPlan(
        np.array([2, 0]), *(np.zeros((2, 1), np.int64) for _ in range(3)), MATCHED, MATCHED
    )
    attended = any_engine.attend_memory(features, store, plan)
    assert len(attended[[1]]) == 1
    again = any_engine.decode_mask(features, attended, DecoderPrompts.none(2))
    assert again.logits.shape == decoded.logits.shape


def test_logits_from_the_host_and_from_the_device_make_one_memory(any_engine, network_input):
    features = any_engine.encode_image(network_input)
    decoded = any_engine.decode_mask(features, None, click_prompts((50, 50)))
    host = any_engine.encode_memory(features, decoded.logits, from_prompt=False)
    device = any_engine.encode_memory(features, decoded.mask_logits, from_prompt=False)
    for a, b in zip(parts_of(host), parts_of(device)):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_a_missing_memory_counts_as_absent(any_engine, network_input):
    """A plan padded with -1 gives what the shorter plan gives, whatever the slots hold."""
    features = any_engine.encode_image(network_input)
    decoded = any_engine.decode_mask(features, None, click_prompts((50, 50)))
    store = any_engine.allocate_store(1, 10, 19)
    for slot in range(10):
        memory = any_engine.encode_memory(features, decoded.logits - slot, from_prompt=False)
        store.write([0], [slot], memory)
        store.write_pointers([0], [slot], decoded.pointers)

    def attend(slots, ages, pointers):
        plan = MemoryPlan(
            np.array([0]),
            *(np.array([x]) for x in (slots, ages, pointers)),
            MATCHED[:1],
            MATCHED[:1],
        )
        return np.asarray(any_engine.attend_memory(features, store, plan))

    short = attend([0, 5], [6, 0], [0, 1])
    padded = attend([0, 5, -1, -1], [6, 0, -1, -1], [0, 1, -1])
    np.testing.assert_allclose(padded, short, atol=TOLERANCE)
    assert np.abs(attend([0, 5, 7], [6, 0, 1], [0, 1]) - short).max() > 100 * TOLERANCE


def test_memories_are_made_anew_for_a_window_of_the_image(any_engine):
    image = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    session = Session(any_engine, SessionOptions(roi='auto'))
    session.step(image, 0)
    mask = np.zeros((480, 640), np.uint8)
    mask[200:240, 300:350] = 1
    session.add_prompt(Prompt(mask=mask))
    result = session.step(image, 33_000_000)
    assert session.history.newest.window.keeps(Window.of_pixels((300, 200, 350, 240), (640, 480)))
    assert session.history.newest.window.area < 0.2
    assert np.isfinite(result.objects[0].logits).all()
    (track,) = session.tracked.on_time
    assert track.memory.is_of(session.history.newest.window, 2)


def track(engine, frames, clicks, added_at=None):
    """Track clicks through frames; return logits by object and frame."""
    session, logits = Session(engine), {}
    for t, image in enumerate(frames):
        session.step(image, t)
        for i, click in enumerate(clicks):
            if t == (added_at[i] if added_at else 0):
                session.add_prompt(Prompt([click]))
        for result in session.objects:
            logits[result.object_id, t] = result.logits
    return logits


def test_a_batch_of_objects_equals_single_runs(any_engine, frames):
    batch = track(any_engine, frames, CLICKS)
    for i, click in enumerate(CLICKS):
        single = track(any_engine, frames, [click])
        for t in range(len(frames)):
            np.testing.assert_allclose(batch[i + 1, t], single[1, t], atol=TOLERANCE)


def test_objects_added_later_equal_single_runs(any_engine, frames):
    added_at = [0, 3, 7]
    batch = track(any_engine, frames, CLICKS, added_at)
    for i, (click, start) in enumerate(zip(CLICKS, added_at)):
        single = track(any_engine, frames[start:], [click])
        for t in range(start, len(frames)):
            np.testing.assert_allclose(batch[i + 1, t], single[1, t - start], atol=TOLERANCE)


def test_a_full_memory_keeps_tracking(any_engine, frames):
    logits = track(any_engine, frames * 4, CLICKS[:1])
    assert np.isfinite(logits[1, 39]).all()
    assert (logits[1, 39] > 0).any()


def test_fusing_changes_no_stage(frames):
    plain = TorchEngine(calm_network(), mode='benchmark', fused=False)
    fused = TorchEngine(calm_network(), mode='benchmark')
    expected, actual = (track(e, frames, CLICKS[:1]) for e in (plain, fused))
    for key, logits in expected.items():
        np.testing.assert_allclose(actual[key], logits, atol=TOLERANCE)


def test_fusing_leaves_no_batch_norm_and_no_branch():
    network = fuse(calm_network())
    assert not [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert network.image_encoder.neck.convs[3].conv.out_channels == 32
    assert isinstance(network.sam_mask_decoder.conv_s0, torch.nn.Identity)


def test_object_without_presence_has_no_pixel(frames):
    network = calm_network()
    network.sam_mask_decoder.pred_obj_score_head.layers[2].bias.data -= 100
    session = Session(TorchEngine(network))
    session.step(frames[0], 0)
    mask = np.zeros((240, 320), bool)
    mask[80:140, 60:120] = True
    session.add_prompt(Prompt(mask=mask))
    result = session.step(frames[1], 1).objects[0]
    assert result.state == ObjectState.OCCLUDED
    assert result.mask is None
    assert (result.logits == -1024).all()


def test_modes_differ_where_they_should(frames):
    answers = {}
    for mode in ('interactive', 'benchmark'):
        session = Session(TorchEngine(calm_network(), mode=mode))
        session.step(frames[0], 0)
        session.add_prompt(Prompt(box_xyxy=(60, 80, 120, 140)))
        answers[mode] = session.step(frames[1], 1).objects[0].logits
    assert np.abs(answers['interactive'] - answers['benchmark']).max() > 0.01


def test_image_mode_orders_the_answers_to_a_click(any_engine, frames):
    segmenter = ImageSegmenter(any_engine, frames[0])
    answers = segmenter.segment(Prompt([[90, 110]]))
    assert len(answers) == 3
    assert answers[0].predicted_iou >= answers[1].predicted_iou >= answers[2].predicted_iou
    assert answers[0].mask.shape == (240, 320)
    boxed = segmenter.segment(Prompt(box_xyxy=(60, 80, 120, 140)), former=answers[0])
    assert len(boxed) == 1


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'model': 'sam9'}, "model 'sam9' is unknown: choose from edgetam, tam_nano"),
        ({'image_size': 500}, 'image_size 500 does not fit .* multiple of 256'),
        ({'mode': 'fast', 'image_size': 256}, "mode 'fast' is unknown: choose from interactive"),
        ({'device': 'cuda:99', 'image_size': 256}, r"device 'cuda:99' .* choose from cpu"),
    ],
)
def test_impossible_engines_are_named(options, message):
    with pytest.raises(EngineError, match=message):
        load_torch_engine(**{'model': 'edgetam', **options})


@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device here')
def test_cuda_equals_cpu(frames):
    check_device('cuda')
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    cpu, cuda = (TorchEngine(calm_network(), device=d) for d in ('cpu', 'cuda'))
    expected, actual = (track(e, frames, CLICKS) for e in (cpu, cuda))
    for key, logits in expected.items():
        np.testing.assert_allclose(actual[key], logits, atol=1e-2)

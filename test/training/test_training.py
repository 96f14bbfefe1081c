"""Each stage learns on a fixed batch, and a run goes on from a checkpoint as if never stopped."""

import dataclasses

import numpy as np
import pytest
import torch

from tam_ros.model.edgetam import EdgeTAM
from training.checkpoints import load_checkpoint, save_checkpoint
from training.distill import Teacher
from training.rollout import Batch, Choices, RolloutOptions, roll_out
from training.settings import REPVIT, SETTLED_RATE, Distillation, Phase, Settings
from training.train import SCHEDULES, Files, Pace, parse, train
from training.trainer import Place, Trainer

TINY = dataclasses.replace(
    REPVIT,
    widths=(8, 16, 24, 32),
    depths=(1, 1, 1, 1),
    model_dim=32,
    memory_dim=32,
    match_dim=28,
    attention_ffn_dim=32,
    decoder_ffn_dim=32,
    global_latents=8,
    grid_latents=16,
)
RATE = (3e-3, 3e-3)
STAGES = {
    'images': Phase('images', 1000, 64, 1, 3, RATE),
    'clips': Phase('clips', 1000, 64, 4, 3, RATE, true_memory=(0.5, 0.5)),
    'frozen encoder': Phase('longer', 1000, 64, 6, 2, RATE, freeze_encoder=True),
}


def fixed_batch(phase: Phase) -> Batch:
    """Bright squares that move over noise."""
    rng = np.random.default_rng(0)
    shape = (phase.clips, phase.frames, 3, 64, 64)
    images = rng.integers(0, 90, shape, np.uint8)
    masks = np.zeros((phase.clips, 1, phase.frames, 64, 64), bool)
    for clip in range(phase.clips):
        for t in range(phase.frames):
            x, y = 8 + 4 * t, 10 + 8 * clip
            images[clip, t, clip % 3, y : y + 20, x : x + 20] += 150
            masks[clip, 0, t, y : y + 20, x : x + 20] = True
    return Batch(torch.from_numpy(images), torch.from_numpy(masks))


def make_trainer(phase: Phase, **options) -> Trainer:
    return Trainer(make_settings(phase), Place(), **options)


def make_settings(phase: Phase, **options) -> Settings:
    return Settings(TINY, (phase,), prompts={'box': 1.0}, warmup_steps=5, **options)


@pytest.mark.parametrize('stage', STAGES)
def test_loss_falls_on_a_fixed_batch(stage):
    phase = STAGES[stage]
    trainer, batch = make_trainer(phase), fixed_batch(phase)
    losses = [trainer.train_step(batch).loss.item() for _ in range(30)]
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])


def test_a_frozen_encoder_stays_as_it_was():
    phase = STAGES['frozen encoder']
    trainer, batch = make_trainer(phase), fixed_batch(phase)
    before = {k: v.clone() for k, v in trainer.network.state_dict().items()}
    trainer.train_step(batch)
    changed = {k for k, v in trainer.network.state_dict().items() if not torch.equal(v, before[k])}
    assert changed
    assert not [key for key in changed if key.startswith('image_encoder')]


def test_resuming_gives_the_state_of_a_run_without_a_break(tmp_path):
    phase = STAGES['clips']
    batch, whole, first = fixed_batch(phase), make_trainer(phase), make_trainer(phase)
    for _ in range(4):
        whole.train_step(batch)
    for _ in range(2):
        first.train_step(batch)
    save_checkpoint(tmp_path / 'c.pt', first.checkpoint())
    resumed = make_trainer(phase)
    resumed.restore(load_checkpoint(tmp_path / 'c.pt'))
    for _ in range(2):
        resumed.train_step(batch)
    expected, actual = whole.checkpoint(), resumed.checkpoint()
    assert actual.step == expected.step == 4
    for part in ('network', 'average'):
        for key, value in getattr(expected, part).items():
            assert torch.equal(getattr(actual, part)[key], value), key


def test_the_mean_of_weights_follows_fast_at_first_and_goes_on_from_a_checkpoint(tmp_path):
    """Step s keeps min(decay, (1 + s) / (10 + s)) of the mean, floating-point buffers included."""
    phase = STAGES['clips']
    trainer, batch = Trainer(make_settings(phase, average_decay=0.25), Place()), fixed_batch(phase)
    expected = {k: v.clone() for k, v in trainer.network.state_dict().items()}
    for step in (1, 2, 3):
        if step == 3:
            save_checkpoint(tmp_path / 'c.pt', trainer.checkpoint())
            trainer = Trainer(trainer.settings, Place())
            trainer.restore(load_checkpoint(tmp_path / 'c.pt'))
        trainer.train_step(batch)
        kept = (2 / 11, 3 / 12, 0.25)[step - 1]
        for key, value in trainer.network.state_dict().items():
            new = value.clone()
            expected[key] = expected[key].lerp(new, 1 - kept) if new.is_floating_point() else new
    mean = trainer.checkpoint().average
    assert mean.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.equal(mean[key], value), key


def test_a_trunk_learns_at_its_own_rate():
    """What Adam moves in its first step is the learning rate, whatever the gradient."""
    phase, rate = STAGES['clips'], 0.1
    trainer = Trainer(make_settings(phase, trunk_rate=rate), Place())
    before = {k: v.detach().clone() for k, v in trainer.network.named_parameters()}
    trainer.train_step(fixed_batch(phase))
    moved = {
        k: float((v.detach() - before[k]).abs().max())
        for k, v in trainer.network.named_parameters()
    }
    step = phase.learning_rate[0] / trainer.settings.warmup_steps
    trunk = max(v for k, v in moved.items() if k.startswith('image_encoder.trunk.'))
    others = max(v for k, v in moved.items() if k.startswith('image_encoder.neck.'))
    assert others == pytest.approx(step, rel=0.05)
    assert trunk == pytest.approx(rate * step, rel=0.05)


def test_phases_may_come_again_in_rounds():
    images, clips = STAGES['images'], STAGES['clips']
    short = tuple(dataclasses.replace(p, steps=n) for p, n in ((images, 2), (clips, 3)))
    settings = Settings(TINY, 2 * short)
    assert [list(settings.rest(step)) for step in (0, 1, 3, 5, 9, 10)] == [
        [0, 1],
        [1],
        [3, 4],
        [5, 6],
        [9],
        [],
    ]
    assert [settings.at(step)[0].name for step in range(10)] == 2 * (
        2 * ['images'] + 3 * ['clips']
    )


def test_a_schedule_by_time_comes_to_its_end_with_the_time(monkeypatch, tmp_path):
    """Each phase has its part of it, and the last rate is the last phase's."""
    images, clips = STAGES['images'], STAGES['clips']
    phases = (
        dataclasses.replace(images, steps=100),
        dataclasses.replace(clips, steps=300, learning_rate=(1e-3, 1e-6)),
    )
    trainer = Trainer(Settings(TINY, phases, prompts={'box': 1.0}, warmup_steps=1), Place())
    clock, rates = iter(np.arange(0.0, 100.0, 0.25)), []
    monkeypatch.setattr('training.train.time.monotonic', lambda: float(next(clock)))
    monkeypatch.setattr(
        'training.train._phase_batches',
        lambda trainer, phase, sources, endless: iter(lambda: fixed_batch(phase), None),
    )

    class Heard:
        def add(self, step, phase, trace):
            rates.append((phase, trainer.optimizer.param_groups[0]['lr']))

    train(trainer, None, Heard(), files=Files(tmp_path / 'c.pt'), pace=Pace(8.0, by_time=True))
    names = [name for name, _ in rates]
    assert 2 <= names.count('images') <= 5
    assert names == sorted(names, reverse=True)
    assert rates[-1][1] < 1e-4
    assert load_checkpoint(tmp_path / 'c.pt').step == trainer.step == len(rates)


def test_the_last_rounds_settle():
    rates = [phase.learning_rate for phase in SCHEDULES['cpu_lite0']]
    falling = [pair for pair in rates if pair[0] != pair[1]]
    assert rates[-len(falling) :] == falling
    assert falling[0][0] == rates[0][0]
    assert falling[-1][1] == pytest.approx(SETTLED_RATE)
    assert all(a[1] == pytest.approx(b[0]) for a, b in zip(falling, falling[1:]))


def test_distillation_pulls_features_to_the_teachers(tmp_path):
    phase = STAGES['clips']
    torch.manual_seed(1)
    teacher_trainer = Trainer(
        Settings(dataclasses.replace(TINY, widths=(16, 24, 32, 48)), (phase,), seed=5), Place()
    )
    save_checkpoint(tmp_path / 'teacher.pt', teacher_trainer.checkpoint())
    teacher = Teacher(tmp_path / 'teacher.pt', 'cpu')
    settings = make_settings(phase, distillation=Distillation(image=50.0, memory=50.0))
    trainer, batch = Trainer(settings, Place(), teacher), fixed_batch(phase)
    differences = []
    for _ in range(15):
        trace = trainer.train_step(batch)
        shown = teacher.show(batch, trace)
        differences.append((trace.tops - shown.tops).square().mean().item())
    assert differences[-1] < 0.5 * differences[0]


def test_a_rollout_can_be_repeated_with_the_same_prompts():
    phase = STAGES['clips']
    network, batch = EdgeTAM(dataclasses.replace(TINY, image_size=64)).eval(), fixed_batch(phase)
    network.precompute()
    options = RolloutOptions(kind='click', corrections=1, late_correction=0.5, true_memory=0.5)
    drawn = Choices(torch.Generator().manual_seed(3))
    with torch.no_grad():
        first = roll_out(network, batch, options, drawn)
        again = roll_out(network, batch, options, Choices(again=first.choices))
    assert len(again.judged) == len(first.judged)
    torch.testing.assert_close(again.loss, first.loss, rtol=0, atol=0)


@pytest.mark.parametrize('latents', [(8, 0), (0, 16)])
def test_one_kind_of_latents_can_be_left_out(latents):
    phase = STAGES['clips']
    model = dataclasses.replace(TINY, global_latents=latents[0], grid_latents=latents[1])
    trainer = Trainer(dataclasses.replace(make_settings(phase), model=model), Place())
    batch = fixed_batch(phase)
    losses = [trainer.train_step(batch).loss.item() for _ in range(30)]
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--device', 'cuda:99'], "device 'cuda:99' is not available here"),
        (['--start-from', '/nowhere/start.safetensors'], '/nowhere/start.safetensors'),
    ],
)
def test_what_a_run_lacks_is_told_in_one_line(tmp_path, capsys, options, message):
    with pytest.raises(SystemExit):
        parse(['--assets', str(tmp_path), '--run', str(tmp_path), *options])
    last = capsys.readouterr().err.splitlines()[-1]
    assert 'error:' in last
    assert message in last

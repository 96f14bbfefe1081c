"""Cases with reference outputs, tracked and compared: see `test_golden`.

DEVICE=cuda runs PyTorch's on a GPU.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tam_ros.engine.torch_engine import TorchEngine, build_network
from tam_ros.model.network import TrackingNetwork
from tam_ros.model.reproducible import soften_attention
from tam_ros.networks import MODELS
from tam_ros.prompts import Prompt
from tam_ros.tracker.session import Session

SHIPPED = Path(__file__).parents[1] / 'golden'
DEVICE = os.environ.get('DEVICE', 'cpu')


class RecordingEngine:
    """Runs an engine, and keeps what each stage returned."""

    def __init__(self, engine):
        self.spec = engine.spec
        self.allocate_store, self.nbytes = engine.allocate_store, engine.nbytes
        self._engine = engine
        self.features, self.attended, self.decoded, self.memories = [], [], [], []

    def encode_image(self, image):
        self.features.append(self._engine.encode_image(image))
        return self.features[-1]

    def attend_memory(self, *arguments):
        self.attended.append(self._engine.attend_memory(*arguments))
        return self.attended[-1]

    def decode_mask(self, *arguments):
        self.decoded.append(self._engine.decode_mask(*arguments))
        return self.decoded[-1]

    def encode_memory(self, *arguments, **options):
        self.memories.append(self._engine.encode_memory(*arguments, **options))
        return self.memories[-1]


class AnchoredEngine(RecordingEngine):
    """Hands on the reference's answers instead of its own."""

    def __init__(self, engine, reference):
        super().__init__(engine)
        self._reference = reference

    def decode_mask(self, *arguments):
        call = f'sam_{len(self.decoded):02}'
        decoded = super().decode_mask(*arguments)
        logits = self._reference[f'{call}_low_res'][0]
        pointers = self._reference[f'{call}_obj_ptr']
        return replace(
            decoded,
            logits=logits,
            mask_logits=self._on_device(logits),
            pointers=self._on_device(pointers),
        )

    def _on_device(self, array: np.ndarray):
        if isinstance(self._engine, TorchEngine):
            return torch.from_numpy(array).to(self.spec.device)
        return array


def ellipse() -> Prompt:
    y, x = np.mgrid[:512, :512]
    return Prompt(mask=((x - 250) / 110) ** 2 + ((y - 270) / 160) ** 2 < 1)


@dataclass(frozen=True)
class Case:
    """A file of reference outputs, and what they were made from."""

    name: str
    """Of the file, without suffix."""
    model: str
    """Name of the network."""
    prompt: Prompt
    """On the first frame."""
    size: int = 512
    """Side of the network's input and of the frames, in pixels; a multiple of 512."""
    shipped: bool = False
    """Whether it is in this repository."""
    soft: bool = False
    """With `soften_attention`."""

    @property
    def is_chaotic(self) -> bool:
        """Whether nothing can be said of the decoder's answers in tracked frames."""
        return self.model.startswith('efficienttam') and not self.soft

    def network(self) -> TrackingNetwork:
        network = build_network(replace(MODELS[self.model], image_size=self.size), 'reproducible')
        if self.soft:
            soften_attention(network)
        return network

    def image(self, folder: Path, t: int) -> np.ndarray:
        image = np.asarray(Image.open(folder / 'frames' / f'{t:02}.png').convert('RGB'))
        return image.repeat(self.size // 512, axis=0).repeat(self.size // 512, axis=1)


POINT, BOX = Prompt([[200, 260]]), Prompt(box_xyxy=(120, 90, 400, 460))
CLICKS = Prompt([[200, 260], [260, 300], [90, 440]], [1, 1, 0])
CASES = [
    Case('edgetam_512_clicks', 'edgetam', CLICKS, shipped=True),
    Case(
        'efficienttam_ti_1_512_soft_clicks', 'efficienttam_ti_1', CLICKS, shipped=True, soft=True
    ),
    Case('edgetam_512_point', 'edgetam', POINT),
    Case('edgetam_512_box', 'edgetam', BOX),
    Case('edgetam_512_mask', 'edgetam', ellipse()),
    Case('edgetam_1024_point', 'edgetam', Prompt([[400, 520]]), 1024),  # POINT before doubling
    Case('efficienttam_ti_512_point', 'efficienttam_ti_512x512', POINT),
    Case('efficienttam_ti_1_512_point', 'efficienttam_ti_1', POINT),
    Case('efficienttam_ti_2_512_point', 'efficienttam_ti_2', POINT),
    Case('efficienttam_s_512_box', 'efficienttam_s', BOX),
]


@dataclass(frozen=True)
class Run:
    """A tracked case."""

    case: Case
    """What was tracked."""
    reference: dict[str, np.ndarray]
    """The arrays of the file, by their names."""
    engine: RecordingEngine
    """With what it computed."""
    results: list
    """The object's, of each frame."""

    def difference(self, key: str, value, over=np.max) -> float:
        value = to_host(value)
        assert value.shape == self.reference[key].shape
        return float(over(np.abs(self.reference[key] - value)))


Differences = Iterator[tuple[int, float]]  # of each frame, by its number


def track(case: Case, folder: Path, make_engine) -> Run:
    """Track a case's frames; make_engine takes the reference arrays."""
    reference = dict(np.load(folder / f'{case.name}.npz'))
    engine = make_engine(reference)
    session, results = Session(engine), []
    for t in range(len(reference['video_logits'])):
        frame = session.step(case.image(folder, t), t)
        if t == 0:
            session.add_prompt(case.prompt)
            frame = session.latest()
        results.append(frame.objects[0])
    return Run(case, reference, engine, results)


def torch_engine(case: Case, **options) -> TorchEngine:
    torch.backends.cudnn.allow_tf32 = False
    return TorchEngine(
        case.network(), model=case.model, mode='benchmark', device=DEVICE, **options
    )


def to_host(value) -> np.ndarray:
    return value.cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def map_of(features, name: str) -> np.ndarray | None:
    """Return a map of encoded features, None where the model has none of that name."""
    value = features.get(name) if isinstance(features, dict) else getattr(features, name)
    return None if value is None else to_host(value)[0]


def tokens_of(memory) -> np.ndarray:
    """Return the (tokens, C) of the first memory of a batch."""
    return to_host(memory['memories'] if isinstance(memory, dict) else memory)[0]


def feature_differences(run: Run) -> Differences:
    for t, features in enumerate(run.engine.features):
        name = f'encoder_{t:02}'
        top, stride8, stride4 = (map_of(features, n) for n in ('top', 'stride8', 'stride4'))
        yield t, run.difference(f'{name}_top', top[::8, ::4, ::4])
        if f'{name}_s0' not in run.reference:
            assert stride4 is stride8 is None
            continue
        yield t, run.difference(f'{name}_s1', stride8[::8, ::8, ::8])
        yield t, run.difference(f'{name}_s0', stride4[::4, ::16, ::16])


def attention_differences(run: Run, over=np.max) -> Differences:
    for t, batch in enumerate(run.engine.attended):
        attended = to_host(batch)[0]
        tokens = attended.reshape(len(attended), -1).T[::16, ::8]
        yield t + 1, run.difference(f'memory_attention_{t:02}', tokens, over)


def pointer_differences(run: Run) -> Differences:
    for t, decoded in enumerate(run.engine.decoded):
        yield t, run.difference(f'sam_{t:02}_obj_ptr', decoded.pointers)


def memory_differences(run: Run) -> Differences:
    for t, memory in enumerate(run.engine.memories):
        tokens, key = tokens_of(memory), f'memory_{t:02}'
        shown = tokens[:, ::2]
        if shown.shape != run.reference[key].shape[-2:]:  # stored as a map
            shown = tokens.T.reshape(-1, 32, 32)[::4, ::2, ::2]
        yield t, run.difference(key, shown)


def iou_differences(run: Run) -> Differences:
    for t, decoded in enumerate(run.engine.decoded):
        yield t, run.difference(f'sam_{t:02}_ious', decoded.candidate_ious)


def logit_differences(run: Run) -> Differences:
    """Candidates, the chosen one and the score."""
    for t, decoded in enumerate(run.engine.decoded):
        name = f'sam_{t:02}'
        candidates = decoded.candidate_logits[0][:, ::4, ::4]
        yield t, run.difference(f'{name}_low_res_multi', candidates)
        yield t, run.difference(f'{name}_score', decoded.presence_logits[:, None])
        yield t, run.difference(f'{name}_low_res', decoded.logits[:, None])


def video_differences(run: Run) -> Differences:
    """Logits at video size."""
    for t, result in enumerate(run.results):
        logits = torch.tensor(result.logits)[None, None]
        video = torch.nn.functional.interpolate(logits, (512, 512), mode='bilinear')[0, 0]
        yield t, float(np.abs(run.reference['video_logits'][t] - video[::4, ::4].numpy()).max())

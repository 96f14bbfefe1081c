"""What a manifest may say: checked before anything of it is believed."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from tam_ros.networks import MODELS

SHA256 = re.compile('[0-9a-f]{64}')
FILE_NAME = re.compile(r'[A-Za-z0-9_][A-Za-z0-9_.-]*')  # in the folder itself
LARGEST_COUNT = 1 << 24
BY_MODEL = ('mask_side', 'recent_memories', 'memory_dim', 'model_dim', 'resampling')


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_COUNT


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _are_digests(value: object) -> bool:
    return isinstance(value, dict) and all(
        FILE_NAME.fullmatch(name) and _is_text(digest) and SHA256.fullmatch(digest)
        for name, digest in value.items()
    )


TEXT, COUNT = ('a text', _is_text), ('a number, not negative', _is_count)
DIGESTS = ('names of files in its folder with the sha256 of each', _are_digests)
KINDS: dict[str, tuple[str, Callable[[object], object]]] = {
    'model': TEXT,
    'weights': TEXT,
    'weights_sha256': TEXT,
    'resampling': TEXT,
    'precision': ('fp32 or fp16', lambda value: value in ('fp32', 'fp16')),
    **dict.fromkeys(('image_size', 'mask_side', 'recent_memories', 'opset'), COUNT),
    **dict.fromkeys(('max_objects', 'tokens', 'dense_tokens', 'memory_dim', 'model_dim'), COUNT),
    'features': ('a list of texts', _are_texts),
    'graphs': DIGESTS,
    'files': DIGESTS,
}


def manifest_fault(content: Mapping, required: set[str], stages: set[str]) -> str:
    """Return what is wrong with the content of a manifest, to follow its name; '' if nothing.

    required: what it must state. stages: the graphs without which there is no network.
    """
    missing = required - content.keys()
    if missing:
        return f'lacks {", ".join(sorted(missing))}'
    for name, (kind, is_valid) in KINDS.items():
        if name in content and not is_valid(content[name]):
            return f'has {name} {content[name]!r:.80}, expected {kind}'
    missing = stages - content['graphs'].keys()
    if missing:
        return f'has no graph {", ".join(sorted(missing))}'
    return _model_fault(content)


def _model_fault(content: Mapping) -> str:
    """Return where a manifest says of a network what is not so, or no longer."""
    if content['model'] not in MODELS:
        return f'is of model {content["model"]!r}, known are {", ".join(MODELS)}'
    try:
        config = replace(MODELS[content['model']], image_size=content['image_size'])
    except ValueError as error:
        return f'has another network: {error}'
    expected = {name: getattr(config, name) for name in BY_MODEL}
    expected |= {'tokens': config.attended_tokens, 'dense_tokens': config.dense_tokens}
    for name, value in expected.items():
        if content[name] != value:
            return f'has {name} {content[name]!r}, expected {value!r} for {content["model"]}'
    return ''
